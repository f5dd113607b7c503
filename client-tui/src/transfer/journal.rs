//! What survives the end of the program, however it ends: a small private file for each job that is not over. Of the panes' copies and
//! moves, so that the next start can ask what is to become of them; of one-job commands, what their destination meant when they began.
//! Deletions are never kept: by the next time something else may have that name.
//!
//! The files of a `tow` that runs carry its name, and it holds a lock as long as it lives, so nobody takes them for left over. What is
//! left is claimed by a new name before anybody is asked about it. What nobody came back for is forgotten after as long as the
//! unfinished files themselves are kept, counted from when it was last written: none of those goes before its job does.

mod format;

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use towpath_files::private_files::{FileStamp, Held, Locked, PrivateFault, PrivateFolder};
use towpath_protocol::hash::Hash;

pub use format::Entry;
use format::{Unread, read, written};

/// The client's own files, below the state folder.
const FOLDER: &str = "client/journal";
/// Files there.
const FILES_MAX: usize = 4_096;
/// Of what is left at most so much is read at a start; more waits for the next one.
const LEFT_BYTES_MAX: usize = 64 << 20;
/// More than this is not kept of one job.
const ENTRY_BYTES_MAX: usize = 4_000_000;
/// Whose jobs nobody has.
const NOBODY: &str = "0000000000000000";

/// Why a job cannot be kept, or what is kept cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalFault {
    #[error(transparent)]
    Private(#[from] PrivateFault),
    #[error("it has too many things to be written down")]
    TooLarge,
    #[error("there are {FILES_MAX} files of jobs already")]
    Full,
    #[error("no random numbers")]
    Random,
}

/// Whose job it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Panes,
    Command,
}

impl Of {
    const ALL: [Self; 2] = [Self::Panes, Self::Command];

    const fn word(self) -> &'static str {
        match self {
            Self::Panes => "panes",
            Self::Command => "command",
        }
    }
}

/// A job's file: `panes-OWNER-ID` or `command-OWNER-KEY`, in digits of base 16.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryName {
    of: Of,
    owner: String,
    id: String,
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.of.word(), self.owner, self.id)
    }
}

impl EntryName {
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let (of, owner, id) = (parts.next()?, parts.next()?, parts.next()?);
        let of = Of::ALL.into_iter().find(|known| known.word() == of)?;
        let is_whole = is_digits(owner) && is_digits(id) && parts.next().is_none();
        is_whole.then(|| Self { of, owner: owner.to_owned(), id: id.to_owned() })
    }
}

fn is_digits(text: &str) -> bool {
    (16..=32).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn living(owner: &str) -> String {
    format!("living-{owner}")
}

/// What stands for a command that is given again: the digits of a hash of the words that decide where things go.
pub fn key(words: &[u8]) -> String {
    digits(&Hash::of(words).0[..16])
}

/// What is left of the panes' jobs, in the order of their queue; each is claimed.
#[derive(Debug, Default)]
pub struct Left {
    pub jobs: Vec<(EntryName, Entry)>,
    /// What could not be read, or was forgotten, in words.
    pub said: Vec<String>,
}

/// The journal of one `tow`. All its calls block.
#[derive(Debug)]
pub struct Journal {
    folder: PrivateFolder,
    owner: String,
    /// As long as it is held, what carries this owner's name is not left over.
    _living: Held,
    kept: Duration,
}

impl Journal {
    /// Opens it below the state folder; what is older than `kept` is forgotten.
    pub fn open(state_dir: &Path, kept: Duration) -> Result<Self, JournalFault> {
        let folder = PrivateFolder::open(&state_dir.join(FOLDER))?;
        let owner = random_digits()?;
        let held = folder.lock()?.hold(&living(&owner))?;
        let held = held.ok_or(JournalFault::Random)?;
        Ok(Self { folder, owner, _living: held, kept })
    }

    /// A name for a job of the panes.
    pub fn new_name(&self) -> Result<EntryName, JournalFault> {
        Ok(EntryName { of: Of::Panes, owner: self.owner.clone(), id: random_digits()? })
    }

    /// The name of a command's job.
    pub fn name_of(&self, key: &str) -> EntryName {
        EntryName { of: Of::Command, owner: self.owner.clone(), id: key.to_owned() }
    }

    /// Writes a job down, durably; what was written of it before is replaced.
    pub fn note(&self, name: &EntryName, entry: &Entry) -> Result<(), JournalFault> {
        let content = written(entry);
        if content.len() > ENTRY_BYTES_MAX {
            return Err(JournalFault::TooLarge);
        }
        let (locked, name) = (self.folder.lock()?, name.to_string());
        let is_new = self.folder.stamp(&name).is_none();
        if is_new && self.folder.names(FILES_MAX)?.len() == FILES_MAX {
            return Err(JournalFault::Full);
        }
        Ok(locked.write(&name, &content)?)
    }

    /// The job is over.
    pub fn forget(&self, name: &EntryName) -> Result<(), JournalFault> {
        Ok(self.folder.lock()?.remove(&name.to_string())?)
    }

    /// The job is for whoever asks next, also while this `tow` runs on.
    pub fn leave(&self, name: &EntryName) -> Result<(), JournalFault> {
        let locked = self.folder.lock()?;
        let left = EntryName { owner: NOBODY.to_owned(), ..name.clone() };
        Ok(locked.rename(&name.to_string(), &left.to_string())?)
    }

    /// Claims the jobs of the panes that a `tow` left which lives no more.
    pub fn take_left(&self) -> Result<Left, JournalFault> {
        let locked = self.folder.lock()?;
        let (mut left, mut bytes, mut later) = (Left::default(), 0, 0);
        for name in self.left_over(&locked, &mut left.said)? {
            if name.of != Of::Panes {
                continue;
            }
            if bytes >= LEFT_BYTES_MAX {
                later += 1;
                continue;
            }
            match self.claim(&locked, &name) {
                Ok(Some((claimed, entry, len))) => {
                    bytes += len;
                    left.jobs.push((claimed, entry));
                }
                Ok(None) => {}
                Err(fault) => left.said.push(format!("a job of an earlier tow: {fault}")),
            }
        }
        if later > 0 {
            left.said.push(format!("{later} more jobs of an earlier tow wait for its next start"));
        }
        left.jobs.sort_by_key(|(_, entry)| (entry.job.place, entry.begun_ns));
        Ok(left)
    }

    /// Claims what a command with this key left that lives no more; what cannot be read is as good as nothing.
    pub fn take(&self, key: &str) -> Result<Option<(EntryName, Entry)>, JournalFault> {
        let locked = self.folder.lock()?;
        let mut taken = None;
        for name in self.left_over(&locked, &mut Vec::new())? {
            if name.of != Of::Command || name.id != key {
                continue;
            }
            // There are two where two ran at once; they mean the same.
            if let Ok(Some((claimed, entry, _))) = self.claim(&locked, &name) {
                taken = Some((claimed, entry));
            }
        }
        Ok(taken)
    }

    /// What belongs to nobody who lives. What is too old is removed, and so is what a write left unfinished.
    fn left_over(&self, locked: &Locked<'_>, said: &mut Vec<String>) -> Result<Vec<EntryName>, JournalFault> {
        let names = self.folder.names(2 * FILES_MAX)?;
        let mut owners = HashSet::from([self.owner.as_str()]);
        for owner in names.iter().filter_map(|name| name.strip_prefix("living-")) {
            // Whoever opens a journal takes its lock before it gives this one back.
            match locked.hold(&living(owner)) {
                Ok(Some(_)) if owner != self.owner => locked.remove(&living(owner))?,
                _ => _ = owners.insert(owner),
            }
        }
        let mut left = Vec::new();
        for text in &names {
            let (entry, is_unfinished) =
                text.strip_suffix(".new").map_or((&**text, false), |name| (name, true));
            let Some(name) = EntryName::parse(entry).filter(|name| !owners.contains(&*name.owner)) else {
                continue;
            };
            if is_unfinished {
                locked.remove(text)?;
            } else if self.is_void(text) {
                locked.remove(text)?;
                if name.of == Of::Panes {
                    said.push("a job that an earlier tow left was too old, and is forgotten".to_owned());
                }
            } else {
                left.push(name);
            }
        }
        Ok(left)
    }

    fn is_void(&self, name: &str) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let written = self.folder.stamp(name).map_or(0, FileStamp::written_seconds);
        let written = Duration::from_secs(u64::try_from(written).unwrap_or(0));
        now.saturating_sub(written) > self.kept
    }

    /// Reads a job and makes it ours. One that makes no sense is put aside, so that it is told once; a newer `tow` finds its own.
    fn claim(
        &self,
        locked: &Locked<'_>,
        name: &EntryName,
    ) -> Result<Option<(EntryName, Entry, usize)>, JournalFault> {
        let text = name.to_string();
        let Some(content) = locked.read(&text)? else { return Ok(None) };
        match read(&content) {
            Ok(entry) => {
                let claimed = EntryName { owner: self.owner.clone(), ..name.clone() };
                locked.rename(&text, &claimed.to_string())?;
                Ok(Some((claimed, entry, content.len())))
            }
            Err(why) => {
                if matches!(why, Unread::Senseless(_)) {
                    locked.rename(&text, &format!("damaged-{}", name.id))?;
                }
                Err(self.folder.not_understood(&text, why).into())
            }
        }
    }
}

impl Drop for Journal {
    /// A name for whoever lives is of no use any more; where it stays, the next one takes it away.
    fn drop(&mut self) {
        if let Ok(locked) = self.folder.lock() {
            let _ = locked.remove(&living(&self.owner));
        }
    }
}

fn random_digits() -> Result<String, JournalFault> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|_| JournalFault::Random)?;
    Ok(digits(&random))
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "fixtures")]
mod tests;
