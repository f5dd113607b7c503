//! Put: a whole small file in one message.

use std::sync::Arc;

use towpath_protocol::answer::Stored;
use towpath_protocol::entry::Attributes;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::message::Answer;
use towpath_protocol::metadata::Parts;
use towpath_protocol::path::Name;
use towpath_protocol::request::{Durability, Existing, Put};

use super::allowance::Hold;
use super::beside::{Held, Part, Policy, Reach};
use super::blocking_pool::Class;
use super::metadata::Wished;
use super::{Service, at};

/// A small file, written.
enum Written {
    InPlace(Attributes, Parts),
    /// Complete, and not to be put in place before it is on the disk.
    Beside(Part, Name, Policy, Hold, Parts),
}

pub(super) async fn put(service: Arc<Service>, request: Put) -> Result<Answer, Fault> {
    let place = request.file.clone();
    let _open = match request.store.durability {
        // It stays open until it is on the disk.
        Durability::Synced => Some(service.open_files.put().await?),
        Durability::Relaxed => None,
    };
    let written =
        service.clone().in_class(Class::Brief, &place, move |service| write(service, &request)).await?;
    let (attributes, unset) = match written {
        Written::InPlace(attributes, unset) => (attributes, unset),
        Written::Beside(part, name, policy, hold, unset) => {
            let attributes = service.flushing.place(part, name, policy, hold).await.map_err(at(&place))?;
            (attributes, unset)
        }
    };
    Ok(Stored { attributes, unset }.into())
}

fn write(service: &Service, request: &Put) -> Result<Written, Fault> {
    if Hash::of(&request.data) != request.hash {
        return Err(FaultCode::HashMismatch.into());
    }
    let policy = Policy::from(&request.store);
    // Where nothing is replaced, nothing has to be looked for: the name is given only where it is free.
    let (to, there) = if policy.existing == Existing::Keep {
        (Held::find_free(&service.root, &request.file)?, None)
    } else {
        let to = Held::find_new(&service.root, &request.file)?;
        let there = to.look()?;
        (to, there)
    };
    policy.allows_over(there.as_ref())?;
    let goes = to.going(there.as_ref(), service.allowance.ledger());
    let wished = Wished::of(service, request.store.metadata.as_deref());
    let hold = service.allowance.hold(&*to.folder, request.data.len() as u64 + wished.bytes(), goes)?;
    // Written in one go, it need not be hidden meanwhile.
    let reach = if wished.is_any() { Reach::Secret } else { Reach::Final };
    let of = (request.data.len() as u64, request.store.modified, request.store.mode);
    let part =
        Part::begin_anew(&to, there.as_ref(), of, reach, (service.allowance.client(), &service.leftovers))?;
    part.write(&request.data)?;
    let unset = part.finish(request.store.mode, &policy, wished)?;
    if policy.durability == Durability::Synced {
        return Ok(Written::Beside(part, to.name, policy, hold, unset));
    }
    Ok(Written::InPlace(part.put_in_place(&to.name, &policy, hold)?, unset))
}
