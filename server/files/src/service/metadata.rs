//! What things have besides their attributes: read, and given to what is made or in place, as far as this client may. To give owners
//! and all that has to do with them takes a permission of its own.

use std::os::fd::AsFd;
use std::sync::Arc;

use towpath_protocol::answer::MetadataSet;
use towpath_protocol::entry::{Attributes, Kind, Version};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::message::Answer;
use towpath_protocol::metadata::{Metadata, Part, Parts};
use towpath_protocol::path::Name;
use towpath_protocol::permissions::Permission;
use towpath_protocol::request::{ReadMetadata, SetMetadata};

use super::Service;
use super::beside::kept_fault;
use super::blocking_pool::Class;
use super::change::{Change, Reach};
use crate::disk::metadata::{self, Authority};
use crate::disk::{self, mode, writing};
use crate::exchange::Exchange;
use crate::memory::{self, Memory};

/// What this client may give to things, and see of them.
pub(super) const fn authority(service: &Service) -> Authority {
    if service.welcome.permissions().allow(Permission::Owner) { Authority::Process } else { Authority::User }
}

/// What something is to be given besides its mode, where anything is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wished<'a>(Option<(&'a Metadata, Authority)>);

impl<'a> Wished<'a> {
    pub(super) fn of(service: &Service, metadata: Option<&'a Metadata>) -> Self {
        Self(metadata.map(|metadata| (metadata, authority(service))))
    }

    pub(super) const fn is_any(self) -> bool {
        self.0.is_some()
    }

    /// Bytes of the extended attributes in it.
    pub(super) fn bytes(self) -> u64 {
        let extended = self.0.map_or(&[][..], |(metadata, _)| &metadata.extended);
        extended.iter().map(|extended| extended.bytes() as u64).fold(0, u64::saturating_add)
    }

    /// Sets the metadata of an open file that no other client has. `permitted` is the mode that its folder permits. Returns what could not be set.
    pub(super) fn give(self, file: impl AsFd, mode: u16, permitted: u16) -> Result<Parts, Fault> {
        match self.0 {
            Some((wished, authority)) => metadata::give(file, (mode, permitted), wished, authority),
            None => Ok(unless(Part::Mode, mode::set_open_mode(file, permitted))),
        }
    }

    /// To an open folder.
    pub(super) fn give_folder(self, folder: impl AsFd, mode: u16, permitted: u16) -> Result<Parts, Fault> {
        match self.0 {
            Some((wished, authority)) => metadata::give(folder, (mode, permitted), wished, authority),
            None => Ok(unless(Part::Mode, mode::set_open_folder_mode(folder, permitted))),
        }
    }

    /// To a link that was made under this name; to nothing that has taken its place.
    pub(super) fn give_link(self, folder: impl AsFd, name: &Name) -> Result<Parts, Fault> {
        let Some((wished, authority)) = self.0 else { return Ok(Parts::NONE) };
        let link = writing::look_at(folder, name)?;
        if disk::stat_open(&link)?.kind != Kind::Link {
            return Err(FaultCode::Changed.into());
        }
        metadata::give(link, (0, 0), wished, authority)
    }
}

impl<'a> From<Option<&'a (Metadata, Authority)>> for Wished<'a> {
    fn from(wished: Option<&'a (Metadata, Authority)>) -> Self {
        Self(wished.map(|(metadata, authority)| (metadata, *authority)))
    }
}

/// The part that was not set, if it was not: an attribute never fails the content.
#[allow(clippy::needless_pass_by_value, reason = "what came of a call is judged where it is made")]
pub(super) fn unless(part: Part, set: Result<(), Fault>) -> Parts {
    if set.is_ok() { Parts::NONE } else { Parts::NONE.with(part) }
}

pub(super) async fn read(
    service: Arc<Service>,
    request: ReadMetadata,
    exchange: Exchange,
) -> Result<Answer, Fault> {
    let place = request.thing.clone();
    let read = move |service: &Service| {
        let thing = service.root.thing(&request.thing)?;
        if let Some(version) = &request.version {
            check(version, &disk::stat_open(&thing)?)?;
        }
        let answer = metadata::read(thing, authority(service))?.into();
        if !exchange.answers.try_pay_ahead(memory::of_answer(&answer)) {
            return Err(Memory::refusal("the metadata takes"));
        }
        Ok(answer)
    };
    service.in_class(Class::Brief, &place, read).await
}

/// A file that only grew is the same, and so is a folder in which something changed.
fn check(wanted: &Version, found: &Attributes) -> Result<(), Fault> {
    let version = found.version();
    let is_same = version.is_named_by(wanted)
        || (version.identity == wanted.identity
            && (found.kind == Kind::Folder || version.size > wanted.size));
    if is_same { Ok(()) } else { Err(FaultCode::Changed.into()) }
}

pub(super) async fn set(service: Arc<Service>, request: SetMetadata) -> Result<Answer, Fault> {
    let place = request.thing.clone();
    let set = move |service: &Service| {
        if request.thing.path.is_root() {
            return Err(
                Fault::new(FaultCode::Malformed).because("names what a path leads to, not the thing itself")
            );
        }
        let (folder, _) = service.root.parent_of(&request.thing)?;
        let thing = service.root.thing(&request.thing)?;
        if service.root.kept().guards_open(&thing).is_some() {
            return Err(kept_fault());
        }
        let change = Change::begin(service, thing)?;
        let found = change.found();
        if found.identity != request.identity {
            return Err(FaultCode::Changed.into());
        }
        if !matches!(found.kind, Kind::File | Kind::Folder) {
            return Err(Fault::new(FaultCode::NotSupportedHere).because("neither a file nor a folder"));
        }
        let modes = (request.mode, mode::permitted_in(folder, request.mode));
        let gives_access = authority(service) == Authority::Process || found.mode & 0o777 != modes.1;
        change.check_reach(service, if gives_access { Reach::Content } else { Reach::Itself })?;
        let asked = request.metadata.extended.iter().map(|extended| extended.bytes() as u64);
        let hold = service.allowance.hold_attributes(change.thing(), asked.fold(0, u64::saturating_add))?;
        let before = metadata::extended_bytes(change.thing());
        let given = metadata::give(change.thing(), modes, &request.metadata, authority(service));
        hold.store_attributes(found.identity, before, metadata::extended_bytes(change.thing()));
        change.end(service)?;
        Ok(MetadataSet { unset: given? }.into())
    };
    service.in_class(Class::Brief, &place, set).await
}
