//! Remove: a file, link, folder or whole tree, name by name in folders held open, so that nothing that happens meanwhile
//! can lead it elsewhere. Never follows a link, never enters another file system.

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
use super::tally::Tally;
use super::turns::Turn;
use super::{Service, aside, at};
use crate::disk;
use crate::disk::writing::{self, Inode};
use crate::exchange::Exchange;

/// Folders of one branch that are held open; those above are found again through `..`, and checked.
const FOLDERS_OPEN_MAX: usize = 64;

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
        let mut tally = Tally::new(&exchange, whole).keeping_out(service.root.kept().clone());
        let thing = Held::find(&service.root, &request.thing)?;
        let ledger = service.allowance.ledger().clone();
        let levels = remove_thing(&thing, &request, &mut tally, &ledger).map_err(at(&request.thing))?;
        Ok(Removal { top: thing, levels, tally, ledger })
    };
    let removal = service.clone().blocking(&place, begin).await?;
    let (Removal { tally, .. }, ()) =
        service.certainly_in_turns(Class::Turn, &place, removal, Removal::go_on).await?;
    Ok(tally.finish().into())
}

/// A folder that is being removed with all in it, from the leaves up, without recursion: a tree may be deeper than a stack.
struct Removal {
    top: Held,
    /// The folders that are being emptied, outermost first; none when all is done.
    levels: Vec<Level>,
    tally: Tally,
    ledger: Ledger,
}

/// Removes a single thing; of a tree only opens the folder, whose content goes first.
fn remove_thing(
    thing: &Held,
    request: &Remove,
    tally: &mut Tally,
    ledger: &Ledger,
) -> Result<Vec<Level>, Fault> {
    let there = disk::stat(&*thing.folder, &thing.name)?;
    if request.expected.is_some_and(|expected| !there.version().is_named_by(&expected)) {
        return Err(FaultCode::Changed.into());
    }
    tally.step()?;
    match (there.kind, request.depth) {
        (Kind::Folder, Depth::Tree) => {
            return Ok(vec![Level::open(&thing.folder, thing.name.clone(), tally)?]);
        }
        (Kind::Folder, Depth::Single) => {
            lose(thing, &there, ledger, || writing::remove_folder(&*thing.folder, &thing.name))?;
            tally.folder();
        }
        _ => {
            lose(thing, &there, ledger, || writing::remove_file(&*thing.folder, &thing.name))?;
            tally.file(there.size);
        }
    }
    Ok(Vec::new())
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
    names: std::vec::IntoIter<Name>,
    failures_before: u64,
}

impl Level {
    fn open(parent: &OwnedFd, name: Name, tally: &Tally) -> Result<Self, Fault> {
        let folder = writing::open_folder_here(parent, &name)?;
        let inode = Inode::of_open(&folder)?;
        let names = disk::names(&folder)?.into_iter();
        Ok(Self { name, folder: Some(Arc::new(folder)), inode, names, failures_before: tally.failures() })
    }
}

impl Removal {
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
        let Self { top, levels, tally, ledger } = self;
        tally.step()?;
        let Some(level) = levels.last_mut() else { return Ok(()) };
        let Some(folder) = &level.folder else { return Err(FaultCode::Internal.into()) };
        if let Some(name) = level.names.next() {
            tally.enter(name.clone());
            match remove_entry(folder, name, tally, ledger) {
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
                }
            }
        } else if let Some(emptied) = levels.pop() {
            let Some(parent) = levels.last_mut() else {
                return remove_emptied(&top.folder, &emptied, tally, ledger);
            };
            reopen(parent, &emptied)?;
            if let Some(folder) = &parent.folder
                && let Err(fault) = remove_emptied(folder, &emptied, tally, ledger)
            {
                tally.failed(fault)?;
            }
            tally.leave();
        }
        Ok(())
    }
}

/// Removes an entry, or opens it where it is a folder whose content goes first.
fn remove_entry(
    folder: &Arc<OwnedFd>,
    name: Name,
    tally: &mut Tally,
    ledger: &Ledger,
) -> Result<Option<Level>, Fault> {
    let there = match disk::stat(folder, &name) {
        // Somebody else was faster.
        Err(fault) if fault.code == FaultCode::NotFound => return Ok(None),
        there => there?,
    };
    check_kept(tally.kept(), folder, &name)?;
    if there.kind == Kind::Folder {
        return Level::open(folder, name, tally).map(Some);
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
) -> Result<(), Fault> {
    match writing::remove_folder(parent, &emptied.name) {
        Ok(()) => {
            let gone = emptied.folder.as_ref().and_then(|folder| disk::identity_and_names(folder).ok());
            if let Some((identity, 0)) = gone {
                ledger.gone(identity);
            }
            tally.folder();
            Ok(())
        }
        Err(fault) if fault.code == FaultCode::NotEmpty && tally.failures() > emptied.failures_before => {
            Ok(())
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
