//! A journal of files that a move sets aside for a moment: a file that must go under another name while its copy is looked
//! at, and gets its own name back if that is not there. The next start gives back what a crash left aside. Records are files of our
//! own state, each held by the process that works on it; without a place for them, nothing is written down.
#![allow(clippy::disallowed_methods, reason = "paths of our own records, which no peer can name")]

use std::ffi::OsStr;
use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::{CWD, Mode, OFlags};
use towpath_protocol::display::DisplayName;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::Name;

use crate::disk;
use crate::disk::durable::flush_folder;
use crate::disk::writing::{self, Spot};
use crate::private_files::{Held, PrivateFault, PrivateFolder};

/// Records that are looked at at a start.
const RECORDS_MAX: usize = 10_000;
/// The ending of a record's name.
const ENDING: &str = ".aside";

/// Where it is written down what is set aside. Cheap to clone; by default it is not written down.
#[derive(Debug, Clone, Default)]
pub struct Asides(Option<Arc<Place>>);

#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Once it is needed.
    folder: OnceLock<PrivateFolder>,
}

/// That something is about to be set aside, or is. Dropped, the record goes.
#[derive(Debug)]
pub(crate) struct Record(Option<(Arc<Place>, String, Held)>);

/// Something that an earlier run left aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it was before it was set aside.
    pub place: PathBuf,
    /// Where it was found.
    pub aside: PathBuf,
    /// True if it has its name again; if not, something else has it.
    pub is_back: bool,
}

/// For people, safe for a terminal.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |path: &Path| DisplayName::new(path.as_os_str().as_bytes()).to_string();
        let (place, aside) = (shown(&self.place), shown(&self.aside));
        if self.is_back {
            write!(f, "{place}: restored; an interrupted move had set it aside")
        } else {
            write!(
                f,
                "{place}: something else has this name now; an interrupted move left the earlier one at {aside}"
            )
        }
    }
}

impl Asides {
    /// Records are kept in this folder, which is made when there is one to keep.
    pub fn at(folder: PathBuf) -> Self {
        Self(Some(Arc::new(Place { path: folder, folder: OnceLock::new() })))
    }

    /// Gives what an earlier run left aside its name back. What another process works on stays, and so does the record of a folder that
    /// is not there now.
    pub fn restore(&self) -> Vec<Found> {
        let Some(place) = self.0.as_ref().filter(|place| place.path.is_dir()) else { return Vec::new() };
        let Ok(records) = place.folder() else { return Vec::new() };
        let names = records.names(RECORDS_MAX).unwrap_or_default();
        let mut found = Vec::new();
        if names.is_empty() {
            return found;
        }
        let Ok(records) = records.lock() else { return found };
        for name in names {
            let is_record = name.ends_with(ENDING);
            if !is_record && !name.ends_with(".aside.new") {
                continue;
            }
            let Ok(Some(_held)) = records.hold(&name) else { continue };
            let Ok(Some(content)) = records.read(&name) else { continue };
            // Nothing was set aside for an incomplete record.
            if is_record && let Some(record) = parsed(&content) {
                match restore(&record) {
                    Ok(restored) => found.extend(restored),
                    Err(fault) => {
                        tracing::warn!(%fault, "what an interrupted move had set aside could not be restored");
                        continue;
                    }
                }
            }
            if let Err(fault) = records.remove(&name) {
                tracing::warn!(%fault, "the record of a move stays");
            }
        }
        found
    }

    /// Writes down, durably, that what is called `name` in a folder will be called `aside` for a while.
    pub(crate) fn write_down(
        &self,
        folder: &OwnedFd,
        name: &Name,
        aside: &Name,
        id: &str,
    ) -> Result<Record, Fault> {
        let Some(place) = &self.0 else { return Ok(Record(None)) };
        let path = disk::path_of(folder)?;
        let content = [path.as_os_str().as_bytes(), name.as_bytes(), aside.as_bytes()].join(&0);
        let record = format!("{id}{ENDING}");
        let held = place.folder().and_then(|records| records.make_held(&record, &content));
        let held = held.map_err(|fault| {
            Fault::new(FaultCode::NotSupportedHere)
                .because(format!("nowhere to write down the move ({fault})"))
        })?;
        Ok(Record(Some((place.clone(), record, held))))
    }
}

impl Place {
    fn folder(&self) -> Result<&PrivateFolder, PrivateFault> {
        if let Some(folder) = self.folder.get() {
            return Ok(folder);
        }
        let opened = PrivateFolder::open(&self.path)?;
        Ok(self.folder.get_or_init(|| opened))
    }
}

impl Record {
    /// Leaves it for the next start.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some((place, name, held)) = self.0.take()
            && let Err(fault) = place.folder().and_then(|records| records.remove_held(&name, held))
        {
            tracing::warn!(%fault, "the record of a move stays");
        }
    }
}

/// A parsed record.
struct Moved {
    folder: PathBuf,
    name: Name,
    aside: Name,
}

fn parsed(content: &[u8]) -> Option<Moved> {
    let mut parts = content.split(|byte| *byte == 0);
    let folder = PathBuf::from(OsStr::from_bytes(parts.next()?));
    let (name, aside) = (Name::new(parts.next()?).ok()?, Name::new(parts.next()?).ok()?);
    (folder.is_absolute() && parts.next().is_none()).then_some(Moved { folder, name, aside })
}

/// None where nothing is aside any more, or was not yet.
fn restore(Moved { folder, name, aside }: &Moved) -> Result<Option<Found>, Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(CWD, folder, flags, Mode::empty()).map_err(disk::fault_of)?;
    if let Err(fault) = disk::stat(&opened, aside) {
        return if fault.code == FaultCode::NotFound { Ok(None) } else { Err(fault) };
    }
    let is_back = match writing::rename_new(Spot::new(&opened, aside), Spot::new(&opened, name)) {
        Ok(()) => true,
        Err(fault) if fault.code == FaultCode::AlreadyExists => false,
        Err(fault) => return Err(fault),
    };
    flush_folder(&opened)?;
    let at = |name: &Name| folder.join(OsStr::from_bytes(name.as_bytes()));
    Ok(Some(Found { place: at(name), aside: at(aside), is_back }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn name(text: &str) -> Name {
        Name::try_from(text).unwrap()
    }

    struct Ground {
        dir: tempfile::TempDir,
        folder: OwnedFd,
    }

    impl Ground {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("files")).unwrap();
            let folder = fs::File::open(dir.path().join("files")).unwrap().into();
            Self { dir, folder }
        }

        fn asides(&self) -> Asides {
            Asides::at(self.dir.path().join("state/asides"))
        }

        fn at(&self, name: &str) -> PathBuf {
            self.dir.path().join("files").join(name)
        }

        fn records(&self) -> usize {
            let records = fs::read_dir(self.dir.path().join("state/asides")).unwrap();
            let is_record = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().contains(ENDING);
            records.map(Result::unwrap).filter(is_record).count()
        }
    }

    #[test]
    fn f80_what_a_crash_left_aside_gets_its_name_back_at_the_next_start() {
        let ground = Ground::new();
        for (is_taken, is_moved) in [(false, true), (true, true), (false, false)] {
            let asides = ground.asides();
            fs::write(ground.at("file"), "precious").unwrap();
            let record = asides.write_down(&ground.folder, &name("file"), &name("aside"), "1").unwrap();
            if is_moved {
                fs::rename(ground.at("file"), ground.at("aside")).unwrap();
            }
            if is_taken {
                fs::write(ground.at("file"), "another").unwrap();
            }
            assert_eq!(ground.asides().restore(), [], "somebody is at it");
            record.keep();
            let found = ground.asides().restore();
            assert_eq!(found.len(), usize::from(is_moved), "{found:?}");
            let left = if is_taken { "aside" } else { "file" };
            assert_eq!(fs::read_to_string(ground.at(left)).unwrap(), "precious");
            if is_taken {
                assert_eq!(fs::read_to_string(ground.at("file")).unwrap(), "another");
                assert!(found[0].to_string().contains("/aside"), "{}", found[0]);
                fs::remove_file(ground.at("aside")).unwrap();
            }
            assert_eq!((ground.records(), ground.asides().restore()), (0, vec![]), "told once");
        }
    }

    #[test]
    fn a_record_stays_while_its_folder_is_away_and_goes_where_it_says_nothing() {
        let ground = Ground::new();
        let asides = ground.asides();
        fs::write(ground.at("file"), "precious").unwrap();
        let record = asides.write_down(&ground.folder, &name("file"), &name("aside"), "1").unwrap();
        fs::rename(ground.at("file"), ground.at("aside")).unwrap();
        record.keep();
        let (here, away) = (ground.dir.path().join("files"), ground.dir.path().join("not mounted"));
        fs::rename(&here, &away).unwrap();
        assert_eq!((asides.restore(), ground.records()), (vec![], 1));
        fs::rename(&away, &here).unwrap();
        assert_eq!(asides.restore().len(), 1);
        assert_eq!(fs::read_to_string(ground.at("file")).unwrap(), "precious");
        for (at, content) in [("2.aside.new", "half"), ("3.aside", ""), ("4.aside", "relative\0a\0b")] {
            let record = ground.dir.path().join("state/asides").join(at);
            fs::write(&record, content).unwrap();
            std::os::unix::fs::PermissionsExt::set_mode(
                &mut fs::metadata(&record).unwrap().permissions(),
                0o600,
            );
        }
        assert_eq!(asides.restore(), []);
    }
}
