//! Remove: a file, link, folder or whole tree, name by name in folders held open, so that nothing that happens meanwhile
//! can lead it elsewhere. Never follows a link, never enters another file system.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::Answer;
use towpath_protocol::path::Name;
use towpath_protocol::request::{Depth, Remove};

use super::allowance::Gone;
use super::beside::{Held, Leaving, check_kept};
use super::blocking_pool::Class;
use super::ledger::Ledger;
use super::open_files::{Counted, OF_FOLDER, OpenFiles};
use super::tally::Tally;
use super::turns::Turn;
use super::{Service, aside, at};
use crate::disk;
use crate::disk::writing::{self, Inode};
use crate::exchange::Exchange;
use crate::memory::{self, Charge, Memory, Use};

/// Folders of one branch that are held open; those above are found again through `..`, and checked.
const FOLDERS_OPEN_MAX: usize = 64;
/// Names of a folder that are read at a time at first, ...
const NAMES_LEAST: usize = 1024;
/// ... and at most: twice as many each further time.
const NAMES_MOST: usize = 64 * 1024;
/// Memory of a folder that is being removed, besides its names.
const FOLDER_BYTES: usize = 1024;

pub(super) async fn remove(
    service: Arc<Service>,
    request: Remove,
    exchange: Exchange,
) -> Result<Answer, Fault> {
    if request.aside {
        return aside::remove(service, request, exchange).await;
    }
    let place = request.thing.clone();
    let begin = move |service: &Service| {
        let whole = request.thing.whole().map_err(|_| FaultCode::NameTooLong)?;
        let tally = Tally::new(&exchange, whole).keeping_out(service.root.kept().clone());
        let thing = Held::find(&service.root, &request.thing)?;
        let (ledger, memory) = (service.allowance.ledger().clone(), service.memory.clone());
        let open_files = service.open_files.clone();
        let (levels, counted) = (Vec::new(), Vec::new());
        let mut removal = Removal { top: thing, levels, tally, ledger, memory, open_files, counted };
        removal.begin(&request).map_err(at(&request.thing))?;
        Ok(removal)
    };
    let removal = service.clone().blocking(&place, begin).await?;
    let (Removal { tally, .. }, ()) =
        service.turn_by_turn(Class::Turn, None, &place, removal, Removal::go_on).await?;
    Ok(tally.finish().into())
}

/// A folder that is being removed with all in it, from the leaves up, without recursion: a tree may be deeper than a stack.
struct Removal {
    top: Held,
    /// The folders that are being emptied, outermost first; none when all is done.
    levels: Vec<Level>,
    tally: Tally,
    ledger: Ledger,
    memory: Memory,
    open_files: OpenFiles,
    /// One for each level, as far as they are open.
    counted: Vec<Counted>,
}

/// Removes a name with `remove`, and notes where what it led to is gone from the disk.
fn lose(
    thing: &Held,
    there: &Attributes,
    ledger: &Ledger,
    remove: impl FnOnce() -> Result<(), Fault>,
) -> Result<(), Fault> {
    let leaving = ledger.knows(there.identity).then(|| thing.leaving());
    remove()?;
    if let Some(Gone(Some(gone))) = leaving.map(Leaving::gone) {
        ledger.gone(gone);
    }
    Ok(())
}

/// A folder whose content is being removed.
struct Level {
    name: Name,
    /// None while too many are open.
    folder: Option<Arc<OwnedFd>>,
    inode: Inode,
    /// Some of the names in it, which are removed before the next ones are read, each with whether it may be a folder's.
    names: std::vec::IntoIter<(Name, bool)>,
    /// The folder may have others.
    has_more: bool,
    /// Why not all names could be read.
    fault: Option<Fault>,
    /// Names that were met and could not be removed, where others are to be read.
    stay: HashSet<Name>,
    /// Names to read the next time.
    names_max: usize,
    /// Charge of the names.
    charge: Charge,
    failures_before: u64,
}

impl Level {
    fn open(parent: &OwnedFd, name: Name, tally: &Tally, memory: &Memory) -> Result<Self, Fault> {
        let folder = writing::open_folder_here(parent, &name)?;
        let mut level = Self {
            name,
            inode: Inode::of_open(&folder)?,
            folder: Some(Arc::new(folder)),
            names: Vec::new().into_iter(),
            has_more: true,
            fault: None,
            stay: HashSet::new(),
            names_max: NAMES_LEAST,
            charge: memory.nothing(),
            failures_before: tally.failures(),
        };
        level.read_names()?;
        Ok(level)
    }

    /// Reads as many names as there is memory for. What was removed is not met again.
    fn read_names(&mut self) -> Result<(), Fault> {
        let Some(folder) = &self.folder else { return Err(FaultCode::Internal.into()) };
        self.has_more = false;
        self.charge.set(FOLDER_BYTES + self.stay.iter().map(memory::of_name).sum::<usize>());
        let mut names = Vec::new();
        for entry in disk::each_entry(folder)? {
            let (name, may_be_folder) = match entry {
                Ok(entry) => entry,
                Err(fault) => {
                    self.fault = Some(fault);
                    break;
                }
            };
            if self.stay.contains(&name) {
                continue;
            }
            if names.len() >= self.names_max || !self.charge.try_grow(memory::of_name(&name), Use::Parked) {
                self.has_more = true;
                break;
            }
            names.push((name, may_be_folder));
        }
        if names.is_empty() && self.has_more {
            return Err(Memory::refusal("the names in the folder take"));
        }
        self.names_max = (2 * self.names_max).min(NAMES_MOST);
        self.names = names.into_iter();
        Ok(())
    }

    /// It is still there, and is not to be met as a new one.
    fn stays(&mut self, name: &Name) {
        if self.has_more {
            self.stay.insert(name.clone());
        }
    }
}

impl Removal {
    /// Removes a single thing; of a tree only opens the folder, whose content goes first.
    fn begin(&mut self, request: &Remove) -> Result<(), Fault> {
        let Self { top, levels, tally, ledger, memory, open_files, counted } = self;
        check_unmounted(&top.folder, &top.name)?;
        let there = disk::stat(&*top.folder, &top.name)?;
        if request.expected.is_some_and(|expected| !there.version().is_named_by(&expected)) {
            return Err(FaultCode::Changed.into());
        }
        tally.step()?;
        match (there.kind, request.depth) {
            (Kind::Folder, Depth::Tree) => {
                let level = Level::open(&top.folder, top.name.clone(), tally, memory)?;
                counted.push(open_files.park(OF_FOLDER)?);
                levels.push(level);
            }
            (Kind::Folder, Depth::Single) => {
                lose(top, &there, ledger, || writing::remove_folder(&*top.folder, &top.name))?;
                tally.folder();
            }
            _ => {
                lose(top, &there, ledger, || writing::remove_file(&*top.folder, &top.name))?;
                tally.file(there.size);
            }
        }
        Ok(())
    }

    fn go_on(_: &Service, removal: &mut Self, turn: &Turn) -> Result<Option<()>, Fault> {
        while !removal.levels.is_empty() {
            removal.step()?;
            if turn.is_over() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    fn step(&mut self) -> Result<(), Fault> {
        let Self { top, levels, tally, ledger, memory, open_files, counted } = self;
        tally.step()?;
        let depth = levels.len();
        let Some(level) = levels.last_mut() else { return Ok(()) };
        let Some(folder) = &level.folder else { return Err(FaultCode::Internal.into()) };
        if let Some((name, may_be_folder)) = level.names.next() {
            tally.enter(name.clone());
            let unmounted = if may_be_folder { check_unmounted(folder, &name) } else { Ok(()) };
            let removed = unmounted.and_then(|()| remove_entry(folder, name.clone(), tally, ledger, memory));
            let opened = removed.and_then(|deeper| {
                if deeper.is_some() && depth < FOLDERS_OPEN_MAX {
                    counted.push(open_files.park(OF_FOLDER)?);
                }
                Ok(deeper)
            });
            match opened {
                Ok(None) => tally.leave(),
                Ok(Some(deeper)) => {
                    levels.push(deeper);
                    if let Some(far) = levels.len().checked_sub(FOLDERS_OPEN_MAX + 1) {
                        levels[far].folder = None;
                    }
                }
                Err(fault) => {
                    tally.failed(fault)?;
                    tally.leave();
                    level.stays(&name);
                }
            }
        } else if level.has_more {
            if let Err(fault) = level.read_names() {
                level.has_more = false;
                tally.failed(fault)?;
            }
        } else if let Some(fault) = level.fault.take() {
            tally.failed(fault)?;
        } else if let Some(emptied) = levels.pop() {
            counted.truncate(levels.len());
            let Some(parent) = levels.last_mut() else {
                return remove_emptied(&top.folder, &emptied, tally, ledger).map(drop);
            };
            reopen(parent, &emptied)?;
            let Some(folder) = &parent.folder else { return Err(FaultCode::Internal.into()) };
            match remove_emptied(folder, &emptied, tally, ledger) {
                Ok(Emptied::Gone) => {}
                Ok(Emptied::Stays) => parent.stays(&emptied.name),
                Err(fault) => {
                    tally.failed(fault)?;
                    parent.stays(&emptied.name);
                }
            }
            tally.leave();
        }
        Ok(())
    }
}

/// The result for a folder after all its entries.
enum Emptied {
    Gone,
    /// Some of it could not be removed, which was told.
    Stays,
}

/// `OtherFileSystem` where something is mounted, which is not asked: it may not answer.
fn check_unmounted(folder: &OwnedFd, name: &Name) -> Result<(), Fault> {
    if disk::is_mount(folder, name) { Err(FaultCode::OtherFileSystem.into()) } else { Ok(()) }
}

/// Removes an entry, or opens it where it is a folder whose content goes first.
fn remove_entry(
    folder: &Arc<OwnedFd>,
    name: Name,
    tally: &mut Tally,
    ledger: &Ledger,
    memory: &Memory,
) -> Result<Option<Level>, Fault> {
    let there = match disk::stat(folder, &name) {
        // Somebody else was faster.
        Err(fault) if fault.code == FaultCode::NotFound => return Ok(None),
        there => there?,
    };
    check_kept(tally.kept(), folder, &name)?;
    if there.kind == Kind::Folder {
        return Level::open(folder, name, tally, memory).map(Some);
    }
    let thing = Held { folder: folder.clone(), name };
    lose(&thing, &there, ledger, || writing::remove_file(&**folder, &thing.name))?;
    tally.file(there.size);
    Ok(None)
}

/// Removes a folder whose content is gone. Where some of it failed, that was told already, and the folder stays.
fn remove_emptied(
    parent: &OwnedFd,
    emptied: &Level,
    tally: &mut Tally,
    ledger: &Ledger,
) -> Result<Emptied, Fault> {
    match writing::remove_folder(parent, &emptied.name) {
        Ok(()) => {
            let gone = emptied.folder.as_ref().and_then(|folder| disk::identity_and_names(folder).ok());
            if let Some((identity, 0)) = gone {
                ledger.gone(identity);
            }
            tally.folder();
            Ok(Emptied::Gone)
        }
        Err(fault) if fault.code == FaultCode::NotEmpty && tally.failures() > emptied.failures_before => {
            Ok(Emptied::Stays)
        }
        Err(fault) => Err(fault),
    }
}

/// Opens a folder again from the one within it, if it was closed. It must be the same one still.
fn reopen(parent: &mut Level, child: &Level) -> Result<(), Fault> {
    if parent.folder.is_some() {
        return Ok(());
    }
    let Some(child) = &child.folder else { return Err(FaultCode::Internal.into()) };
    let folder = writing::open_parent(child)?;
    if Inode::of_open(&folder)? != parent.inode {
        return Err(Fault::new(FaultCode::Changed).because("a folder was moved while it was being removed"));
    }
    parent.folder = Some(Arc::new(folder));
    Ok(())
}
