//! Sets a file or link aside: another name in the same folder for as long as it must be out of the way of its own name, written down
//! before. Unless it is removed, or placed elsewhere, it gets its own name back. And Remove in two steps, for a move that looks at the
//! copy in between.

use std::sync::Arc;

use towpath_protocol::answer::{Progress, Totals};
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::NAME_BYTES_MAX;
use towpath_protocol::message::{Answer, Input};
use towpath_protocol::path::Name;
use towpath_protocol::request::Remove;

use super::beside::Held;
use super::open_files::OF_ASIDE;
use super::{Service, at};
use crate::asides::{Asides, Record};
use crate::disk;
use crate::disk::writing::{self, Spot};
use crate::exchange::Exchange;

/// Names tried before giving up; one is enough unless another program interferes.
const NAMES_TRIED_MAX: usize = 8;

/// Something that has another name for a while.
#[derive(Debug)]
pub(super) struct Aside {
    place: Held,
    name: Name,
    record: Option<Record>,
}

impl Aside {
    pub(super) fn take(asides: &Asides, place: Held) -> Result<Self, Fault> {
        let mut is_long = false;
        for _ in 0..NAMES_TRIED_MAX {
            let id = random_id()?;
            let name = if is_long { short_name(&id)? } else { name_aside(&place.name, &id)? };
            let record = asides.write_down(&place.folder, &place.name, &name, &id)?;
            match writing::rename_new(place.spot(), Spot::new(&*place.folder, &name)) {
                Ok(()) => return Ok(Self { place, name, record: Some(record) }),
                Err(fault) if fault.code == FaultCode::AlreadyExists => {}
                // Some file systems have shorter names than others.
                Err(fault) if fault.code == FaultCode::NameTooLong && !is_long => is_long = true,
                Err(fault) => return Err(fault),
            }
        }
        Err(FaultCode::AlreadyExists.into())
    }

    fn spot(&self) -> Spot<'_> {
        Spot::new(&*self.place.folder, &self.name)
    }

    pub(super) fn look(&self) -> Result<Attributes, Fault> {
        disk::stat(&*self.place.folder, &self.name)
    }

    /// Gives it its name back. Where something else has that name now, it stays where it is, which is told.
    pub(super) fn put_back(mut self) -> Result<(), Fault> {
        self.give_back()
    }

    fn give_back(&mut self) -> Result<(), Fault> {
        let Some(record) = self.record.take() else { return Ok(()) };
        let given = writing::rename_new(self.spot(), self.place.spot());
        given.map_err(|fault| {
            record.keep();
            let why = format!("it is called '{}' now, and could not get its name back", self.name.display());
            fault.because(why)
        })
    }

    /// Removes it, a folder only if it is empty.
    pub(super) fn remove(mut self) -> Result<(), Fault> {
        writing::remove_file(&*self.place.folder, &self.name)?;
        self.record = None;
        Ok(())
    }

    /// Gives it another name that nothing has.
    pub(super) fn place(mut self, to: &Held) -> Result<(), Fault> {
        writing::rename_new(self.spot(), to.spot())?;
        self.record = None;
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Err(fault) = self.give_back() {
            tracing::warn!(name = %self.place.name.display(), %fault, "what was set aside stays aside");
        }
    }
}

fn random_id() -> Result<String, Fault> {
    let mut random = [0_u8; 6];
    getrandom::fill(&mut random).map_err(|_| Fault::new(FaultCode::Internal).because("no random numbers"))?;
    Ok(random.map(|byte| format!("{byte:02x}")).concat())
}

/// A name that explains itself.
fn name_aside(name: &Name, id: &str) -> Result<Name, Fault> {
    let ending = format!(" (moving {id})");
    let mut stem = name.as_bytes();
    if let Ok(text) = std::str::from_utf8(stem) {
        stem = &stem[..text.floor_char_boundary(NAME_BYTES_MAX - ending.len())];
    }
    stem = &stem[..stem.len().min(NAME_BYTES_MAX - ending.len())];
    Name::new([stem, ending.as_bytes()].concat()).map_err(|_| FaultCode::NameTooLong.into())
}

fn short_name(id: &str) -> Result<Name, Fault> {
    Name::new(format!("moving {id}").into_bytes()).map_err(|_| FaultCode::Internal.into())
}

/// Removes a file or link in two steps: set aside, and gone once the client says so.
pub(super) async fn remove(
    service: Arc<Service>,
    request: Remove,
    mut exchange: Exchange,
) -> Result<Answer, Fault> {
    let place = request.thing.clone();
    let open = service.open_files.park(OF_ASIDE).map_err(at(&place))?;
    let (aside, bytes) =
        service.clone().blocking(&place, move |service| set_aside(service, &request)).await?;
    // A client that does not hear this sends nothing, so the file gets its name back.
    let _ = exchange.answers.send(Progress::default()).await;
    let goes = tokio::select! {
        biased;
        () = exchange.cancel.cancelled() => false,
        input = exchange.inputs.recv() => matches!(input, Some(Input::More(_))),
    };
    service
        .certainly(&place, move |_| {
            let _open = open;
            if goes {
                aside.remove()?;
                return Ok(Totals { files: 1, bytes, ..Totals::default() }.into());
            }
            aside.put_back()?;
            Err(FaultCode::Cancelled.into())
        })
        .await
}

fn set_aside(service: &Service, request: &Remove) -> Result<(Aside, u64), Fault> {
    let thing = Held::find(&service.root, &request.thing)?;
    let there = disk::stat(&*thing.folder, &thing.name)?;
    if there.kind == Kind::Folder {
        return Err(FaultCode::IsAFolder.into());
    }
    if request.expected.is_some_and(|expected| !there.version().is_named_by(&expected)) {
        return Err(FaultCode::Changed.into());
    }
    let aside = Aside::take(&service.asides, thing).map_err(at(&request.thing))?;
    // Another thing may have come under that name a moment before. A new name may change the time of change.
    let now = aside.look()?;
    let is_it = now.kind == there.kind
        && (now.identity, now.size, now.modified) == (there.identity, there.size, there.modified)
        && now.link == there.link;
    if !is_it {
        aside.put_back()?;
        return Err(FaultCode::Changed.into());
    }
    Ok((aside, there.size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_aside_begins_as_its_own_and_is_never_too_long() {
        let id = "0123456789ab";
        let shown = |name: &[u8]| name_aside(&Name::new(name).unwrap(), id).unwrap().as_bytes().to_vec();
        assert_eq!(shown(b"readme"), b"readme (moving 0123456789ab)");
        for name in [vec![b'x'; 255], "\u{65e5}".repeat(85).into_bytes(), vec![0xff; 255]] {
            let aside = shown(&name);
            assert!(aside.len() <= NAME_BYTES_MAX && aside.ends_with(b" (moving 0123456789ab)"), "{aside:?}");
            assert_eq!(std::str::from_utf8(&name).is_ok(), std::str::from_utf8(&aside).is_ok());
        }
    }
}
