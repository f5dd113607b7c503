//! What is made or set in one step: folders, links, modes, times.

use std::sync::Arc;

use towpath_protocol::answer::{Done, Stored};
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::Answer;
use towpath_protocol::metadata::Parts;
use towpath_protocol::request::{Durability, Existing, MakeFolder, MakeLink, SetMode, SetTimes};

use super::Service;
use super::allowance::{Allowance, Gone};
use super::beside::{Held, Policy, place_link};
use super::change::{Change, Reach};
use super::metadata::Wished;
use crate::disk::{self, mode, times, writing};
use crate::root::{Guarded, Kept};

/// Bytes of a folder on most disks.
const FOLDER_BYTES: u64 = 4096;

/// Permission bits that a folder has until its final ones are set, so that it can be filled.
pub(super) const FILLABLE: u16 = 0o700;

pub(super) async fn folder(service: Arc<Service>, request: MakeFolder) -> Result<Answer, Fault> {
    service
        .blocking(&request.folder.clone(), move |service| {
            let to = Held::look_for(&service.root, &request.folder)?;
            to.check_name()?;
            make_folder(&to, request.mode, request.existing, service.root.kept(), &service.allowance)?;
            Ok(Stored { attributes: disk::stat(&*to.folder, &to.name)?, unset: Parts::NONE }.into())
        })
        .await
}

/// Whether a folder was made or was there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    New,
    Joined,
}

/// Makes a folder, or joins one that exists where `existing` allows it; never through a link. One that leads to what is kept can be
/// joined and not made.
pub(super) fn make_folder(
    to: &Held,
    mode: u16,
    existing: Existing,
    kept: &Kept,
    allowance: &Arc<Allowance>,
) -> Result<Made, Fault> {
    if let Err(refusal) = to.check(kept) {
        let is_way = kept.guards(&*to.folder, &to.name)? == Some(Guarded::Way);
        let is_folder = to.look()?.is_some_and(|there| there.kind == Kind::Folder);
        return match existing {
            Existing::Replace | Existing::ReplaceOlder if is_way && is_folder => Ok(Made::Joined),
            Existing::Keep if is_way && is_folder => Err(FaultCode::AlreadyExists.into()),
            _ => Err(refusal),
        };
    }
    let hold = match to.look()? {
        None => Some(allowance.hold(&*to.folder, FOLDER_BYTES, None)?),
        Some(_) => None,
    };
    match writing::make_folder(&*to.folder, &to.name, FILLABLE | mode & 0o777) {
        Ok(()) => {
            let made = disk::stat(&*to.folder, &to.name)?;
            let seal = disk::seal_of_name(&*to.folder, &to.name, &made);
            let hold = hold.map_or_else(|| allowance.hold(&*to.folder, FOLDER_BYTES, None), Ok);
            hold?.store(&made, seal, FOLDER_BYTES, Gone::default());
            Ok(Made::New)
        }
        Err(fault) if fault.code != FaultCode::AlreadyExists || existing == Existing::Keep => Err(fault),
        Err(_) => match to.look()? {
            Some(there) if there.kind == Kind::Folder => Ok(Made::Joined),
            _ => Err(FaultCode::NotAFolder.into()),
        },
    }
}

pub(super) async fn link(service: Arc<Service>, request: MakeLink) -> Result<Answer, Fault> {
    service
        .blocking(&request.link.clone(), move |service| {
            let to = Held::find_new(&service.root, &request.link)?;
            let policy = Policy {
                existing: request.existing,
                expected: request.expected,
                modified: request.modified,
                durability: Durability::Relaxed,
            };
            policy.allows_over(to.look()?.as_ref())?;
            let metadata = Wished::of(service, request.metadata.as_deref());
            let (attributes, unset) =
                place_link(&to, &request.target, &policy, metadata, &service.allowance)?;
            Ok(Stored { attributes, unset }.into())
        })
        .await
}

pub(super) async fn set_mode(service: Arc<Service>, request: SetMode) -> Result<Answer, Fault> {
    service
        .blocking(&request.thing.clone(), move |service| {
            let thing = Held::find(&service.root, &request.thing)?;
            let change = Change::begin(service, writing::look_at(&*thing.folder, &thing.name)?)?;
            let permitted = mode::permitted_in(&*thing.folder, request.mode);
            if change.found().mode & 0o777 != permitted {
                change.check_reach(service, Reach::Content)?;
            }
            mode::set_mode(&*thing.folder, &thing.name, permitted)?;
            change.end(service)?;
            Ok(Done {}.into())
        })
        .await
}

pub(super) async fn set_times(service: Arc<Service>, request: SetTimes) -> Result<Answer, Fault> {
    service
        .blocking(&request.thing.clone(), move |service| {
            let thing = Held::find(&service.root, &request.thing)?;
            let change = Change::begin(service, writing::look_at(&*thing.folder, &thing.name)?)?;
            change.check_reach(service, Reach::Itself)?;
            times::set_modified(&*thing.folder, &thing.name, request.modified)?;
            change.end(service)?;
            Ok(Done {}.into())
        })
        .await
}
