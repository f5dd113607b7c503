//! One pane: which folder it shows, how its listing comes, and where it has been. A pane that goes somewhere it cannot read is back
//! where it was; one that is read again keeps its rows until the new ones have come.

use towpath_protocol::entry::Entry;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::{Name, WirePath};
use towpath_protocol::request::{Direction, Hidden, SortKey};

use super::effect::Effect;
use super::rows::Rows;
use crate::model::{LinkId, Place};

/// Places that a pane remembers.
const VISITS_MAX: usize = 100;
/// Folders of which a pane remembers where its cursor stood.
const POSITIONS_MAX: usize = 500;

/// A folder on the screen.
#[derive(Debug)]
pub struct Pane {
    pub place: Place,
    pub rows: Rows,
    pub find: String,
    pub sort: SortKey,
    pub direction: Direction,
    pub hidden: Hidden,
    /// Names the newest listing; answers of older ones are ignored.
    pub generation: u64,
    pub loading: bool,
    /// The listing is one that nobody has asked for, and is not shown as it comes.
    pub is_quiet: bool,
    /// Entries that the listing will have, as far as is known.
    pub total: u64,
    pub free: Option<u64>,
    /// Why the newest listing failed.
    pub fault: Option<String>,
    /// What is read again, until it is complete and takes the rows' place.
    incoming: Option<Vec<Entry>>,
    /// Where the pane was, until the folder that it goes to has answered.
    left: Option<Box<Left>>,
    /// The listing's count and total are to be said when it has ended.
    pub(super) announces: bool,
    back: Vec<Visit>,
    forward: Vec<Visit>,
    /// Where the cursor stood in each folder that the pane has been at, the newest first.
    positions: Vec<Visit>,
}

/// A place that the pane has been at, and what the cursor stood on.
#[derive(Debug, Clone)]
struct Visit {
    place: Place,
    on: Option<Name>,
}

/// What the pane showed before it went on its way.
#[derive(Debug)]
struct Left {
    place: Place,
    rows: Rows,
    free: Option<u64>,
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
    Forward,
}

/// What a listing that failed leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The pane stays as it is.
    Stays,
    /// The pane is back where it was.
    Returned,
    /// The folder is no more; the one above it may be.
    Climbs(Place, Option<Name>),
}

impl Pane {
    pub fn new(place: Place) -> Self {
        Self {
            rows: Rows::new(up_rows(&place), None),
            place,
            find: String::new(),
            sort: SortKey::Name,
            direction: Direction::Ascending,
            hidden: Hidden::LeftOut,
            generation: 0,
            loading: false,
            is_quiet: false,
            total: 0,
            free: None,
            fault: None,
            incoming: None,
            left: None,
            announces: false,
            back: Vec::new(),
            forward: Vec::new(),
            positions: Vec::new(),
        }
    }

    /// One that a person has opened: the cursor will stand on the first entry.
    pub fn opened(place: Place) -> Self {
        let rows = Rows::entered(up_rows(&place), None);
        Self { rows, ..Self::new(place) }
    }

    /// Entries that have come of the listing under way.
    pub fn come(&self) -> usize {
        self.incoming.as_ref().map_or(self.rows.entries.len(), Vec::len)
    }

    /// Asks for the folder again; what is shown stays until all has come.
    pub(super) fn begin_listing(&mut self, generation: u64) -> Effect {
        let instead_of = std::mem::replace(&mut self.generation, generation);
        (self.loading, self.is_quiet) = (true, false);
        self.incoming = (self.left.is_none() && !self.rows.entries.is_empty()).then(Vec::new);
        Effect::List {
            generation,
            instead_of,
            place: self.place.clone(),
            sort: self.sort,
            direction: self.direction,
            hidden: self.hidden,
        }
    }

    /// The cursor will go to this name once the folder was read again.
    pub(super) fn want(&mut self, name: Option<Name>) {
        self.rows.want(name);
    }

    /// Leaves for another folder; the cursor will stand on `wanted`. A listing is to be begun.
    pub(super) fn leave_for(&mut self, place: Place, wanted: Option<Name>) {
        if place == self.place && self.left.is_none() {
            self.rows.want(wanted);
        } else {
            self.leave(place, wanted, Way::There);
        }
    }

    /// Where that would lead.
    pub(super) fn next_place(&self, is_forward: bool) -> Option<&Place> {
        let visits = if is_forward { &self.forward } else { &self.back };
        visits.last().map(|visit| &visit.place)
    }

    /// Goes back to where this pane has been, or forward again. A listing is to be begun.
    pub(super) fn travel(&mut self, is_forward: bool) {
        let (from, way) =
            if is_forward { (&mut self.forward, Way::Forward) } else { (&mut self.back, Way::Back) };
        if let Some(visit) = from.pop() {
            self.leave(visit.place, visit.on, way);
        }
    }

    fn leave(&mut self, place: Place, wanted: Option<Name>, way: Way) {
        let wanted = wanted.or_else(|| self.position(&place));
        let rows = std::mem::replace(&mut self.rows, Rows::entered(up_rows(&place), wanted));
        let place = std::mem::replace(&mut self.place, place);
        let free = self.free.take();
        if self.left.is_none() {
            self.left = Some(Box::new(Left { place, rows, free, way }));
        }
        (self.total, self.fault, self.incoming) = (0, None, None);
    }

    /// The folder has answered: where the pane was becomes history.
    fn arrive(&mut self) {
        let Some(left) = self.left.take() else { return };
        let visit = Visit { place: left.place, on: left.rows.current().map(|entry| entry.name.clone()) };
        self.remember(&visit);
        let to = match left.way {
            Way::There => {
                self.forward.clear();
                &mut self.back
            }
            Way::Forward => &mut self.back,
            Way::Back => &mut self.forward,
        };
        to.push(visit);
        if to.len() > VISITS_MAX {
            to.remove(0);
        }
    }

    /// The entry that the cursor stood on in a folder when the pane left it.
    fn position(&self, place: &Place) -> Option<Name> {
        self.positions.iter().find(|visit| visit.place == *place)?.on.clone()
    }

    fn remember(&mut self, visit: &Visit) {
        self.positions.retain(|known| known.place != visit.place);
        self.positions.insert(0, visit.clone());
        self.positions.truncate(POSITIONS_MAX);
    }

    /// A page has come.
    pub(super) fn take_page(&mut self, total: u64, entries: Vec<Entry>) {
        self.arrive();
        self.total = total;
        match &mut self.incoming {
            Some(incoming) => incoming.extend(entries),
            None => self.rows.append(entries),
        }
    }

    /// All has come.
    pub(super) fn complete(&mut self) {
        self.arrive();
        (self.loading, self.fault) = (false, None);
        match self.incoming.take() {
            Some(incoming) => self.rows.replace(incoming),
            None => self.rows.complete(),
        }
        self.total = self.rows.entries.len() as u64;
        self.sort_measured();
    }

    /// Folders whose sizes are known stand in their order where sizes are what is sorted by; the others behind them.
    pub(super) fn sort_measured(&mut self) {
        if self.sort == SortKey::Size && !self.loading {
            self.rows.sort_folders(self.direction == Direction::Descending);
        }
    }

    /// The connection does not stand, and why.
    pub(super) fn wait_for_connection(&mut self, why: String) {
        (self.loading, self.incoming) = (false, None);
        self.fault = Some(why);
    }

    /// No more comes, and why, in words.
    pub(super) fn fail(&mut self, fault: &Fault, text: &str) -> After {
        self.loading = false;
        self.incoming = None;
        self.announces = false;
        let is_elsewhere = self.left.as_ref().is_some_and(|left| left.place.link != self.place.link);
        if is_elsewhere && matches!(fault.code, FaultCode::Disconnected | FaultCode::ShuttingDown) {
            // A connection that stood and was lost will be back: the pane waits there, and turns into none of another machine.
            self.arrive();
        } else if self.turn_back() {
            return After::Returned;
        }
        self.fault = Some(text.to_owned());
        match (fault.code, self.place.path.parent()) {
            (FaultCode::NotFound | FaultCode::NotAFolder, Some(path)) => {
                After::Climbs(Place { link: self.place.link, path }, self.place.path.name().cloned())
            }
            _ => After::Stays,
        }
    }

    /// Back to where the pane was before it went on its way, with all that it showed. False where it has arrived.
    pub(super) fn turn_back(&mut self) -> bool {
        let Some(left) = self.left.take() else { return false };
        (self.place, self.rows, self.free) = (left.place, left.rows, left.free);
        (self.loading, self.fault, self.incoming) = (false, None, None);
        self.total = self.rows.entries.len() as u64;
        true
    }

    /// The folder above takes the place of one that is no more; nothing leads back there.
    pub(super) fn climb(&mut self, place: Place, wanted: Option<Name>) {
        self.rows = Rows::entered(up_rows(&place), wanted);
        (self.place, self.fault, self.free) = (place, None, None);
    }

    /// A connection has begun: this is where it leads.
    pub(super) fn arrive_at(&mut self, place: Place) {
        self.rows = Rows::entered(up_rows(&place), None);
        (self.place, self.fault) = (place, None);
    }

    /// A connection is closed: nothing leads back there.
    pub(super) fn forget(&mut self, link: LinkId) {
        self.back.retain(|visit| visit.place.link != link);
        self.positions.retain(|visit| visit.place.link != link);
        self.forward.retain(|visit| visit.place.link != link);
        if self.left.as_ref().is_some_and(|left| left.place.link == link) {
            self.left = None;
        }
    }

    /// The newest place on this link that the pane has been at.
    pub(super) fn last_place_on(&self, link: LinkId) -> Option<Place> {
        self.back.iter().rev().map(|visit| &visit.place).find(|place| place.link == link).cloned()
    }

    /// Where `../` leads, with the cursor on where one came from.
    pub(super) fn parent(&self) -> Option<(Place, Option<Name>)> {
        let path = self.place.path.parent()?;
        Some((Place { link: self.place.link, path }, self.place.path.name().cloned()))
    }

    /// Whether a thing at this path, there or gone, would change what shows: it lies in the folder, on the way to it, or below something
    /// that the folder does not have yet.
    pub(super) fn is_about(&self, path: &WirePath) -> bool {
        let here = &self.place.path;
        let is_new =
            || path.names().get(here.names().len()).is_some_and(|name| self.rows.find(name).is_none());
        here.starts_with(path) || path.parent().as_ref() == Some(here) || path.starts_with(here) && is_new()
    }

    /// What must always hold.
    pub(super) fn check(&self) {
        self.rows.check();
        assert_eq!(self.rows.up, up_rows(&self.place), "../ stands where it does not belong");
        assert!(
            self.incoming.is_none() || self.loading,
            "entries wait for the end of a listing that is over"
        );
        assert!(
            self.back.len() <= VISITS_MAX && self.forward.len() <= VISITS_MAX,
            "a history grows without end"
        );
    }
}

/// One for `../`, except at a root.
fn up_rows(place: &Place) -> usize {
    usize::from(!place.path.is_root())
}
