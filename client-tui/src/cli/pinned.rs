//! What the destination of an unfinished command meant. `tow get tow://box/photos ./dest` makes `dest` where there is none; given again
//! after it was cut off it finds one, and would copy to `dest/photos`. So what is to be a new name is written into the journal before
//! anything is made, and found there by whoever gives the same command again: the same places and the same verb, wherever one stands.
//! It is forgotten once all of it has arrived; what failed is worth a repeat too.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use towpath_protocol::entry::{Attributes, Kind};

use super::output;
use super::place::Place;
use crate::model::Carry;
use crate::model::kept::KeptJob;
use crate::transfer::job::Verb;
use crate::transfer::journal::{Entry, EntryName, Journal, JournalFault, key};

/// Where they are written down; without a state folder nowhere.
#[derive(Debug, Clone, Default)]
pub(super) struct Pins {
    place: Option<(PathBuf, Duration)>,
}

/// That a destination is the new name itself.
#[derive(Debug)]
pub(super) struct Pin {
    journal: Arc<Journal>,
    name: EntryName,
}

impl Pins {
    pub(super) fn new(state_dir: Option<PathBuf>, kept: Duration) -> Self {
        Self { place: state_dir.map(|folder| (folder, kept)) }
    }

    /// Whether this command was begun before with that destination as a new name, or is about to begin so. Only a folder's copy looks
    /// different half done than not begun.
    pub(super) async fn pin(
        &self,
        verb: Verb,
        (source, attributes): (&Place, &Attributes),
        (destination, there): (&Place, Option<&Attributes>),
    ) -> Option<Pin> {
        let (folder, kept) = self.place.clone()?;
        let is_said = destination.is_folder || destination.is_content || source.is_content;
        let is_folder = |attributes: &Attributes| attributes.kind == Kind::Folder;
        if is_said || !is_folder(attributes) || !there.is_none_or(is_folder) {
            return None;
        }
        let is_new = there.is_none();
        let entry = Entry { begun_ns: now_ns(), job: job(verb, source, destination) };
        let words = words(verb, source, destination);
        let asked = tokio::task::spawn_blocking(move || pinned(&folder, kept, &words, (&entry, is_new)));
        let pinned = asked.await.unwrap_or(Ok(None)).unwrap_or_else(|fault| {
            // Nothing is worse than before there was a journal.
            let text = format!("tow: given again, this command may mean another destination: {fault}");
            output::note(&text);
            None
        });
        if pinned.is_some() && !is_new {
            output::note(&format!("tow: {}: goes on with what the same command began", destination.typed));
        }
        pinned
    }
}

impl Pin {
    /// The command is done.
    pub(super) async fn forget(self) {
        let _ = tokio::task::spawn_blocking(move || self.journal.forget(&self.name)).await;
    }
}

fn pinned(
    folder: &Path,
    kept: Duration,
    words: &[u8],
    (entry, is_new): (&Entry, bool),
) -> Result<Option<Pin>, JournalFault> {
    let (journal, key) = (Journal::open(folder, kept)?, key(words));
    let taken = journal.take(&key)?.filter(|(_, taken)| taken.job == entry.job);
    let name = journal.name_of(&key);
    if is_new {
        journal.note(&name, entry)?;
    }
    Ok((is_new || taken.is_some()).then(|| Pin { journal: Arc::new(journal), name }))
}

/// What decides where things go, and nothing else.
fn words(verb: Verb, source: &Place, destination: &Place) -> Vec<u8> {
    let mut words = if verb == Verb::Copy { b"copy".to_vec() } else { b"move".to_vec() };
    for place in [source, destination] {
        words.push(0);
        words.extend(server(place).into_bytes());
        words.push(0);
        words.extend(place.path.to_bytes());
    }
    words
}

fn server(place: &Place) -> String {
    place.server.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn job(verb: Verb, source: &Place, destination: &Place) -> KeptJob {
    KeptJob {
        carry: if verb == Verb::Copy { Carry::Copy } else { Carry::Move },
        source: server(source),
        destination: server(destination),
        items: vec![(source.path.clone(), destination.path.clone())],
        existing: None,
        limit: None,
        totals: None,
        place: 0,
        limit_of_all: None,
    }
}

fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}
