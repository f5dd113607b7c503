//! Those who have come and are not let in yet: so many and no more. Whoever comes always finds a place; where there is none, somebody is
//! shown out of those who have most of them: of a client once its key is proven, of an address before. So a flood drowns itself, and keeps
//! no other client out. A client has a few places at most, from any number of addresses.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use towpath_protocol::pairing::KeyHash;

use crate::penalties::Source;

/// How often the log is told of those who were shown out.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// A client has this part of all places, ...
const CLIENT_PART: usize = 16;
/// ... but at least so many: those of a session with all its streams.
const CLIENT_GUESTS_LEAST: usize = 4;

/// How far somebody has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Silent,
    /// What a greeting or a handshake begins with has come, all of it.
    Heard,
    /// A key on the list of clients was proven.
    Known,
}

/// Who answers for a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    /// Before any key is proven.
    Source(Source),
    /// A client on the list.
    Client(KeyHash),
}

#[derive(Debug)]
struct Guest {
    owner: Owner,
    stage: Stage,
    /// Of two at the same stage, the one with the less has been there longer.
    since: u64,
    out: CancellationToken,
}

/// All guests.
#[derive(Debug)]
pub(crate) struct Lobby {
    guests_max: usize,
    /// Of one client.
    of_client_max: usize,
    room: Mutex<Room>,
}

#[derive(Debug, Default)]
struct Room {
    /// By number.
    guests: BTreeMap<u64, Guest>,
    /// Goes up with every arrival and every step.
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
        let of_client_max = (guests_max / CLIENT_PART).max(CLIENT_GUESTS_LEAST);
        Self { guests_max, of_client_max, room: Mutex::default() }
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
        let owner = Owner::Source(source);
        room.guests.insert(number, Guest { owner, stage: Stage::Silent, since: number, out: out.clone() });
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
    /// Evicts a connection: of the client or the source that has most of them, of the stage that most of those are at, who has been there
    /// longest. So neither those who say nothing nor those who only begin a handshake can push the others of their own address out before
    /// these have come on.
    fn make_place(&mut self) {
        let mut of_owner: HashMap<Owner, usize> = HashMap::new();
        self.guests.values().for_each(|guest| *of_owner.entry(guest.owner).or_default() += 1);
        let most = of_owner.values().max().copied();
        let blamed = || self.guests.iter().filter(|(_, guest)| of_owner.get(&guest.owner).copied() == most);
        let beginning = || blamed().filter(|(_, guest)| guest.stage < Stage::Known);
        let heard = beginning().filter(|(_, guest)| guest.stage == Stage::Heard).count();
        let stage = if 2 * heard > beginning().count() { Stage::Heard } else { Stage::Silent };
        let of_stage =
            blamed().filter(|(_, guest)| guest.stage == stage).min_by_key(|(_, guest)| guest.since);
        let oldest = of_stage.or_else(|| blamed().min_by_key(|(_, guest)| guest.since));
        let oldest = oldest.map(|(number, _)| *number);
        self.show_out(oldest);
    }

    /// A client has no more guests than it may: the one who has been there longest goes.
    fn bound(&mut self, owner: Owner, most: usize) {
        let of_owner = || self.guests.iter().filter(|(_, guest)| guest.owner == owner);
        if of_owner().count() > most {
            let oldest = of_owner().min_by_key(|(_, guest)| guest.since).map(|(number, _)| *number);
            self.show_out(oldest);
        }
    }

    fn show_out(&mut self, number: Option<u64>) {
        if let Some(guest) = number.and_then(|number| self.guests.remove(&number)) {
            guest.out.cancel();
            self.shown_out += 1;
        }
    }
}

impl Seat {
    /// What it begins with has come.
    pub(crate) fn heard(&self) {
        self.reached(Stage::Heard, None);
    }

    /// It is the client on the list that has this key.
    pub(crate) fn known(&self, key: KeyHash) {
        self.reached(Stage::Known, Some(Owner::Client(key)));
    }

    fn reached(&self, stage: Stage, owner: Option<Owner>) {
        let mut room = self.lobby.room();
        room.last += 1;
        let since = room.last;
        if let Some(guest) = room.guests.get_mut(&self.number) {
            (guest.stage, guest.since) = (stage, since);
            guest.owner = owner.unwrap_or(guest.owner);
        }
        if let Some(owner) = owner {
            room.bound(owner, self.lobby.of_client_max);
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

    /// So many, of which each says what a handshake begins with.
    fn beginners(lobby: &Arc<Lobby>, count: usize) -> Vec<Seat> {
        let begin = |_| {
            let seat = lobby.enter(EVE);
            seat.heard();
            seat
        };
        (0..count).map(begin).collect()
    }

    const ANNS_KEY: KeyHash = KeyHash([1; 32]);
    const EVES_KEY: KeyHash = KeyHash([2; 32]);

    #[test]
    fn f48_who_is_known_is_not_pushed_out_by_who_is_not() {
        let lobby = lobby(8);
        let known = lobby.enter(EVE);
        known.known(ANNS_KEY);
        let _flood = (beginners(&lobby, 100), (0..100).map(|_| lobby.enter(EVE)).collect::<Vec<_>>());
        assert!(!known.out.is_cancelled());
    }

    #[test]
    fn f76_a_client_that_proves_its_key_and_says_nothing_takes_its_own_places_alone() {
        let lobby = lobby(64);
        let silent: Vec<_> = (0..1000)
            .map(|number| {
                let seat = lobby.enter(Source::User(number));
                seat.known(EVES_KEY);
                seat
            })
            .collect();
        let of_client_max = lobby.of_client_max;
        assert_eq!(silent.iter().filter(|seat| !seat.out.is_cancelled()).count(), of_client_max);
        assert!(
            silent[1000 - of_client_max..].iter().all(|seat| !seat.out.is_cancelled()),
            "the newest stay"
        );
        // A friend from the very address, while more of both kinds come.
        let friend = lobby.enter(EVE);
        let mut flood: Vec<_> = (0..40).map(|_| lobby.enter(EVE)).collect();
        friend.heard();
        for _ in 0..40 {
            let seat = lobby.enter(EVE);
            seat.heard();
            seat.known(EVES_KEY);
            flood.push(seat);
        }
        assert!(!friend.out.is_cancelled());
        friend.known(ANNS_KEY);
        flood.extend((0..1000).map(|_| lobby.enter(EVE)));
        assert!(!friend.out.is_cancelled(), "once it is known its address is no matter");
    }

    #[test]
    fn f48_handshakes_that_only_begin_do_not_push_out_who_comes_from_the_same_address() {
        let lobby = lobby(8);
        let mut flood = beginners(&lobby, 8);
        let newcomer = lobby.enter(EVE);
        flood.extend(beginners(&lobby, 100));
        assert!(!newcomer.out.is_cancelled(), "before it has said anything");
        newcomer.heard();
        flood.extend(beginners(&lobby, 7));
        assert!(!newcomer.out.is_cancelled(), "while others have been at it for longer");
        flood.extend(beginners(&lobby, 1));
        assert!(newcomer.out.is_cancelled(), "nobody stays for ever");
    }

    #[test]
    fn f48_silence_does_not_push_out_who_begins_a_handshake_at_the_same_address() {
        let lobby = lobby(8);
        let begun = beginners(&lobby, 1);
        let _flood: Vec<_> = (0..100).map(|_| lobby.enter(EVE)).collect();
        assert!(!begun[0].out.is_cancelled());
    }

    #[test]
    fn f48_whose_source_has_most_pays_whatever_they_said() {
        let lobby = lobby(8);
        let ann = (lobby.enter(ANN), lobby.enter(ANN));
        let _flood = beginners(&lobby, 100);
        assert!(!ann.0.out.is_cancelled() && !ann.1.out.is_cancelled());
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
