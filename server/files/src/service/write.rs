//! Put: a whole small file in one message.

use std::sync::Arc;

use towpath_protocol::answer::Stored;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::message::Answer;
use towpath_protocol::request::{Existing, Put};

use super::Service;
use super::beside::{Held, Part, Policy};

pub(super) async fn put(service: Arc<Service>, request: Put) -> Result<Answer, Fault> {
    service
        .brief(&request.file.clone(), move |service| {
            if Hash::of(&request.data) != request.hash {
                return Err(FaultCode::HashMismatch.into());
            }
            let to = Held::find(&service.root, &request.file)?;
            let policy = Policy::from(&request.store);
            if policy.existing != Existing::Keep {
                policy.allows_over(to.look()?.as_ref())?;
            }
            let bytes = request.data.len() as u64;
            let hold = service.allowance.hold(&*to.folder, bytes)?;
            let part = Part::create(&to.folder)?;
            part.write(&request.data)?;
            let attributes = part.place(&to.name, request.store.mode, &policy)?;
            hold.keep(bytes);
            Ok(Stored { attributes }.into())
        })
        .await
}
