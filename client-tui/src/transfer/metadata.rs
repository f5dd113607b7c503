//! Metadata of a copy: modes and times, and on request owners and extended attributes, read at the source while the thing is
//! what it was and sent with the copy. What the destination could not give is told once. Nothing fails by it.

use towpath_protocol::answer::{Stored, Unset};
use towpath_protocol::entry::{Attributes, Kind, Version};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Capability;
use towpath_protocol::message::Answer;
use towpath_protocol::metadata::{Metadata, Part, Parts};
use towpath_protocol::path::Location;
use towpath_protocol::request::{ReadMetadata, SetMetadata};
use towpath_protocol::time::Time;

use super::job::Fact;
use super::shared::Shared;
use crate::link::Link;
use crate::model::number::noun;

/// Whether it was asked for, something is to change, and both sides know how.
pub(super) fn is_kept(shared: &Shared) -> bool {
    shared.job.on_request.metadata && !shared.job.is_dry && both_know(shared)
}

fn both_know(shared: &Shared) -> bool {
    knows(&shared.job.source) && knows(&shared.job.destination)
}

fn knows(link: &Link) -> bool {
    link.welcome().has(Capability::METADATA)
}

/// Tells where a side is too old for what was asked.
pub(super) async fn check(shared: &Shared) {
    if !shared.job.on_request.metadata || both_know(shared) {
        return;
    }
    let side = if knows(&shared.job.source) { "destination" } else { "source" };
    let what = format!(
        "owner, group and extended attributes are not kept: the server of the {side} is too old for that"
    );
    tell(shared, what).await;
}

/// Whether things that are the same on both sides may differ in what is kept.
pub(super) fn may_differ(shared: &Shared, attributes: &Attributes) -> bool {
    attributes.kind == Kind::File && is_kept(shared)
}

/// Of something at the source that must still be what it was; none where it is not to be kept.
pub(super) async fn of(
    shared: &Shared,
    thing: &Location,
    version: Version,
) -> Result<Option<Box<Metadata>>, Fault> {
    if !is_kept(shared) {
        return Ok(None);
    }
    let request = ReadMetadata { thing: thing.clone(), version: Some(version) };
    match shared.job.source.call(request).await? {
        Answer::Metadata(metadata) => Ok(Some(Box::new(metadata))),
        _ => Err(FaultCode::Malformed.into()),
    }
}

/// Counts what was stored without all that it was to have: `modified`, and its metadata. An older server does not tell that a time did not hold.
pub(super) fn stored(shared: &Shared, answer: &Answer, modified: Time) {
    if let Answer::Stored(Stored { attributes, unset }) = answer {
        let is_timed = attributes.modified.is_rounded_from(modified);
        count(shared, if is_timed { *unset } else { unset.with(Part::Modified) });
    }
}

/// The attributes that could not be set. `Err` if the fault is about more than an attribute.
pub(super) fn unless(part: Part, set: Result<(), Fault>) -> Result<Parts, Fault> {
    match set {
        Ok(()) => Ok(Parts::NONE),
        Err(fault) if is_of_attribute(fault.code) => Ok(Parts::NONE.with(part)),
        Err(fault) => Err(fault),
    }
}

const fn is_of_attribute(code: FaultCode) -> bool {
    matches!(
        code,
        FaultCode::PermissionDenied
            | FaultCode::NotSupportedHere
            | FaultCode::Unsupported
            | FaultCode::Busy
            | FaultCode::NoSpace
            | FaultCode::Io
            | FaultCode::SpecialFile
    )
}

/// Gives it to something that is there. Returns what could not be given.
pub(super) async fn set(
    shared: &Shared,
    thing: &Location,
    identity: u64,
    mode: u16,
    metadata: Metadata,
) -> Result<Parts, Fault> {
    let request = SetMetadata { thing: thing.clone(), identity, mode, metadata };
    match shared.job.destination.call(request).await {
        Ok(Answer::MetadataSet(set)) => Ok(set.unset),
        Ok(_) => Err(FaultCode::Malformed.into()),
        Err(fault) => unless(Part::Mode, Err(fault)),
    }
}

/// Counts a thing that lacks these.
pub(super) fn count(shared: &Shared, parts: Parts) {
    if !parts.are_none() {
        shared.tally.unset(Unset { parts, things: 1 });
    }
}

/// Tells once what could not be kept, and of how many things.
pub(super) async fn tell_unset(shared: &Shared) {
    let Unset { parts, things } = shared.tally.all_unset();
    if things > 0 {
        let things = format!("{things} {}", noun(things, "thing", "things"));
        tell(shared, format!("not kept: {parts}, of {things}")).await;
    }
}

async fn tell(shared: &Shared, what: String) {
    let place = shared.job.items.first().map(|item| item.to.clone()).unwrap_or_default();
    shared.tell(Fact::Noticed(place, what.into())).await;
}
