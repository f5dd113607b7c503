//! The ledger: what is whose, what it counts, its bounds, and its journal after a crash.

use std::path::Path;
use std::time::Duration;

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

fn journal_in(dir: &Path) -> Journal {
    let folder = PrivateFolder::open(&dir.join("state")).unwrap();
    Journal::new(folder, "/srv", Home::of_device(7))
}

/// A ledger that goes on from what is written, and what was said of it.
fn started(dir: &Path) -> (Ledger, Vec<String>) {
    let ledger = Ledger::default();
    let said = ledger.keep(journal_in(dir)).unwrap();
    (ledger, said)
}

/// The names in the state folder behind that of the ledger.
fn endings(dir: &Path) -> Vec<String> {
    let folder = PrivateFolder::open(&dir.join("state")).unwrap();
    let name = journal_in(dir).name().to_owned();
    let names = folder.names(100).unwrap();
    let mut endings: Vec<_> =
        names.iter().filter_map(|found| found.strip_prefix(&name)).map(str::to_owned).collect();
    endings.sort();
    endings
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
    let journal = || journal_in(dir.path());
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

const RECORD: usize = 36;

#[test]
fn f75_a_damaged_ledger_is_said_and_kept_and_all_sound_records_count() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = started(dir.path()).0;
    (1..=20).for_each(|identity| store(&ledger, ANN, identity, 100));
    assert_eq!(started(dir.path()).1, Vec::<String>::new());
    let folder = PrivateFolder::open(&dir.path().join("state")).unwrap();
    let name = journal_in(dir.path()).name().to_owned();
    let sound = folder.read(&name).unwrap().unwrap().to_vec();
    assert_eq!(sound.len(), 21 * RECORD, "how it begins, and twenty things");
    let noise: Vec<u8> =
        (0..5000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let flipped = |at: usize| {
        let mut content = sound.clone();
        content[at] ^= 0x10;
        content
    };
    let zeroed = [&sound[..RECORD * 3 + 5], &[0; 100], &sound[RECORD * 3 + 105..]].concat();
    for (what, damaged, things) in [
        ("truncated within a record", sound[..RECORD * 11 + 7].to_vec(), 10),
        ("truncated behind a record", sound[..RECORD * 11].to_vec(), 10),
        ("without its last byte", sound[..sound.len() - 1].to_vec(), 19),
        ("empty", Vec::new(), 0),
        ("a flipped bit at the beginning", flipped(3), 20),
        ("a flipped bit in a record", flipped(RECORD * 5 + 9), 19),
        ("zeros within", zeroed, 17),
        ("all zeros", vec![0; sound.len()], 0),
        ("zeros behind", [&sound[..], &[0; 4096]].concat(), 20),
        ("bytes inserted", [&sound[..RECORD * 2 + 5], b"new", &sound[RECORD * 2 + 5..]].concat(), 19),
        ("bytes missing at the beginning", sound[5..].to_vec(), 20),
        ("noise", noise.clone(), 0),
        ("records within noise", [&noise[..1001], &sound[RECORD * 4..], &noise[..77]].concat(), 17),
    ] {
        folder.lock().unwrap().write(&name, &damaged).unwrap();
        let (again, said) = started(dir.path());
        assert_eq!(again.total(ANN), charge(100 * things, things), "{what}");
        let [said] = &said[..] else { panic!("{what}: {said:?}") };
        for part in [
            &format!("{name} is damaged"),
            &format!("{name}.damaged"),
            &format!("{things} records"),
            "quotas may",
        ] {
            assert!(said.contains(part), "{what}: {said}");
        }
        assert_eq!(folder.read(&format!("{name}.damaged")).unwrap().unwrap().to_vec(), damaged, "{what}");
        assert_eq!(endings(dir.path()), ["", ".damaged"], "{what}");
        assert_eq!(started(dir.path()).1, Vec::<String>::new(), "{what}: it is sound again");
    }
    // An earlier version did not write how it begins.
    folder.lock().unwrap().write(&name, &sound[RECORD..]).unwrap();
    let (again, said) = started(dir.path());
    assert_eq!((again.total(ANN), said), (charge(2000, 20), Vec::new()));
}

#[test]
fn f75_what_could_not_be_written_is_written_once_it_can_be() {
    let dir = tempfile::tempdir().unwrap();
    // A folder in the place of the file that is written beside.
    let obstacle = dir.path().join("state").join(format!("{}.new", journal_in(dir.path()).name()));
    for by_the_next_change in [true, false] {
        let retry_time = if by_the_next_change { Duration::ZERO } else { Duration::MAX };
        let (ledger, said) = started(dir.path());
        assert_eq!(said, Vec::<String>::new());
        let base = ledger.total(ANN).inodes;
        store(&ledger, ANN, 100 + base, 1);
        std::fs::create_dir(&obstacle).unwrap();
        ledger.books().journal.as_mut().unwrap().break_off(retry_time);
        for identity in 200 + base..205 + base {
            store(&ledger, ANN, identity, 1);
        }
        assert!(ledger.books().journal.as_ref().unwrap().is_behind());
        ledger.finish();
        assert_eq!(endings(dir.path()), [".incomplete", ".new"], "a name says that something is missing");
        std::fs::remove_dir(&obstacle).unwrap();
        if by_the_next_change {
            store(&ledger, ANN, 300, 1);
        } else {
            store(&ledger, ANN, 301, 1);
            assert!(ledger.books().journal.as_ref().unwrap().is_behind(), "it is left alone for a while");
            ledger.finish();
        }
        assert!(!ledger.books().journal.as_ref().unwrap().is_behind());
        assert_eq!(endings(dir.path()), [""]);
        store(&ledger, ANN, 400 + base, 1);
        let (again, said) = started(dir.path());
        assert_eq!((again.total(ANN), said), (charge(base + 8, base + 8), Vec::new()));
        drop(ledger);
    }
}

#[test]
fn f75_what_could_never_be_written_is_said_once_and_after_the_restart() {
    let dir = tempfile::tempdir().unwrap();
    let obstacle = dir.path().join("state").join(format!("{}.new", journal_in(dir.path()).name()));
    let ledger = started(dir.path()).0;
    store(&ledger, ANN, 1, 100);
    let gone = Record::Gone { identity: 5 };
    {
        let mut books = ledger.books();
        let journal = books.journal.as_mut().unwrap();
        journal.break_off(Duration::ZERO);
        std::fs::create_dir(&obstacle).unwrap();
        let said = journal.append(&gone).unwrap();
        assert!(said.contains(journal.name()) && said.contains("cannot be written down"), "{said}");
        assert_eq!((journal.append(&gone), journal.rewrite(&[]), journal.append(&gone)), (None, None, None));
    }
    store(&ledger, ANN, 2, 50);
    drop(ledger);
    // The last record was cut off, as on a full disk.
    let folder = PrivateFolder::open(&dir.path().join("state")).unwrap();
    folder
        .append_to(&format!("{}.incomplete", journal_in(dir.path()).name()))
        .unwrap()
        .append(&[1; 20])
        .unwrap();
    // It cannot be written at the start either.
    let (again, said) = started(dir.path());
    assert_eq!(again.total(ANN), charge(100, 1), "what was written counts");
    assert_eq!(endings(dir.path()), [".incomplete", ".new"], "nothing is damaged");
    assert!(said[0].contains("is not complete") && said[0].contains("quotas may"), "{said:?}");
    assert!(said.len() == 2 && said[1].contains("cannot be written down"), "{said:?}");
    std::fs::remove_dir(&obstacle).unwrap();
    again.finish();
    let (again, said) = started(dir.path());
    assert_eq!((again.total(ANN), said), (charge(100, 1), Vec::new()));
    // A file that is open is good where there is no room for another one.
    std::fs::create_dir(&obstacle).unwrap();
    assert_eq!(again.books().rewrite(), None);
    store(&again, BOB, 3, 7);
    std::fs::remove_dir(&obstacle).unwrap();
    assert_eq!(started(dir.path()).0.total(BOB), charge(7, 1));
}
