//! Those who have come and are not let in yet: so many and no more. Whoever comes always finds a place; where there is none, somebody is
//! shown out who has said nothing, of the source that has most of them. So a flood drowns itself, and keeps nobody else out.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::penalties::Source;

/// How often the log is told of those who were shown out.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// How far somebody has come. The least is shown out first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Silent,
    /// What a greeting or a handshake begins with has come, all of it.
    Heard,
    /// A key on the list of clients was proven.
    Known,
}

#[derive(Debug)]
struct Guest {
    source: Source,
    stage: Stage,
    out: CancellationToken,
}

/// All guests.
#[derive(Debug)]
pub(crate) struct Lobby {
    guests_max: usize,
    room: Mutex<Room>,
}

#[derive(Debug, Default)]
struct Room {
    /// By number, and so the oldest first.
    guests: BTreeMap<u64, Guest>,
    last: u64,
    /// Shown out since the log was told, and when that was.
    shown_out: u64,
    told: Option<Instant>,
}

/// A guest's place, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Seat {
    lobby: Arc<Lobby>,
    number: u64,
    /// Set when its guest is to go.
    pub(crate) out: CancellationToken,
}

impl Lobby {
    pub(crate) fn new(guests_max: usize) -> Self {
        Self { guests_max, room: Mutex::default() }
    }

    /// A place for somebody new.
    pub(crate) fn enter(self: &Arc<Self>, source: Source) -> Seat {
        let out = CancellationToken::new();
        let mut room = self.room();
        if room.guests.len() >= self.guests_max {
            room.make_place();
        }
        room.last += 1;
        let number = room.last;
        room.guests.insert(number, Guest { source, stage: Stage::Silent, out: out.clone() });
        drop(room);
        Seat { lobby: self.clone(), number, out }
    }

    /// How many were shown out since this told, where it is time to say so.
    pub(crate) fn shown_out(&self) -> Option<u64> {
        let mut room = self.room();
        if room.shown_out == 0 || room.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return None;
        }
        room.told = Some(Instant::now());
        Some(std::mem::take(&mut room.shown_out))
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn make_place(&mut self) {
        let Some(least) = self.guests.values().map(|guest| guest.stage).min() else { return };
        let candidates = || self.guests.iter().filter(|(_, guest)| guest.stage == least);
        let mut of_source: HashMap<Source, usize> = HashMap::new();
        candidates().for_each(|(_, guest)| *of_source.entry(guest.source).or_default() += 1);
        let most = of_source.values().max().copied();
        let oldest = candidates().find(|(_, guest)| of_source.get(&guest.source).copied() == most);
        let oldest = oldest.map(|(number, _)| *number);
        if let Some(guest) = oldest.and_then(|number| self.guests.remove(&number)) {
            guest.out.cancel();
            self.shown_out += 1;
        }
    }
}

impl Seat {
    /// What it begins with has come.
    pub(crate) fn heard(&self) {
        self.reached(Stage::Heard);
    }

    /// It is a client on the list.
    pub(crate) fn known(&self) {
        self.reached(Stage::Known);
    }

    fn reached(&self, stage: Stage) {
        if let Some(guest) = self.lobby.room().guests.get_mut(&self.number) {
            guest.stage = stage;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.lobby.room().guests.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVE: Source = Source::User(1);
    const ANN: Source = Source::User(2);

    fn lobby(guests_max: usize) -> Arc<Lobby> {
        Arc::new(Lobby::new(guests_max))
    }

    #[test]
    fn f48_a_flood_shows_out_its_own() {
        let lobby = lobby(8);
        let ann = lobby.enter(ANN);
        let flood: Vec<_> = (0..100).map(|_| lobby.enter(EVE)).collect();
        assert!(!ann.out.is_cancelled());
        assert_eq!(flood.iter().filter(|seat| !seat.out.is_cancelled()).count(), 7);
        assert!(flood[93..].iter().all(|seat| !seat.out.is_cancelled()), "the newest stay");
    }

    #[test]
    fn f48_who_has_said_nothing_goes_first_and_who_is_known_last() {
        let lobby = lobby(8);
        let (known, heard) = (lobby.enter(EVE), lobby.enter(EVE));
        known.known();
        heard.heard();
        let silent: Vec<_> = (0..7).map(|_| lobby.enter(EVE)).collect();
        assert!(silent[0].out.is_cancelled() && !heard.out.is_cancelled());
        silent.iter().for_each(Seat::heard);
        let newcomer = lobby.enter(EVE);
        newcomer.heard();
        assert!(heard.out.is_cancelled() && !known.out.is_cancelled() && !newcomer.out.is_cancelled());
    }

    #[test]
    fn a_place_is_given_back() {
        let lobby = lobby(8);
        for _ in 0..100 {
            let seat = lobby.enter(EVE);
            assert!(!seat.out.is_cancelled());
        }
        assert!(lobby.room().guests.is_empty());
    }
}
