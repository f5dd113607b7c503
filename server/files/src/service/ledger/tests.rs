//! The ledger: what is whose, what it counts, its bounds, and its journal after a crash.

use super::*;
use crate::disk::Home;
use crate::private_files::PrivateFolder;

const ANN: ClientId = ClientId(1);
const BOB: ClientId = ClientId(2);

fn store(ledger: &Ledger, client: ClientId, identity: Identity, bytes: u64) {
    let taken = ledger.take(client, Charge::thing(bytes), None, None).unwrap();
    let thing = Thing { client, seal: Some(identity), charge: Charge::thing(bytes) };
    ledger.store(&taken, identity, thing, None);
}

fn charge(bytes: u64, inodes: u64) -> Charge {
    Charge { bytes, inodes }
}

#[test]
fn f75_it_counts_for_who_stored_it_whoever_removes_it() {
    let ledger = Ledger::default();
    store(&ledger, ANN, 1, 100);
    store(&ledger, BOB, 2, 50);
    ledger.gone(2);
    ledger.gone(3);
    assert_eq!((ledger.total(ANN), ledger.total(BOB)), (charge(100, 1), charge(0, 0)));
    // Another thing with the inode of one that went unnoticed.
    store(&ledger, BOB, 1, 10);
    assert_eq!((ledger.total(ANN), ledger.total(BOB)), (charge(0, 0), charge(10, 1)));
    ledger.attributes_changed(ANN, 1, 5, 25);
    ledger.attributes_changed(ANN, 1, 25, 15);
    assert_eq!((ledger.total(ANN), ledger.total(BOB)), (charge(10, 0), charge(10, 1)));
    ledger.gone(1);
    assert_eq!((ledger.total(ANN), ledger.total(BOB)), (charge(0, 0), charge(0, 0)));
}

#[test]
fn f77_only_what_has_its_seal_is_the_clients_own() {
    let ledger = Ledger::default();
    store(&ledger, ANN, 1, 100);
    assert!(ledger.is_of(ANN, 1, 1) && !ledger.is_of(ANN, 1, 2) && !ledger.is_of(BOB, 1, 1));
    ledger.reseal(BOB, 1, 7);
    assert!(!ledger.is_of(BOB, 1, 7) && !ledger.is_of(ANN, 1, 7));
    ledger.reseal(ANN, 1, 7);
    assert!(ledger.is_of(ANN, 1, 7));
    let part = Thing { client: ANN, seal: None, charge: charge(5, 1) };
    ledger.store(&Taken::default(), 2, part, None);
    assert!(!ledger.is_of(ANN, 2, 0), "an unfinished upload is no thing to change");
}

#[test]
fn f77_it_is_bounded_and_one_client_forgets_its_own_things_first() {
    let ledger = Ledger::default();
    store(&ledger, BOB, u64::MAX, 7);
    let count = THINGS_OF_CLIENT_MAX as u64 + 10;
    for identity in 0..count {
        store(&ledger, ANN, identity, 1);
    }
    assert_eq!(ledger.books().things.len(), THINGS_OF_CLIENT_MAX + 1);
    assert_eq!(ledger.total(ANN), charge(count, count), "what is forgotten counts on");
    assert!(!ledger.is_of(ANN, 9, 9) && ledger.is_of(ANN, 10, 10) && ledger.is_of(BOB, u64::MAX, u64::MAX));
    // A count finds out what of it is gone: of five unknown things at most five are there still.
    let mut recount = ledger.begin_recount(ANN);
    for identity in (0..5).chain(10..count) {
        ledger.meet(&mut recount, identity, 1);
    }
    ledger.end_recount(&recount);
    assert_eq!(ledger.total(ANN), charge(count - 5, count - 5));
}

#[test]
fn f75_what_is_written_down_is_what_there_is_after_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let journal = || {
        let folder = PrivateFolder::open(&dir.path().join("state")).unwrap();
        Journal::new(folder, "/srv", Home::of_device(7))
    };
    let ledger = Ledger::default();
    ledger.keep(journal()).unwrap();
    for round in 0..3_u64 {
        for identity in 0..20_000 {
            store(&ledger, ANN, identity, identity + round);
        }
    }
    store(&ledger, BOB, 30_000, 5);
    ledger.gone(1);
    ledger.reseal(ANN, 2, 77);
    ledger.books().settle(3);
    ledger.books().write(Record::Forgotten { identity: 3 });
    let again = Ledger::default();
    again.keep(journal()).unwrap();
    for client in [ANN, BOB] {
        assert_eq!(again.total(client), ledger.total(client));
    }
    assert!(
        again.is_of(ANN, 2, 77) && !again.knows(1) && !again.knows(3) && again.is_of(BOB, 30_000, 30_000)
    );
    let folder = PrivateFolder::open(&dir.path().join("state")).unwrap();
    let bytes = folder.read_up_to(journal().name(), u64::MAX).unwrap().unwrap().len();
    assert!(bytes < 60_000 * 36, "{bytes} bytes: it is written anew where it grows long");
}
