//! Who stored what, on a disk that is full for a while and after damage: the log says so, and quotas hold as far as they can.

use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use towpath_protocol::message::Answer;
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{OperationId, Space};

use super::limits::SmallDisk;
use super::log::put;
use super::tls::{House, Session};
use super::world::{State, folder};

const KIB: u64 = 1024;

fn store(client: &mut Session, number: u8) {
    let mut put = put(&format!("file{number}"), &vec![number; 64 * 1024]);
    put.operation = OperationId([number; 16]);
    let stored = client.call(put).1;
    assert!(matches!(stored, Answer::Stored(_)), "{stored:?}");
}

/// Files that take a record each, and no room of the quota but their number.
fn store_empty(client: &mut Session, numbers: Range<u8>) {
    for number in numbers {
        let mut put = put(&format!("empty{number}"), b"");
        put.operation = OperationId([[number; 8], [255; 8]].concat().try_into().unwrap());
        let stored = client.call(put).1;
        assert!(matches!(stored, Answer::Stored(_)), "{stored:?}");
    }
}

/// What the client may still store.
fn left(client: &mut Session) -> u64 {
    match client.call(Space { path: WirePath::root() }).1 {
        Answer::SpaceInfo(space) => space.free,
        other => panic!("{other:?}"),
    }
}

/// The files of the ledger.
fn ledgers(state: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(state.join("server")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = found.filter(|path| path.to_string_lossy().contains("/ledger-")).collect();
    found.sort();
    found
}

/// How often the log says `text`, once the server has ended.
fn ended(house: &mut House, text: &str) -> usize {
    house.towd.signal(Signal::TERM);
    house.towd.wait();
    house.towd.log.wait_for("leaving");
    house.towd.log.all().iter().filter(|line| line.contains(text)).count()
}

/// Fills a disk up.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    for bytes in [64 * 1024, 4096, 1] {
        while file.write_all(&vec![0; bytes]).is_ok() {}
    }
}

#[test]
fn f75_a_ledger_that_cannot_be_written_is_said_and_written_when_there_is_room() {
    let Some(disk) = SmallDisk::of("512k") else { return super::skip::skip("nothing can be mounted here") };
    let (root, filler) = (folder(&[]), disk.0.path().join("filler"));
    let state = || State::in_folder(disk.0.path());
    let mut house = House::with(state(), root.path(), &[]);
    let ann = house.paired("ann@box", &["--quota", "1MiB"]);
    let mut client = house.meet(&ann, None).unwrap();
    fill(&filler);
    // More records than fit into what a block has left.
    for number in 0..4 {
        store(&mut client, number);
    }
    store_empty(&mut client, 0..200);
    let said = house.towd.log.wait_for("cannot be written down");
    assert!(said.contains("ledger-") && said.contains("No space left"), "{said}");
    assert!(ledgers(&house.state.path())[0].to_string_lossy().ends_with(".incomplete"));
    let before = left(&mut client);
    // There is room again, and the last chance is the end.
    std::fs::remove_file(&filler).unwrap();
    drop(client);
    assert_eq!(ended(&mut house, "cannot be written down"), 1);
    house.towd.log.wait_for("is written down again");

    let mut house = House::with(state(), root.path(), &[]);
    let mut client = house.meet(&ann, None).unwrap();
    assert_eq!(left(&mut client), before);
    // This time there is none until after the end.
    fill(&filler);
    store_empty(&mut client, 200..240);
    store(&mut client, 4);
    drop(client);
    assert_eq!(ended(&mut house, "is written down again"), 0);
    house.towd.log.wait_for("cannot be written down");
    std::fs::remove_file(&filler).unwrap();
    let mut house = House::with(state(), root.path(), &[]);
    house.towd.log.wait_for("is not complete");
    assert_eq!(left(&mut house.meet(&ann, None).unwrap()), before);
    assert_eq!(ended(&mut house, "is not complete"), 1);
    assert_eq!(ledgers(&house.state.path()).len(), 1);
}

#[test]
fn f75_a_damaged_ledger_is_said_at_the_start_and_what_is_sound_counts() {
    let (root, home) = (folder(&[]), folder(&[]));
    let state = || State::in_folder(home.path());
    let mut house = House::with(state(), root.path(), &[]);
    let ann = house.paired("ann@box", &["--quota", "1MiB"]);
    let mut client = house.meet(&ann, None).unwrap();
    for number in 0..4 {
        store(&mut client, number);
    }
    let before = left(&mut client);
    drop(client);
    assert_eq!(ended(&mut house, "ledger-"), 0);
    let ledger = ledgers(&house.state.path()).remove(0);
    let mut content = std::fs::read(&ledger).unwrap();
    let end = content.len();
    content[end - 100] ^= 1;
    std::fs::write(&ledger, &content).unwrap();
    // The damaged record is skipped, not all behind it.
    let mut house = House::with(state(), root.path(), &[]);
    let said = house.towd.log.wait_for("is damaged");
    assert!(said.contains("\"warning\"") && said.contains("3 records"), "{said}");
    assert_eq!(left(&mut house.meet(&ann, None).unwrap()), before + 64 * KIB);
    assert_eq!(ended(&mut house, "is damaged"), 1);
    let [sound, damaged] = &ledgers(&house.state.path())[..] else { panic!("not two files") };
    assert_eq!((sound, std::fs::read(damaged).unwrap()), (&ledger, content));
    let mut house = House::with(state(), root.path(), &[]);
    assert_eq!(left(&mut house.meet(&ann, None).unwrap()), before + 64 * KIB);
    assert_eq!(ended(&mut house, "ledger-"), 0);
}
