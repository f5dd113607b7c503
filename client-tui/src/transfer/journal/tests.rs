//! What is written is read again; what somebody else wrote is refused; nobody takes what another still works on.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use proptest::prelude::*;
use towpath_protocol::path::{Name, WirePath};

use super::format::{read, written};
use super::*;
use crate::model::kept::KeptJob;
use crate::model::{Carry, Choice};

const WEEK: Duration = Duration::from_hours(7 * 24);

fn entry(begun_ns: i64) -> Entry {
    let path = |text: &str| WirePath::parse(text.as_bytes()).unwrap();
    let job = KeptJob {
        carry: Carry::Copy,
        source: String::new(),
        destination: "tow://box".to_owned(),
        items: vec![(path("home/ann/a"), path("backup/a"))],
        existing: Some(Choice::NewerOnly),
        limit: Some(5_000_000),
        totals: Some((3, 42)),
        place: 0,
        limit_of_all: None,
    };
    Entry { begun_ns, job }
}

fn open(dir: &Path) -> Journal {
    Journal::open(dir, WEEK).unwrap()
}

fn files(dir: &Path, beginning: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join(FOLDER)).unwrap().map(|entry| entry.unwrap());
    let wanted = entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with(beginning));
    wanted.map(|entry| entry.path()).collect()
}

/// As by `kill -9`: the lock is given up, and nothing is tidied away.
fn killed(journal: Journal) {
    let Journal { folder, owner, .. } = &journal;
    let left = PrivateFolder::open(&folder.path_of("")).unwrap();
    let owner = owner.clone();
    drop(journal);
    drop(left.lock().unwrap().hold(&living(&owner)).unwrap());
}

#[test]
fn what_a_tow_left_is_claimed_once_and_forgotten_when_it_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let names = [first.new_name().unwrap(), first.new_name().unwrap(), first.new_name().unwrap()];
    for (name, begun_ns) in names.iter().zip([30, 10, 20]) {
        first.note(name, &entry(begun_ns)).unwrap();
    }
    first.forget(&names[2]).unwrap();
    let second = open(dir.path());
    assert_eq!(second.take_left().unwrap().jobs.len(), 0, "the first one lives");
    killed(first);
    let left = second.take_left().unwrap();
    assert_eq!(left.jobs.iter().map(|(_, entry)| entry.begun_ns).collect::<Vec<_>>(), [10, 30]);
    assert_eq!((&left.jobs[0].1, left.said), (&entry(10), Vec::<String>::new()));
    let third = open(dir.path());
    assert_eq!(third.take_left().unwrap().jobs.len(), 0, "the second one has them");
    second.leave(&left.jobs[0].0).unwrap();
    let taken = third.take_left().unwrap();
    assert_eq!(taken.jobs.len(), 1, "one was left for later");
    third.forget(&taken.jobs[0].0).unwrap();
    second.forget(&left.jobs[1].0).unwrap();
    drop((second, third));
    assert_eq!(files(dir.path(), ""), files(dir.path(), "lock"), "nothing but the lock is left");
}

#[test]
fn what_was_left_comes_in_the_order_of_the_queue_also_from_an_older_tow() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    for (begun_ns, place) in [(10, 5), (20, 3), (30, 9), (40, 3)] {
        let mut entry = entry(begun_ns);
        (entry.job.place, entry.job.limit_of_all) = (place, Some(7_000));
        first.note(&first.new_name().unwrap(), &entry).unwrap();
    }
    let old = String::from_utf8(written(&entry(50))).unwrap();
    let old = old.replace("\"version\":2", "\"version\":1").replace(",\"place\":0", "");
    assert_eq!(read(old.as_bytes()).unwrap(), entry(50), "{old}");
    killed(first);
    let left = open(dir.path()).take_left().unwrap();
    assert_eq!(left.jobs.iter().map(|(_, entry)| entry.begun_ns).collect::<Vec<_>>(), [20, 40, 10, 30]);
    assert!(left.jobs.iter().all(|(_, entry)| entry.job.limit_of_all == Some(7_000)));
}

#[test]
fn however_many_start_at_once_each_job_is_claimed_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    for begun_ns in 0..20 {
        first.note(&first.new_name().unwrap(), &entry(begun_ns)).unwrap();
    }
    killed(first);
    let claimed = std::thread::scope(|scope| {
        let start = || {
            let journal = open(dir.path());
            let left = journal.take_left().unwrap();
            (journal, left.jobs.into_iter().map(|(_, entry)| entry.begun_ns).collect::<Vec<_>>())
        };
        let running: Vec<_> = (0..6).map(|_| scope.spawn(start)).collect();
        // Each lives until all have looked.
        let ended: Vec<_> = running.into_iter().map(|thread| thread.join().unwrap()).collect();
        ended.into_iter().flat_map(|(_, claimed)| claimed).collect::<Vec<_>>()
    });
    let mut claimed = claimed;
    claimed.sort_unstable();
    assert_eq!(claimed, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_commands_word_is_found_by_its_key_and_by_no_panes() {
    let dir = tempfile::tempdir().unwrap();
    let (first, key_of) = (open(dir.path()), key(b"get tow://box/a here"));
    first.note(&first.name_of(&key_of), &entry(1)).unwrap();
    let second = open(dir.path());
    assert!(second.take(&key_of).unwrap().is_none(), "it still runs");
    killed(first);
    assert_eq!(second.take_left().unwrap().jobs.len(), 0);
    assert!(second.take(&key(b"get tow://box/b here")).unwrap().is_none());
    let (name, found) = second.take(&key_of).unwrap().unwrap();
    assert_eq!((&name, found), (&second.name_of(&key_of), entry(1)));
    second.forget(&name).unwrap();
    drop(second);
    assert!(open(dir.path()).take(&key_of).unwrap().is_none());
}

#[test]
fn what_nobody_came_back_for_is_forgotten_and_what_a_write_left_goes() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let (old, young) = (first.new_name().unwrap(), first.new_name().unwrap());
    first.note(&old, &entry(1)).unwrap();
    first.note(&young, &entry(2)).unwrap();
    let folder = dir.path().join(FOLDER);
    let then = SystemTime::now() - WEEK - Duration::from_mins(1);
    fs::File::open(folder.join(old.to_string())).unwrap().set_modified(then).unwrap();
    fs::write(folder.join(format!("{young}.new")), "{").unwrap();
    killed(first);
    let left = open(dir.path()).take_left().unwrap();
    assert_eq!(left.jobs.len(), 1);
    assert!(left.said[0].contains("too old"), "{:?}", left.said);
    assert!(files(dir.path(), &old.to_string()).is_empty());
    assert!(files(dir.path(), &format!("{young}.new")).is_empty());
}

#[test]
fn what_makes_no_sense_is_told_once_and_put_aside_and_what_is_newer_is_left_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let folder = dir.path().join(FOLDER);
    let put = |name: &str, content: &[u8], mode| {
        fs::write(folder.join(name), content).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    put("panes-00000000000000aa-0000000000000001", b"{\"version\":1,\"verb\":\"cop", 0o600);
    put("panes-00000000000000aa-0000000000000002", b"{\"version\":3,\"more\":[]}", 0o600);
    put("panes-00000000000000aa-0000000000000003", &written(&entry(1)), 0o644);
    put("panes-00000000000000aa-0000000000000004", &written(&entry(4)), 0o600);
    put("panes-somebody-else", b"?", 0o600);
    let journal = open(dir.path());
    let left = journal.take_left().unwrap();
    assert_eq!(left.jobs.len(), 1);
    let said = left.said.join("\n");
    for part in ["cannot be understood", "newer tow", "mode 0644"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(files(dir.path(), "damaged-").len(), 1);
    drop(journal);
    let again = open(dir.path()).take_left().unwrap();
    assert!(!again.said.join("\n").contains("EOF"), "{:?}", again.said);
    assert_eq!((again.jobs.len(), again.said.len()), (1, 2));
    assert!(folder.join("panes-somebody-else").exists());
}

#[test]
fn there_is_an_end_to_what_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let name = journal.new_name().unwrap();
    let mut large = entry(1);
    let long = WirePath::parse("x".repeat(200).as_bytes()).unwrap();
    large.job.items = vec![(long.clone(), long); 10_000];
    assert!(matches!(journal.note(&name, &large), Err(JournalFault::TooLarge)));
    // A hundred thousand names of one folder are little enough.
    let folder = WirePath::parse(b"home/ann/photographs of the year").unwrap();
    let items = (0..100_000).map(|number| {
        let path = folder.join(&Name::try_from(&*format!("photo-{number:06}")).unwrap()).unwrap();
        (path.clone(), path)
    });
    large.job.items = items.collect();
    journal.note(&name, &large).unwrap();
    for number in 0..FILES_MAX {
        fs::write(dir.path().join(FOLDER).join(format!("x{number}")), "").unwrap();
    }
    assert!(matches!(journal.note(&journal.new_name().unwrap(), &entry(1)), Err(JournalFault::Full)));
    journal.note(&name, &entry(2)).unwrap();
}

fn path() -> impl Strategy<Value = WirePath> {
    let name =
        prop::collection::vec(any::<u8>(), 1..20).prop_filter_map("a name", |bytes| Name::new(bytes).ok());
    prop::collection::vec(name, 0..4).prop_map(|names| WirePath::new(names).unwrap())
}

fn job() -> impl Strategy<Value = Entry> {
    let servers = ["", "tow://box", "tow://[::1]:99", "ssh://ann@box:22", "unix:/run/a b"];
    let server = (0..servers.len()).prop_map(move |at| servers[at].to_owned());
    let choices = [Choice::Overwrite, Choice::Skip, Choice::KeepBoth, Choice::NewerOnly];
    let choice = prop::option::of((0..choices.len()).prop_map(move |at| choices[at]));
    let items = prop::collection::vec((path(), path()), 1..8);
    let limit = || prop::option::of(any::<u64>());
    let figures = (any::<i64>(), limit(), prop::option::of(any::<(u64, u64)>()), any::<u64>(), limit());
    (any::<bool>(), server.clone(), server, items, choice, figures).prop_map(
        |(copies, source, destination, items, existing, figures)| {
            let carry = if copies { Carry::Copy } else { Carry::Move };
            let (begun_ns, limit, totals, place, limit_of_all) = figures;
            let job =
                KeptJob { carry, source, destination, items, existing, limit, totals, place, limit_of_all };
            Entry { begun_ns, job }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(entry in job()) {
        prop_assert_eq!(read(&written(&entry)).unwrap(), entry);
    }

    /// Cut off, or with some bytes changed, it is refused or means something that would be written like that.
    #[test]
    fn any_bytes_are_a_job_or_refused(entry in job(), cut in any::<prop::sample::Index>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        let mut bytes = written(&entry);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Ok(read_entry) = read(bytes) {
                prop_assert_eq!(read(&written(&read_entry)).unwrap(), read_entry);
            }
        }
    }

    #[test]
    fn noise_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read(&bytes).is_err());
    }
}
