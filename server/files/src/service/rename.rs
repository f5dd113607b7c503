//! Rename: within the root, atomically, replacing at most a file or link by a file or link.

use std::sync::Arc;

use towpath_protocol::answer::Done;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, Name};
use towpath_protocol::request::{Durability, Existing, Rename};

use super::allowance::Gone;
use super::aside::Aside;
use super::beside::{Held, Policy};
use super::{Service, at};
use crate::disk;
use crate::disk::writing::{self, Inode};

pub(super) async fn rename(service: Arc<Service>, request: Rename) -> Result<Answer, Fault> {
    service
        .blocking(&request.from.clone(), move |service| {
            let from = Held::find(&service.root, &request.from)?;
            let to = Held::find_new(&service.root, &request.to).map_err(at(&request.to))?;
            let source = disk::stat(&*from.folder, &from.name)?;
            let policy = Policy {
                existing: request.existing,
                expected: request.expected,
                modified: source.modified,
                durability: Durability::Relaxed,
            };
            let (allowance, leaving) = (&service.allowance, to.leaving());
            let thing = writing::look_at(&*from.folder, &from.name)?;
            let is_own = allowance.is_own(&thing, &source);
            if source.kind == Kind::Folder || allowance.ledger().knows(source.identity) {
                allowance.ledger().moved();
            }
            move_to(service, (&from, &source), &to, &policy)
                .map_err(|fault| blamed(fault, &from, &request.from))
                .map_err(at(&request.to))?;
            if let Gone(Some(gone)) = leaving.gone() {
                allowance.ledger().gone(gone);
            }
            if is_own {
                allowance.changed(&thing)?;
            }
            Ok(Done {}.into())
        })
        .await
}

/// Names the source's folder where it is that one which takes no changes: the system tells both folders' refusals alike.
fn blamed(fault: Fault, from: &Held, source: &Location) -> Fault {
    if fault.code != FaultCode::PermissionDenied || writing::may_change(&*from.folder) {
        return fault;
    }
    match source.whole().ok().and_then(|path| path.parent()) {
        Some(folder) => fault.at(folder).because("nothing can be moved out of this folder"),
        None => fault,
    }
}

fn move_to(
    service: &Service,
    (from, source): (&Held, &Attributes),
    to: &Held,
    policy: &Policy,
) -> Result<(), Fault> {
    let Some(there) = to.look()? else {
        policy.allows_over(None)?;
        return writing::rename_new(from.spot(), to.spot());
    };
    let is_one_folder = Inode::of_open(&*from.folder)? == Inode::of_open(&*to.folder)?;
    if is_one_folder && from.name == to.name {
        return Err(FaultCode::IntoItself.into());
    }
    // Where names that differ in case are one, each spelling may have an identity of its own.
    let may_be_itself =
        there.identity == source.identity || (is_one_folder && differ_in_case(&from.name, &to.name));
    if may_be_itself && !(is_one_folder && is_listed(to)) && rename_spelling(service, from, to)? {
        return Ok(());
    }
    if there.identity == source.identity {
        return move_onto_itself(service, from, to, policy, &there);
    }
    if policy.existing == Existing::Keep {
        return Err(FaultCode::AlreadyExists.into());
    }
    match (source.kind, there.kind) {
        // A folder joins a folder entry by entry; that is no single step, and not for this request.
        (Kind::Folder, Kind::Folder) => Err(FaultCode::AlreadyExists.into()),
        (Kind::Folder, _) => Err(FaultCode::NotAFolder.into()),
        (kind, _) if kind.is_special() => Err(FaultCode::SpecialFile.into()),
        _ => {
            policy.allows_over(Some(&there))?;
            writing::rename_over(from.spot(), to.spot())
        }
    }
}

/// Returns whether a name is in its folder in exactly this spelling; false if that is unknown.
fn is_listed(place: &Held) -> bool {
    disk::each_name(&place.folder)
        .is_ok_and(|mut names| names.any(|name| name.is_ok_and(|name| name == place.name)))
}

fn differ_in_case(one: &Name, other: &Name) -> bool {
    let folded = |name: &Name| match std::str::from_utf8(name.as_bytes()) {
        Ok(text) => text.to_lowercase().into_bytes(),
        Err(_) => name.as_bytes().to_ascii_lowercase(),
    };
    folded(one) == folded(other)
}

/// Gives a thing another spelling of its name, where the file system takes both for one: the system's own rename of one to the other
/// may do nothing and call that a success. False where they are two names, and both are left as they were.
fn rename_spelling(service: &Service, from: &Held, to: &Held) -> Result<bool, Fault> {
    let aside = Aside::take(&service.asides, from.clone())?;
    match to.look() {
        Ok(None) => aside.place(to).map(|()| true),
        Ok(Some(_)) => aside.put_back().map(|()| false),
        Err(fault) => Err(fault),
    }
}

/// Both names are of one thing: a second hard link, which the system's rename would leave as it is and call that a success, or a folder
/// that is mounted twice.
fn move_onto_itself(
    service: &Service,
    from: &Held,
    to: &Held,
    policy: &Policy,
    there: &Attributes,
) -> Result<(), Fault> {
    if there.kind == Kind::Folder {
        return Err(FaultCode::IntoItself.into());
    }
    policy.allows_over(Some(there))?;
    let aside = Aside::take(&service.asides, from.clone())?;
    // The other name must lead to it while this one is out of the way.
    match to.look()? {
        Some(now) if now.identity == there.identity => aside.remove(),
        _ => Err(FaultCode::Changed.into()),
    }
}
