//! Completion of the command line: its words, and names of the folder that a word is about. Names of other folders come by an effect.

use towpath_protocol::path::Name;

use super::App;
use super::dialog::{Dialog, Line};
use super::effect::Effect;
use super::prompt::{WORDS, far, near_and_far};
use super::typed::place_of;
use crate::model::Side;
use crate::model::words::{quote, split_unfinished};

/// Candidates that are offered at most.
const CANDIDATES_MAX: usize = 1000;

/// What Tab offers for the word before the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Each as the whole word, quoted.
    pub candidates: Vec<String>,
    /// The one that stands in the line.
    pub at: Option<usize>,
    /// The byte of the line at which the word begins.
    start: usize,
    /// The folder as typed, with the `/` at its end, and what the name begins with.
    folder: Vec<u8>,
    stem: Vec<u8>,
    /// Names that are waited for.
    ticket: Option<u64>,
}

/// Tab: completes as far as is clear; pressed again, takes one candidate after the other.
pub(super) fn complete(app: &mut App, is_forward: bool) -> Vec<Effect> {
    let Some(Dialog::Prompt(prompt)) = app.dialogs.last_mut() else { return Vec::new() };
    if let Some(completion) = &mut prompt.completion {
        if completion.ticket.is_none() {
            cycle(completion, &mut prompt.line, is_forward);
        }
        return Vec::new();
    }
    let typed = prompt.line.text[..prompt.line.cursor].to_owned();
    let words = split_unfinished(typed.as_bytes());
    let Some((start, word)) = words.last().cloned() else { return Vec::new() };
    if words.len() == 1 {
        let names =
            WORDS.iter().filter_map(|(word, ..)| Some((Name::try_from(*word).ok()?, false))).collect();
        offer(
            app,
            Completion {
                candidates: Vec::new(),
                at: None,
                start,
                folder: Vec::new(),
                stem: word,
                ticket: None,
            },
            names,
        );
        return Vec::new();
    }
    let slash = word.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let (folder, stem) = (word[..slash].to_vec(), word[slash..].to_vec());
    let completion = Completion { candidates: Vec::new(), at: None, start, folder, stem, ticket: None };
    let command = String::from_utf8_lossy(&words[0].1).to_lowercase();
    if command == "connme" {
        let names = app.bookmarks.iter().filter_map(|(name, _)| Some((Name::try_from(name).ok()?, false)));
        let names = names.collect();
        offer(app, completion, names);
        return Vec::new();
    }
    match side_of(app, &command) {
        Some(side) => names_for(app, side, completion),
        None => Vec::new(),
    }
}

/// The pane whose names a word takes.
fn side_of(app: &App, command: &str) -> Option<Side> {
    match command {
        "ls" | "size" | "rm" => Some(far(app)),
        "upload" => Some(near_and_far(app).0),
        "download" => Some(near_and_far(app).1),
        "cd" | "mkdir" => Some(app.active),
        _ => None,
    }
}

fn names_for(app: &mut App, side: Side, mut completion: Completion) -> Vec<Effect> {
    let pane = app.pane(side);
    let here = pane.place.clone();
    let Ok(place) = place_of(app, &here, here.link, &completion.folder) else { return Vec::new() };
    if place == here && !pane.loading {
        let entries = pane.rows.entries.iter();
        let names = entries.map(|entry| (entry.name.clone(), entry.attributes.leads_to_folder())).collect();
        offer(app, completion, names);
        return Vec::new();
    }
    if !app.is_live(place.link) {
        return Vec::new();
    }
    let ticket = app.next_ticket();
    completion.ticket = Some(ticket);
    if let Some(Dialog::Prompt(prompt)) = app.dialogs.last_mut() {
        prompt.completion = Some(completion);
    }
    vec![Effect::Names { ticket, place }]
}

/// The names of another folder have come.
pub(super) fn named(app: &mut App, ticket: u64, names: Vec<(Name, bool)>) {
    let waiting = app.dialogs.iter_mut().find_map(|dialog| match dialog {
        Dialog::Prompt(prompt) => prompt.completion.take_if(|completion| completion.ticket == Some(ticket)),
        _ => None,
    });
    if let Some(completion) = waiting {
        offer(app, Completion { ticket: None, ..completion }, names);
    }
}

/// Completes as far as all names that fit agree, and offers them.
fn offer(app: &mut App, mut completion: Completion, names: Vec<(Name, bool)>) {
    let fits = |name: &Name| {
        name.as_bytes().starts_with(&completion.stem)
            && (!name.is_hidden() || completion.stem.starts_with(b"."))
    };
    let mut fitting: Vec<(Name, bool)> = names.into_iter().filter(|(name, _)| fits(name)).collect();
    fitting.truncate(CANDIDATES_MAX);
    let whole = |name: &[u8]| quote(&[&completion.folder, name].concat());
    let candidate =
        |(name, is_folder): &(Name, bool)| whole(name.as_bytes()) + if *is_folder { "/" } else { "" };
    completion.candidates = fitting.iter().map(candidate).collect();
    let text = match completion.candidates.as_slice() {
        [] => None,
        [only] => Some(format!("{only}{}", if only.ends_with('/') { "" } else { " " })),
        _ => {
            let common = common_beginning(&fitting);
            (common.len() > completion.stem.len()).then(|| whole(&common))
        }
    };
    let Some(Dialog::Prompt(prompt)) =
        app.dialogs.iter_mut().rev().find(|dialog| matches!(dialog, Dialog::Prompt(_)))
    else {
        return;
    };
    if let Some(text) = text {
        replace(&mut prompt.line, completion.start, &text);
    }
    prompt.completion = (completion.candidates.len() > 1).then_some(completion);
    if prompt.completion.is_none() && fitting.is_empty() {
        app.hint("nothing fits");
    }
}

fn cycle(completion: &mut Completion, line: &mut Line, is_forward: bool) {
    let count = completion.candidates.len();
    let at = match (completion.at, is_forward) {
        (None, true) => 0,
        (None, false) => count - 1,
        (Some(at), true) => (at + 1) % count,
        (Some(at), false) => (at + count - 1) % count,
    };
    completion.at = Some(at);
    replace(line, completion.start, &completion.candidates[at]);
}

fn replace(line: &mut Line, start: usize, text: &str) {
    line.text.replace_range(start..line.cursor, text);
    line.cursor = start + text.len();
}

/// What all names begin with, whole characters where they are characters.
fn common_beginning(names: &[(Name, bool)]) -> Vec<u8> {
    let Some(((first, _), rest)) = names.split_first() else { return Vec::new() };
    let mut common = first.as_bytes();
    for (name, _) in rest {
        let length = common.iter().zip(name.as_bytes()).take_while(|(a, b)| a == b).count();
        common = &common[..length];
    }
    let whole = match std::str::from_utf8(common) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => common.len(),
    };
    common[..whole].to_vec()
}
