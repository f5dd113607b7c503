//! Who made what, and what it takes of the disk: one book for all clients of a service. A thing is a client's while it is as that client left
//! it: the same inode, with the same seal. What each client has stored is the sum of its things, changed in one step together with
//! what goes; a client gains nothing by removing what another one stored. Knows no path and no request; `journal` keeps it on the disk.

mod journal;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::grant::ClientId;
use journal::Record;
pub(super) use journal::{Journal, JournalFault};

/// Things of all clients together that are known one by one.
const THINGS_MAX: usize = 256 * 1024;
/// Things of one client. The oldest are forgotten first: they have no owner then, and still count.
const THINGS_OF_CLIENT_MAX: usize = 128 * 1024;

/// Disk usage: bytes in blocks, and inodes. Every name that a client makes has an inode of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Charge {
    pub(super) bytes: u64,
    pub(super) inodes: u64,
}

impl Charge {
    pub(super) const fn thing(bytes: u64) -> Self {
        Self { bytes, inodes: 1 }
    }

    const fn plus(self, other: Self) -> Self {
        let bytes = self.bytes.saturating_add(other.bytes);
        Self { bytes, inodes: self.inodes.saturating_add(other.inodes) }
    }

    const fn minus(self, other: Self) -> Self {
        let bytes = self.bytes.saturating_sub(other.bytes);
        Self { bytes, inodes: self.inodes.saturating_sub(other.inodes) }
    }

    const fn least(self, other: Self) -> Self {
        let bytes = if self.bytes < other.bytes { self.bytes } else { other.bytes };
        let inodes = if self.inodes < other.inodes { self.inodes } else { other.inodes };
        Self { bytes, inodes }
    }

    const fn is_within(self, most: Self) -> bool {
        self.bytes <= most.bytes && self.inodes <= most.inodes
    }
}

/// A thing on the disk: a hash of its device and inode, as in its attributes.
pub(super) type Identity = u64;
/// Tells whether a thing is as it was left; see `disk::seal`.
pub(super) type Seal = u64;

/// Something that a client stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thing {
    pub(super) client: ClientId,
    /// `None` for usage without ownership: attributes set on another client's file, an unfinished upload.
    pub(super) seal: Option<Seal>,
    pub(super) charge: Charge,
}

/// Cheap to clone; all clones are one ledger.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    things: HashMap<Identity, (Thing, Turn)>,
    accounts: HashMap<ClientId, Account>,
    /// The number of the entry written last.
    turn: Turn,
    /// Things whose charge is promised to an upload that replaces them.
    promised: HashSet<Identity>,
    /// Folders that were renamed. A concurrent walk of the tree may miss their content.
    moves: u64,
    journal: Option<Journal>,
}

/// The order in which entries were written.
type Turn = u64;

/// The usage of one client.
#[derive(Debug, Default)]
struct Account {
    /// Its things, the oldest first.
    turns: BTreeMap<Turn, Identity>,
    used: Charge,
    /// Usage of files without an entry of their own.
    settled: Charge,
    /// Usage of writes in progress.
    held: Charge,
}

impl Account {
    const fn total(&self) -> Charge {
        self.used.plus(self.settled).plus(self.held)
    }
}

/// A count that is under way, to be compared with what the ledger says: what was stored before it began and is not met is gone.
#[derive(Debug)]
pub(super) struct Recount {
    client: ClientId,
    begun: Turn,
    moves: u64,
    settled: Charge,
    met: HashSet<Identity>,
    /// Usage without any client's entry.
    unknown: Charge,
}

/// Room in the ledger that is taken for something being stored: its charge, and what of it is covered by the thing that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Taken {
    need: Charge,
    credit: Charge,
    promised: Option<Identity>,
}

impl Taken {
    const fn net(&self) -> Charge {
        self.need.minus(self.credit)
    }

    pub(super) const fn need(&self) -> Charge {
        self.need
    }

    pub(super) const fn credit(&self) -> Charge {
        self.credit
    }
}

impl Ledger {
    /// Goes on from what `journal` says, and writes there from now on. Returns what the owner should know of it.
    pub(super) fn keep(&self, journal: Journal) -> Result<Vec<String>, JournalFault> {
        let mut books = self.books();
        let journal::Found { records, said } = journal.read()?;
        for record in records {
            books.apply(record);
        }
        books.journal = Some(journal);
        Ok(said.into_iter().chain(books.rewrite()).collect())
    }

    /// Writes what could not be written before.
    pub(super) fn finish(&self) {
        let mut books = self.books();
        if books.journal.as_ref().is_some_and(Journal::is_behind) {
            warn(books.rewrite());
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a file has an entry.
    pub(super) fn knows(&self, identity: Identity) -> bool {
        let books = self.books();
        !books.things.is_empty() && (books.knows(identity) || books.knows(attributes_of(identity)))
    }

    /// Returns whether a file with this seal is this client's: made by it, and unchanged since.
    pub(super) fn is_of(&self, client: ClientId, identity: Identity, seal: Seal) -> bool {
        let books = self.books();
        books
            .things
            .get(&identity)
            .is_some_and(|(thing, _)| thing.client == client && thing.seal == Some(seal))
    }

    /// Returns whether what has this identity was made by this client, whatever became of it.
    pub(super) fn is_by(&self, client: ClientId, identity: Identity) -> bool {
        self.books().things.get(&identity).is_some_and(|(thing, _)| thing.client == client)
    }

    /// A client that a thing belongs to has changed it.
    pub(super) fn reseal(&self, client: ClientId, identity: Identity, seal: Seal) {
        let mut books = self.books();
        if let Some((thing, _)) = books.things.get(&identity).copied()
            && thing.client == client
        {
            books.enter(identity, Thing { seal: Some(seal), ..thing });
        }
    }

    /// A thing is gone from the disk.
    pub(super) fn gone(&self, identity: Identity) {
        self.books().remove(identity);
    }

    /// A folder was renamed.
    pub(super) fn moved(&self) {
        self.books().moves += 1;
    }

    /// A client's usage, writes in progress included.
    pub(super) fn total(&self, client: ClientId) -> Charge {
        self.books().accounts.get(&client).map(Account::total).unwrap_or_default()
    }

    /// Takes room for `need`, of which `goes` covers a part if it is this client's and was not promised already. Err with what is
    /// left where that is more than `most`.
    pub(super) fn take(
        &self,
        client: ClientId,
        need: Charge,
        goes: Option<Identity>,
        most: Option<Charge>,
    ) -> Result<Taken, Charge> {
        let mut books = self.books();
        let promised = goes.filter(|goes| !books.promised.contains(goes));
        let covered =
            promised.and_then(|goes| books.things.get(&goes)).filter(|(thing, _)| thing.client == client);
        let credit = covered.map(|(thing, _)| thing.charge).unwrap_or_default();
        let promised = promised.filter(|_| credit != Charge::default());
        let taken = Taken { need, credit, promised };
        let account = books.accounts.entry(client).or_default();
        let total = account.total();
        if let Some(most) = most
            && !total.plus(taken.net()).is_within(most)
        {
            return Err(most.minus(total));
        }
        account.held = account.held.plus(taken.net());
        books.promised.extend(promised);
        Ok(taken)
    }

    /// Takes more, up to `need` in all. Err as for [`take`](Self::take); then `taken` stays what it was.
    pub(super) fn take_up_to(
        &self,
        client: ClientId,
        taken: &mut Taken,
        need: Charge,
        most: Option<Charge>,
    ) -> Result<(), Charge> {
        let mut books = self.books();
        let account = books.accounts.entry(client).or_default();
        let grown = Taken { need, ..*taken };
        let more = grown.net().minus(taken.net());
        let total = account.total();
        if let Some(most) = most
            && more != Charge::default()
            && !total.plus(more).is_within(most)
        {
            return Err(most.minus(total));
        }
        account.held = account.held.plus(more);
        *taken = grown;
        Ok(())
    }

    /// Gives back what was taken and not stored.
    pub(super) fn give_back(&self, client: ClientId, taken: &Taken) {
        self.books().give_back(client, taken);
    }

    /// Commits a reservation, and releases what it replaced: one step.
    pub(super) fn store(&self, taken: &Taken, identity: Identity, thing: Thing, gone: Option<Identity>) {
        let mut books = self.books();
        books.give_back(thing.client, taken);
        if let Some(gone) = gone {
            books.remove(gone);
        }
        if thing.client != ClientId::NOBODY {
            // An inode that was used before: whatever had it is gone.
            books.remove(identity);
            books.enter(identity, thing);
        }
    }

    /// A thing that exists has so many bytes of attributes more, or less, by this client.
    pub(super) fn attributes_changed(&self, client: ClientId, identity: Identity, before: u64, after: u64) {
        let mut books = self.books();
        let key = attributes_of(identity);
        let there = books.things.get(&key).map(|(thing, _)| thing.charge.bytes).unwrap_or_default();
        let bytes = there.saturating_add(after).saturating_sub(before);
        books.remove_one(key);
        if bytes > 0 && client != ClientId::NOBODY {
            let charge = Charge { bytes, inodes: 0 };
            books.enter(key, Thing { client, seal: None, charge });
        }
    }

    pub(super) fn begin_recount(&self, client: ClientId) -> Recount {
        let books = self.books();
        let settled = books.accounts.get(&client).map(|account| account.settled).unwrap_or_default();
        let (begun, moves) = (books.turn, books.moves);
        Recount { client, begun, moves, settled, met: HashSet::new(), unknown: Charge::default() }
    }

    /// A thing was met in the client's folder.
    pub(super) fn meet(&self, recount: &mut Recount, identity: Identity, bytes: u64) {
        let books = self.books();
        for key in [identity, attributes_of(identity)] {
            match books.things.get(&key) {
                Some((thing, _)) if thing.client == recount.client => drop(recount.met.insert(key)),
                None if key == identity => recount.unknown = recount.unknown.plus(Charge::thing(bytes)),
                _ => {}
            }
        }
    }

    /// Forgets what was not met. What was stored meanwhile stays, and nothing is forgotten where folders were renamed meanwhile.
    pub(super) fn end_recount(&self, recount: &Recount) {
        let mut books = self.books();
        if books.moves != recount.moves {
            return;
        }
        let Some(account) = books.accounts.get_mut(&recount.client) else { return };
        // Entries forgotten since the start were met, if they exist.
        let since = account.settled.minus(recount.settled);
        account.settled = recount.settled.least(recount.unknown).plus(since);
        let (client, settled) = (recount.client, account.settled);
        let before = account.turns.range(..=recount.begun);
        let gone: Vec<_> = before.map(|(_, key)| *key).filter(|key| !recount.met.contains(key)).collect();
        books.write(Record::Settled { client, charge: settled });
        for key in gone {
            books.remove_one(key);
        }
    }
}

/// Under what the attributes of a thing are written down that are not part of its own charge.
const fn attributes_of(identity: Identity) -> Identity {
    identity.rotate_left(32) ^ 0x6174_7472_6962_7574
}

impl Books {
    fn knows(&self, identity: Identity) -> bool {
        self.things.contains_key(&identity)
    }

    fn give_back(&mut self, client: ClientId, taken: &Taken) {
        if let Some(account) = self.accounts.get_mut(&client) {
            account.held = account.held.minus(taken.net());
        }
        if let Some(promised) = taken.promised {
            self.promised.remove(&promised);
        }
    }

    /// Writes an entry, in the place of the one that there is.
    fn enter(&mut self, identity: Identity, thing: Thing) {
        self.take_out(identity);
        self.put_in(identity, thing);
        self.write(Record::Made { identity, thing });
        while let Some(client) = self.overfull(thing.client) {
            let oldest =
                self.accounts.get(&client).and_then(|account| account.turns.values().next().copied());
            let Some(oldest) = oldest else { break };
            self.settle(oldest);
            self.write(Record::Forgotten { identity: oldest });
        }
    }

    fn put_in(&mut self, identity: Identity, thing: Thing) {
        self.turn += 1;
        let account = self.accounts.entry(thing.client).or_default();
        account.turns.insert(self.turn, identity);
        account.used = account.used.plus(thing.charge);
        self.things.insert(identity, (thing, self.turn));
    }

    fn take_out(&mut self, identity: Identity) -> Option<Thing> {
        let (thing, turn) = self.things.remove(&identity)?;
        if let Some(account) = self.accounts.get_mut(&thing.client) {
            account.turns.remove(&turn);
            account.used = account.used.minus(thing.charge);
        }
        Some(thing)
    }

    /// The client that has too many entries, after one more of `client`.
    fn overfull(&self, client: ClientId) -> Option<ClientId> {
        let count = |account: &Account| account.turns.len();
        if self.accounts.get(&client).map_or(0, count) > THINGS_OF_CLIENT_MAX {
            return Some(client);
        }
        let is_full = self.things.len() > THINGS_MAX;
        let fullest = || self.accounts.iter().max_by_key(|(_, account)| count(account));
        is_full.then(fullest).flatten().map(|(client, _)| *client)
    }

    /// Forgets a thing, not its charge.
    fn settle(&mut self, identity: Identity) {
        if let Some(thing) = self.take_out(identity)
            && let Some(account) = self.accounts.get_mut(&thing.client)
        {
            account.settled = account.settled.plus(thing.charge);
        }
    }

    fn remove(&mut self, identity: Identity) {
        self.remove_one(identity);
        self.remove_one(attributes_of(identity));
    }

    fn remove_one(&mut self, identity: Identity) {
        if self.take_out(identity).is_some() {
            self.write(Record::Gone { identity });
        }
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Made { identity, thing } => {
                self.take_out(identity);
                self.put_in(identity, thing);
            }
            Record::Gone { identity } => drop(self.take_out(identity)),
            Record::Forgotten { identity } => self.settle(identity),
            Record::Settled { client, charge } => self.accounts.entry(client).or_default().settled = charge,
            Record::Begins { .. } => {}
        }
    }

    fn write(&mut self, record: Record) {
        let Some(journal) = &mut self.journal else { return };
        warn(journal.append(&record));
        if journal.is_rewrite_due(self.things.len()) {
            warn(self.rewrite());
        }
    }

    /// Writes the journal anew, as short as it can be. Returns what is to be said.
    fn rewrite(&mut self) -> Option<String> {
        let mut turns: Vec<_> =
            self.things.iter().map(|(identity, (thing, turn))| (*turn, *identity, *thing)).collect();
        turns.sort_unstable_by_key(|(turn, ..)| *turn);
        let settled = self.accounts.iter().filter(|(_, account)| account.settled != Charge::default());
        let settled =
            settled.map(|(client, account)| Record::Settled { client: *client, charge: account.settled });
        let made = turns.into_iter().map(|(_, identity, thing)| Record::Made { identity, thing });
        let records: Vec<_> = settled.chain(made).collect();
        self.journal.as_mut()?.rewrite(&records)
    }
}

fn warn(said: Option<String>) {
    if let Some(said) = said {
        tracing::warn!("{said}");
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "an obstacle among our files")]
mod tests;
