//! Where the prompt's lines come from: a person with editing, history and completion, or a pipe. Knows the words and where names
//! are; obeys nothing.

use std::ffi::OsString;
use std::io::{self, BufRead};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use tokio::runtime::Handle;
use tokio::time::timeout;
use towpath_protocol::entry::Kind;
use towpath_protocol::request::{Direction, Hidden, SortKey};

use super::exit::Failure;
use super::output;
use super::place::Place;
use super::shell::WORDS;
use crate::model::words;

/// Names offered at most.
const NAMES_MAX: usize = 1000;
/// How long names are waited for.
const NAMES_TIME: Duration = Duration::from_secs(2);

/// Lines from a person or from a pipe.
pub(super) enum Lines {
    Person(Box<Editor<Names, DefaultHistory>>),
    Pipe,
}

/// How the terminal was before a line was edited in it.
pub(super) struct Before(Option<Termios>);

impl Before {
    pub(super) fn now() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }

    /// For a line that is never finished: whoever edits it cannot do it any more.
    pub(super) fn give_back(&self) {
        if let Some(termios) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, termios);
            output::end_of_paste_mode();
        }
    }
}

impl Lines {
    pub(super) fn new(interactive: bool, here: Place) -> Result<Self, Failure> {
        if !interactive {
            return Ok(Self::Pipe);
        }
        let config = Config::builder().completion_type(CompletionType::List).build();
        let mut editor =
            Editor::with_config(config).map_err(|error| Failure::usage(format!("the terminal: {error}")))?;
        editor.set_helper(Some(Names { runtime: Handle::current(), here, there: None }));
        Ok(Self::Person(Box::new(editor)))
    }

    /// Whose names complete what is about to be typed.
    pub(super) fn connected_to(&mut self, there: Option<Place>) {
        if let Self::Person(editor) = self
            && let Some(names) = editor.helper_mut()
        {
            names.there = there;
        }
    }

    /// The next line, read on a thread of its own so that the session stays alive meanwhile; none at the end.
    pub(super) async fn next(self, prompt: String) -> Result<(Self, Option<Vec<u8>>), Failure> {
        let read = tokio::task::spawn_blocking(move || self.read(&prompt)).await;
        read.map_err(|error| Failure::usage(format!("reading a line: {error}")))?
    }

    fn read(mut self, prompt: &str) -> Result<(Self, Option<Vec<u8>>), Failure> {
        let line = match &mut self {
            Self::Person(editor) => loop {
                match editor.readline(prompt) {
                    Ok(line) => {
                        let _ = editor.add_history_entry(&line);
                        break Some(line.into_bytes());
                    }
                    Err(ReadlineError::Interrupted) => {}
                    Err(ReadlineError::Eof) => break None,
                    Err(error) => return Err(Failure::usage(format!("reading a line: {error}"))),
                }
            },
            Self::Pipe => {
                let mut line = Vec::new();
                let bytes = io::stdin().lock().read_until(b'\n', &mut line);
                let bytes = bytes.map_err(|error| Failure::usage(format!("reading a line: {error}")))?;
                (bytes > 0).then_some(line)
            }
        };
        Ok((self, line))
    }
}

/// What Tab offers: words, then names of the side that the word is about.
pub(super) struct Names {
    runtime: Handle,
    here: Place,
    there: Option<Place>,
}

impl Completer for Names {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = words::split_unfinished(&line.as_bytes()[..at]);
        let Some((start, stem)) = typed.last() else { return Ok((at, Vec::new())) };
        let candidates = match typed.first() {
            Some((_, word)) if typed.len() > 1 => self.names(&String::from_utf8_lossy(word), stem),
            _ => of_words(stem),
        };
        Ok((*start, candidates))
    }
}

fn of_words(stem: &[u8]) -> Vec<Pair> {
    let words = WORDS.iter().filter(|(word, ..)| word.as_bytes().starts_with(stem));
    words.map(|(word, ..)| Pair { display: (*word).to_owned(), replacement: format!("{word} ") }).collect()
}

impl Names {
    /// Names that begin with `stem`, which may lead through folders. None where they cannot be had in time.
    fn names(&self, word: &str, stem: &[u8]) -> Vec<Pair> {
        let side = match word.to_lowercase().as_str() {
            "upload" => Some(&self.here),
            "ls" | "size" | "download" | "rm" => self.there.as_ref(),
            _ => None,
        };
        let parted = stem.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        let (folder, begin) = stem.split_at(parted);
        let Some(place) = side.and_then(|side| match folder {
            [] => Some(side.clone()),
            folder => side.below(&OsString::from_vec(folder.to_vec())).ok(),
        }) else {
            return Vec::new();
        };
        self.runtime.block_on(timeout(NAMES_TIME, names_in(&place, folder, begin))).unwrap_or_default()
    }
}

/// Each as the whole word that it completes to.
async fn names_in(place: &Place, folder: &[u8], begin: &[u8]) -> Vec<Pair> {
    let hidden = if begin.starts_with(b".") { Hidden::Shown } else { Hidden::LeftOut };
    let mut listing = place.link.list(&place.path, SortKey::Name, Direction::Ascending, hidden);
    let mut pairs = Vec::new();
    while pairs.len() < NAMES_MAX
        && let Ok(Some(page)) = listing.next_page().await
    {
        let fitting = page.entries.iter().filter(|entry| entry.name.as_bytes().starts_with(begin));
        pairs.extend(fitting.map(|entry| {
            let end = if entry.attributes.kind == Kind::Folder { "/" } else { " " };
            let whole = words::quote(&[folder, entry.name.as_bytes()].concat());
            Pair { display: entry.name.display().to_string(), replacement: whole + end }
        }));
    }
    pairs.truncate(NAMES_MAX);
    pairs
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {}
impl Validator for Names {}
impl Helper for Names {}
