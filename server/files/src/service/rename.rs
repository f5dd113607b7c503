//! Rename: within the root, atomically, replacing at most a file or link by a file or link.

use std::sync::Arc;

use towpath_protocol::answer::Done;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::Answer;
use towpath_protocol::request::{Durability, Existing, Rename};

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
            move_to(&from, &source, &to, &policy).map_err(at(&request.to))?;
            Ok(Done {}.into())
        })
        .await
}

fn move_to(from: &Held, source: &Attributes, to: &Held, policy: &Policy) -> Result<(), Fault> {
    let Some(there) = to.look()? else {
        policy.allows_over(None)?;
        return writing::rename_new(from.spot(), to.spot());
    };
    if there.identity == source.identity {
        return move_onto_itself(from, to, policy, &there);
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

/// Both names are of one thing: the same name, another case of it where case does not count, or a second hard link, which
/// the system's rename would leave as it is and call that a success.
fn move_onto_itself(from: &Held, to: &Held, policy: &Policy, there: &Attributes) -> Result<(), Fault> {
    let same_folder = Inode::of_open(&*from.folder)? == Inode::of_open(&*to.folder)?;
    if same_folder && from.name == to.name {
        return Err(FaultCode::IntoItself.into());
    }
    if there.kind == Kind::Folder || !writing::has_hard_links(from.spot())? {
        return writing::rename_over(from.spot(), to.spot());
    }
    policy.allows_over(Some(there))?;
    writing::remove_file(&*from.folder, &from.name)
}
