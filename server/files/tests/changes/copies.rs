//! Copy: whole trees as they are, never into themselves, and what fails does not stop the rest.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::process::Command;
use std::sync::Arc;

use towpath_files::root::RootSpec;
use towpath_files::service::{Service, ServiceConfig};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::request::{Copy, Durability, Existing, SetTimes};
use towpath_protocol::time::Time;

use super::world::{Access, SOME_TIME_NS, Talk, World, below, copy, make_fifo, umask};

#[tokio::test]
async fn a_tree_is_copied_with_modes_times_and_links() {
    let world = World::new();
    world.folder("from/closed/deep");
    world.folder("from/empty");
    world.write("from/file", "content");
    world.write("from/nothing", "");
    world.write("from/closed/deep/large", vec![5; 20 * 1024 * 1024 + 1]);
    let part = world.leave_part("from").await;
    world.link("from/link", "../../outside/file");
    world.link("from/dangling", "nowhere");
    fs::set_permissions(world.at("from/file"), fs::Permissions::from_mode(0o4751)).unwrap();
    for path in ["from/file", "from/link", "from/closed/deep", "from/closed", "from/empty", "from"] {
        world.ask(SetTimes { thing: below(path), modified: Time::from_ns(SOME_TIME_NS) }).await.unwrap();
    }
    fs::set_permissions(world.at("from/closed"), fs::Permissions::from_mode(0o555)).unwrap();
    let totals =
        world.totals(Copy { durability: Durability::Synced, ..copy("from", "to", Existing::Keep) }).await;
    assert_eq!((totals.files, totals.folders, totals.failed), (5, 4, 0), "{:?}", totals.faults);
    assert_eq!(totals.bytes, 7 + 20 * 1024 * 1024 + 1);
    assert_eq!(world.mode("to/file"), 0o751 & !umask());
    assert_eq!(world.mode("to/closed"), 0o555 & !umask());
    assert!(!world.exists(&part.replace("from", "to")));
    fs::remove_file(world.at(&part)).unwrap();
    world.ask(SetTimes { thing: below("from"), modified: Time::from_ns(SOME_TIME_NS) }).await.unwrap();
    // The special bits are not kept, and that alone.
    fs::set_permissions(world.at("from/file"), fs::Permissions::from_mode(0o751)).unwrap();
    match Command::new("rsync")
        .args(["-anc", "--itemize-changes"])
        .arg(world.at("from/"))
        .arg(world.at("to"))
        .output()
    {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout), ""),
        Err(_) => crate::skip::skip("no rsync to compare with"),
    }
    world.check();
}

#[tokio::test]
async fn many_small_files_are_in_place_and_counted_before_their_folders_get_their_times() {
    let world = World::new();
    for folder in 0..30 {
        world.folder(&format!("from/{folder}/deeper"));
        for file in 0..30 {
            world.write(&format!("from/{folder}/deeper/{file}"), format!("{folder} {file}"));
        }
    }
    let folders = (0..30).flat_map(|folder| [format!("from/{folder}/deeper"), format!("from/{folder}")]);
    for path in folders.chain(["from".to_owned()]) {
        world.ask(SetTimes { thing: below(&path), modified: Time::from_ns(SOME_TIME_NS) }).await.unwrap();
    }
    // Nothing may take its place, and the others go on.
    world.folder("to/7/deeper/7");
    let request = Copy { durability: Durability::Synced, ..copy("from", "to", Existing::Replace) };
    let totals = world.totals(request).await;
    assert_eq!((totals.files, totals.folders, totals.failed), (899, 61, 1), "{:?}", totals.faults);
    assert_eq!(totals.faults[0].code, FaultCode::IsAFolder);
    for folder in 0..30 {
        for file in (0..30).filter(|file| (folder, *file) != (7, 7)) {
            let content = fs::read(world.at(format!("to/{folder}/deeper/{file}"))).unwrap();
            assert_eq!(content, format!("{folder} {file}").into_bytes());
        }
        let modified = fs::metadata(world.at(format!("to/{folder}/deeper"))).unwrap();
        assert_eq!(
            i128::from(modified.mtime()) * 1_000_000_000 + i128::from(modified.mtime_nsec()),
            SOME_TIME_NS.into()
        );
    }
    world.check();
}

#[tokio::test]
async fn a_tree_is_not_copied_into_itself() {
    let world = World::new();
    world.folder("folder/deep");
    world.write("folder/file", "content");
    for to in ["folder/new", "folder/deep/new", "folder/deep", "folder", "folder/file/x"] {
        let code = world.refused(copy("folder", to, Existing::Replace)).await;
        let expected = if to == "folder/file/x" { FaultCode::NotAFolder } else { FaultCode::IntoItself };
        assert_eq!(code, expected, "{to}");
    }
    // Another name for the same folder: compared are the folders, not the names.
    world.link("other", "folder");
    let mut through = copy("folder", "x", Existing::Replace);
    through.to.base = WirePath::parse(b"other/deep").unwrap();
    assert_eq!(world.refused(through).await, FaultCode::IntoItself);
    assert_eq!(
        world.refused(copy("folder/file", "folder/file", Existing::Replace)).await,
        FaultCode::IntoItself
    );
    assert_eq!(world.read("folder/file"), b"content");
    world.check();
}

#[tokio::test]
async fn a_hard_link_is_not_copied_onto_itself() {
    let world = World::new();
    world.write("one", "content");
    fs::hard_link(world.at("one"), world.at("two")).unwrap();
    assert_eq!(world.refused(copy("one", "two", Existing::Replace)).await, FaultCode::IntoItself);
    assert_eq!(fs::metadata(world.at("one")).unwrap().nlink(), 2);
}

#[tokio::test]
async fn a_copied_tree_joins_a_folder_and_reports_what_cannot_be() {
    let world = World::new();
    world.folder("from/folder");
    world.folder("from/clash");
    world.write("from/file", "new");
    world.write("from/taken", "new");
    world.write("from/folder/deep", "new");
    make_fifo(&world.at("from/fifo"));
    world.folder("to/folder");
    world.folder("to/taken");
    world.write("to/clash", "old");
    world.write("to/file", "old");
    world.write("to/kept", "kept");
    let totals = world.totals(copy("from", "to", Existing::Replace)).await;
    let mut faults: Vec<_> =
        totals.faults.iter().map(|fault| (fault.path.as_ref().unwrap().display(), fault.code)).collect();
    faults.sort();
    let expected = [
        ("from/clash".to_owned(), FaultCode::NotAFolder),
        ("from/fifo".to_owned(), FaultCode::SpecialFile),
        ("from/taken".to_owned(), FaultCode::IsAFolder),
    ];
    assert_eq!(faults, expected);
    assert_eq!((totals.files, totals.folders, totals.failed), (2, 2, 3));
    assert_eq!((world.read("to/file"), world.read("to/folder/deep")), (b"new".to_vec(), b"new".to_vec()));
    assert_eq!((world.read("to/kept"), world.read("to/clash")), (b"kept".to_vec(), b"old".to_vec()));
    world.check();
}

#[tokio::test]
async fn only_older_files_are_replaced_where_that_was_asked() {
    let world = World::new();
    for folder in ["from", "to"] {
        world.folder(folder);
        for file in ["a", "b"] {
            world.write(&format!("{folder}/{file}"), folder);
        }
    }
    for (path, modified) in [("from/a", 2), ("to/a", 1), ("from/b", 1), ("to/b", 2)] {
        world.ask(SetTimes { thing: below(path), modified: Time::from_ns(modified) }).await.unwrap();
    }
    let totals = world.totals(copy("from", "to", Existing::ReplaceOlder)).await;
    assert_eq!((totals.files, totals.failed), (1, 1));
    assert_eq!(totals.faults[0].code, FaultCode::AlreadyExists);
    assert_eq!((world.read("to/a"), world.read("to/b")), (b"from".to_vec(), b"to".to_vec()));
}

#[tokio::test]
async fn a_cancelled_copy_leaves_no_half_file() {
    let world = World::new();
    world.folder("from");
    // Large enough to be under way; a hole would be passed over.
    let large = fs::File::create(world.at("from/large")).unwrap();
    let whole = rustix::fs::FallocateFlags::empty();
    rustix::fs::fallocate(large, whole, 0, 3 << 30).unwrap();
    let mut talk = world.open(copy("from", "to", Existing::Keep));
    let began = std::time::Instant::now();
    let progress = talk.next().await.unwrap();
    if let Answer::Progress(progress) = progress {
        assert!(progress.bytes > 0 && progress.files == 0, "{progress:?}");
        let cancelled = std::time::Instant::now();
        talk.cancel.cancel();
        assert_eq!(talk.end().await.unwrap_err().code, FaultCode::Cancelled);
        assert!(cancelled.elapsed().as_millis() < 2000, "{:?}", cancelled.elapsed());
        assert!(!world.exists("to/large"));
    } else {
        println!("the file was shared, not copied, in {:?}", began.elapsed());
    }
    world.check();
}

#[tokio::test]
async fn holes_of_a_file_stay_holes_in_its_copy() {
    let world = World::new();
    let mut islands = vec![(0, 5), (5 << 20, 10_000), ((9 << 20) + 1, 1), ((30 << 20) - 3, 3)];
    for last in [true, false] {
        // With data at its end, and with a hole there.
        if !last {
            islands.pop();
        }
        let from = fs::File::create(world.at("from")).unwrap();
        from.set_len(30 << 20).unwrap();
        for (at, len) in &islands {
            from.write_all_at(&vec![7; *len], *at).unwrap();
        }
        let totals = world.totals(copy("from", "to", Existing::Replace)).await;
        assert_eq!((totals.files, totals.bytes), (1, 30 << 20));
        assert!(world.read("to") == world.read("from"));
        let stored = |path: &str| fs::metadata(world.at(path)).unwrap().blocks();
        assert!(stored("to") <= stored("from").max(1000), "{} of {}", stored("to"), stored("from"));
    }
    world.check();
}

#[tokio::test]
async fn a_file_without_a_size_is_copied_to_its_end() {
    let world = World::new();
    let whole = Service::new(ServiceConfig {
        root: RootSpec::Whole,
        access: Access::ReadWrite,
        home: WirePath::root(),
    });
    // Said to be empty and yet with content, as everything there.
    let from = WirePath::parse(b"/proc/sys/kernel/ostype").unwrap();
    let to = WirePath::parse(world.at("copied").as_os_str().as_encoded_bytes()).unwrap();
    let request = Copy { from: Location::of(&from), to: Location::of(&to), ..copy("x", "y", Existing::Keep) };
    let answer = Talk::open(&Arc::new(whole.unwrap()), request.into()).end().await;
    assert!(matches!(answer, Ok(Answer::Totals(ref totals)) if totals.bytes == 6), "{answer:?}");
    assert_eq!(world.read("copied"), b"Linux\n");
    world.check();
}
