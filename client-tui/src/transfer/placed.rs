//! Which places at the destination a job has given to a source already: nothing that it put there itself is replaced by it. Needed only
//! where several items come to overlapping places; what is in one item has names of its own, but for their case, which `fold` minds.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use towpath_protocol::path::{Location, WirePath};

use super::fold::folded_bytes;
use super::job::Item;

/// The places that one command's jobs have given away.
#[derive(Debug, Default)]
pub struct Placed {
    /// True if two items can meet; if not, only names that are no source's own are tracked.
    is_minded: bool,
    places: Mutex<Places>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Places {
    exact: HashSet<u64>,
    folded: HashSet<u64>,
    /// Those that several sources have, but for case or accents.
    alike: HashSet<u64>,
}

/// The result of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    First,
    /// Another source has a place whose name is the same but for case or accents.
    Alike,
    Taken,
}

impl Placed {
    /// For all items of one command.
    pub fn by<'a>(items: impl IntoIterator<Item = &'a Item>) -> Self {
        let mut places: Vec<Vec<Vec<u8>>> = items.into_iter().map(|item| folded_names(&item.to)).collect();
        places.sort_unstable();
        // Paths below a place follow it in the order.
        let is_minded = places.windows(2).any(|pair| matches!(pair, [one, next] if next.starts_with(one)));
        Self { is_minded, ..Self::default() }
    }

    /// Returns whether two items can meet.
    pub(super) const fn is_minded(&self) -> bool {
        self.is_minded
    }

    /// Gives a place away, unless it was given away before.
    pub(super) fn claim(&self, to: &Location) -> Claim {
        let Some((exact, folded)) = self.hashes(to).filter(|_| self.is_minded) else { return self.look(to) };
        let mut places = self.places();
        match (places.exact.insert(exact), places.folded.insert(folded)) {
            (false, _) => Claim::Taken,
            (true, false) => Claim::Alike,
            (true, true) => Claim::First,
        }
    }

    /// The result that a claim would have.
    pub(super) fn look(&self, to: &Location) -> Claim {
        if !self.is_minded && self.places().exact.is_empty() {
            return Claim::First;
        }
        let Some((exact, folded)) = self.hashes(to) else { return Claim::First };
        let places = self.places();
        match (places.exact.contains(&exact), places.folded.contains(&folded)) {
            (true, _) => Claim::Taken,
            (false, true) => Claim::Alike,
            (false, false) => Claim::First,
        }
    }

    /// Gives a place away that is no source's own: the name of what is kept beside something else.
    pub(super) fn give(&self, to: &Location) {
        let Some((exact, folded)) = self.hashes(to) else { return };
        let mut places = self.places();
        places.exact.insert(exact);
        places.folded.insert(folded);
    }

    /// Another source has a place whose name is the same but for case or accents.
    pub(super) fn mark_alike(&self, to: &Location) {
        if let Some((_, folded)) = self.hashes(to) {
            self.places().alike.insert(folded);
        }
    }

    /// Returns whether a place was claimed.
    pub(super) fn has_alike(&self, to: &Location) -> bool {
        self.hashes(to).is_some_and(|(_, folded)| self.places().alike.contains(&folded))
    }

    fn hashes(&self, to: &Location) -> Option<(u64, u64)> {
        let whole = to.whole().ok()?;
        Some((self.hasher.hash_one(whole.to_bytes()), self.hasher.hash_one(folded_names(&whole))))
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether two paths are the same but for case or Unicode form.
pub fn are_alike(one: &WirePath, other: &WirePath) -> bool {
    folded_names(one) == folded_names(other)
}

fn folded_names(path: &WirePath) -> Vec<Vec<u8>> {
    path.names().iter().map(|name| folded_bytes(name.as_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> WirePath {
        WirePath::parse(text.as_bytes()).unwrap()
    }

    fn placed(to: &[&str]) -> Placed {
        let items: Vec<Item> = to.iter().map(|to| Item { from: path("x"), to: path(to) }).collect();
        Placed::by(&items)
    }

    #[test]
    fn only_items_that_can_meet_are_minded() {
        for (to, expected) in [
            (&["d/a"][..], false),
            (&["d/a", "d/b", "d/ab"], false),
            (&["d/a", "d/c", "d/a"], true),
            (&["d/a", "e", "D/A/b"], true),
            (&["d/caf\u{e9}", "d/cafe\u{301}"], true),
        ] {
            assert_eq!(placed(to).is_minded(), expected, "{to:?}");
        }
    }

    #[test]
    fn a_place_is_given_away_once() {
        let placed = placed(&["d/a", "d/A"]);
        let location = |text| Location::of(&path(text));
        assert_eq!(placed.look(&location("d/a")), Claim::First);
        assert_eq!(placed.claim(&location("d/a")), Claim::First);
        assert_eq!(placed.claim(&location("d/a")), Claim::Taken);
        assert_eq!(placed.look(&location("d/A")), Claim::Alike);
        assert_eq!(placed.claim(&location("d/A")), Claim::Alike);
        assert_eq!(placed.claim(&location("d/A")), Claim::Taken);
        assert_eq!(placed.claim(&location("d/b")), Claim::First);
    }
}
