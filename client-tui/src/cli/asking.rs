//! What is in the way, as questions on the terminal: one for each kind of conflict, with how many there are and the first of them; one
//! for a single file where there is only one, or where somebody wants to see each.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use towpath_protocol::entry::{Attributes, Kind};

use super::copy::Sides;
use super::ls::local_time;
use crate::model::conflict::{Choice, Conflict, ConflictKind, Scope};
use crate::model::number::thousands;
use crate::model::size;
use crate::transfer::undecided::{UNDECIDED_MAX, Undecided};

/// How long more of a kind is waited for while the walk goes on.
const GATHERED_FOR: Duration = Duration::from_secs(2);

/// The letters of the choices.
const LETTERS: [(char, Choice, &str); 6] = [
    ('o', Choice::Overwrite, "[o]verwrite"),
    ('s', Choice::Skip, "[s]kip"),
    ('b', Choice::KeepBoth, "keep [b]oth"),
    ('n', Choice::NewerOnly, "overwrite if [n]ewer"),
    ('d', Choice::Different, "if [d]ifferent"),
    ('r', Choice::Resume, "[r]esume"),
];

/// What waits for an answer.
#[derive(Debug)]
pub(super) struct Asking {
    is_asked: bool,
    waiting: BTreeMap<u64, Conflict>,
    /// When the first of them came.
    since: Option<Instant>,
    /// Somebody wants to see each of these.
    one_by_one: Vec<ConflictKind>,
    short: Option<(u64, u64)>,
}

/// Something to be asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) text: String,
    about: About,
}

/// The end of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    Taken,
    /// The job is to stop.
    Stop,
    /// Not understood: these words would be.
    Unknown(String),
}

#[derive(Debug)]
enum About {
    One(u64),
    Kind(ConflictKind),
    Room,
}

impl Asking {
    pub(super) fn new(is_asked: bool) -> Self {
        let (waiting, one_by_one) = (BTreeMap::new(), Vec::new());
        Self { is_asked, waiting, since: None, one_by_one, short: None }
    }

    /// Whether there is anybody to ask.
    pub(super) const fn is_asked(&self) -> bool {
        self.is_asked
    }

    pub(super) fn found(&mut self, conflict: Conflict) {
        self.since.get_or_insert_with(Instant::now);
        self.waiting.insert(conflict.id, conflict);
    }

    pub(super) fn settled(&mut self, id: u64) {
        self.waiting.remove(&id);
        if self.waiting.is_empty() {
            self.since = None;
        }
    }

    pub(super) const fn short(&mut self, needed: u64, free: u64) {
        self.short = Some((needed, free));
    }

    /// What is to be asked now. While the walk goes on, more of the kind may come.
    pub(super) fn next(&self, is_growing: bool, sides: &Sides<'_>) -> Option<Question> {
        if let Some((needed, free)) = self.short {
            let text = format!("{}\n[c]ontinue with what fits, or [s]top:", too_much(needed, free));
            return Some(Question { text, about: About::Room });
        }
        let is_time = !is_growing
            || self.waiting.len() >= UNDECIDED_MAX
            || self.since.is_some_and(|since| since.elapsed() >= GATHERED_FOR);
        let first = self.waiting.values().next().filter(|_| is_time)?;
        let count = self.waiting.values().filter(|conflict| conflict.kind == first.kind).count();
        Some(if count == 1 || self.one_by_one.contains(&first.kind) {
            Question { text: about_one(first, sides), about: About::One(first.id) }
        } else {
            Question { text: about_kind(first, (count, is_growing), sides), about: About::Kind(first.kind) }
        })
    }

    /// Carries an answer out. One that is not understood changes nothing and is to be asked for again; at the end of the input all is skipped.
    pub(super) fn answered(
        &mut self,
        question: &Question,
        answer: Option<&str>,
        undecided: &Undecided,
    ) -> Answered {
        let Some(answer) = answer else {
            undecided.decide(Scope::All, Choice::Skip);
            self.forget(Scope::All, Choice::Skip);
            // Nobody is there to continue with what fits.
            let is_room = self.short.take().is_some();
            return if is_room { Answered::Stop } else { Answered::Taken };
        };
        let word = answer.to_lowercase();
        match (&question.about, word.as_str()) {
            (About::Room, "c" | "continue") => {
                self.short = None;
                return Answered::Taken;
            }
            (About::Room, "s" | "stop") => {
                self.short = None;
                return Answered::Stop;
            }
            (About::Kind(kind), "e" | "each") => {
                self.one_by_one.push(*kind);
                return Answered::Taken;
            }
            _ => {}
        }
        let (offers, this): (Box<dyn Fn(Choice) -> bool>, _) = match question.about {
            About::Room => return Answered::Unknown("c/s".to_owned()),
            About::Kind(kind) => (Box::new(move |choice| kind.offers(choice)), Scope::Kind(kind)),
            About::One(id) => match self.waiting.get(&id).cloned() {
                Some(conflict) => (Box::new(move |choice| conflict.offers(choice)), Scope::One(id)),
                // Settled meanwhile: there is nothing to decide.
                None => return Answered::Taken,
            },
        };
        let known = LETTERS.iter().filter(|(_, choice, _)| offers(*choice));
        let Some((_, choice, _)) = known.clone().find(|(letter, _, text)| is_meant(&word, *letter, text))
        else {
            let each = if matches!(question.about, About::Kind(_)) { "/e" } else { "" };
            let letters: Vec<_> = known.map(|(letter, ..)| letter.to_string()).collect();
            return Answered::Unknown(format!("{}{each}", letters.join("/")));
        };
        let is_for_all = answer.chars().any(char::is_uppercase) && answer.to_uppercase() == answer;
        let scope = if is_for_all { Scope::All } else { this };
        undecided.decide(scope, *choice);
        self.forget(scope, *choice);
        Answered::Taken
    }

    /// What was decided is not asked again before it is told as settled.
    fn forget(&mut self, scope: Scope, choice: Choice) {
        let is_meant = |scope: Scope, conflict: &Conflict| match scope {
            Scope::One(id) => conflict.id == id,
            Scope::Kind(kind) => conflict.kind == kind,
            Scope::All => conflict.kind.offers(choice),
        };
        self.waiting.retain(|_, conflict| !is_meant(scope, conflict));
        if self.waiting.is_empty() {
            self.since = None;
        }
    }
}

/// Returns whether a small word is this choice's letter, or one of the words that the question shows for it: `[o]verwrite` takes `o` and
/// `overwrite`, `keep [b]oth` takes `b`, `both` and `keep both`.
fn is_meant(word: &str, letter: char, text: &str) -> bool {
    let shown = text.replace(['[', ']'], "");
    let last = shown.rsplit(' ').next().unwrap_or(&shown);
    word.chars().eq([letter]) || word == shown || word == last
}

/// That there is no room for what was found so far.
pub(super) fn too_much(needed: u64, free: u64) -> String {
    format!(
        "needs {} so far, {} free at the destination",
        size::megabytes_and_bytes(needed),
        size::megabytes_and_bytes(free)
    )
}

fn side(attributes: &Attributes) -> String {
    let time = local_time(attributes.modified);
    match attributes.kind {
        Kind::Folder => format!("a folder, {time}"),
        Kind::Link => format!("a link, {time}"),
        _ => format!("{}, {time}", size::megabytes_and_bytes(attributes.size)),
    }
}

fn letters(offers: impl Fn(Choice) -> bool) -> String {
    let words: Vec<_> =
        LETTERS.iter().filter(|(_, choice, _)| offers(*choice)).map(|(.., word)| *word).collect();
    words.join(", ")
}

fn about_one(conflict: &Conflict, sides: &Sides<'_>) -> String {
    let whole = |place: &towpath_protocol::path::Location| place.whole().unwrap_or_default();
    let name = sides.destination.name_of(&whole(&conflict.to));
    let choices = letters(|choice| conflict.offers(choice));
    let Some(there) = &conflict.there else {
        return format!(
            "{name}: another name of the source differs only in case, and is the same there.\n{choices}; in capitals for all:"
        );
    };
    let newer = if conflict.source.modified > there.modified {
        "the new one is newer"
    } else {
        "the one there is newer or as old"
    };
    format!(
        "{name} exists: {}; to be replaced by {} ({newer}).\n{choices}; in capitals for all:",
        side(there),
        side(&conflict.source),
    )
}

fn about_kind(first: &Conflict, (count, is_growing): (usize, bool), sides: &Sides<'_>) -> String {
    let name = sides.destination.name_of(&first.to.whole().unwrap_or_default());
    let so_far = if is_growing { " so far" } else { "" };
    let there = first.there.as_ref().map_or_else(String::new, |there| format!("; there {}", side(there)));
    format!(
        "{}{so_far}: {}, e.g. {name}: new {}{there}.\n{}, [e]ach for itself; in capitals for all kinds:",
        thousands(count as u64),
        first.kind.text(),
        side(&first.source),
        letters(|choice| first.kind.offers(choice)),
    )
}
