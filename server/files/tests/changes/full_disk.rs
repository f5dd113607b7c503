//! A small file system that fills up. Mounting needs root; without it these say so and do nothing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use towpath_protocol::fault::FaultCode;
use towpath_protocol::request::{Depth, Existing};

use super::world::{World, begin, copy, put, remove, rename};

const MIB: usize = 1024 * 1024;

/// A tmpfs of 2 MiB, unmounted when dropped.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "none"]).arg(at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        crate::skip::skip("no file system could be mounted");
        None
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_nothing_half_is_left() {
    let world = World::new();
    let at = world.at("small");
    let Some(_small) = Small::mount(&at) else { return };
    let content = vec![1; 3 * MIB];
    let fault = world.ask(begin("small/file", content.len(), Existing::Keep)).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::NoSpace);
    assert_eq!(fault.detail.to_string(), format!("{} bytes needed, {} free", 3 * MIB, 2 * MIB));
    // The size is a hint only.
    let fault = world.upload(begin("small/file", 0, Existing::Keep), &content).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::NoSpace);
    assert!(!world.exists("small/file"));
    world.check();

    // What was removed may count for another moment.
    let began = Instant::now();
    while fs::write(world.at("small/filler"), vec![0; 2 * MIB]).is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "the small disk stays full");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.refused(put("small/file", b"x", Existing::Keep)).await, FaultCode::NoSpace);
    world.check();
}

#[tokio::test]
async fn a_copy_onto_a_full_disk_fails_for_what_finds_no_room() {
    let world = World::new();
    let at = world.at("small");
    let Some(_small) = Small::mount(&at) else { return };
    world.folder("from");
    for index in 0..9 {
        world.write(&format!("from/{index}"), vec![1; MIB / 2]);
    }
    let totals = world.totals(copy("from", "small/to", Existing::Keep)).await;
    let whole: Vec<_> = fs::read_dir(world.at("small/to")).unwrap().flatten().collect();
    assert!(whole.iter().all(|entry| entry.metadata().unwrap().len() == MIB as u64 / 2));
    assert!(totals.files >= 4 && totals.failed >= 3, "{totals:?}");
    assert_eq!((totals.files, totals.files + totals.failed), (whole.len() as u64, 9), "{totals:?}");
    for fault in totals.faults {
        assert_eq!(fault.code, FaultCode::NoSpace);
        assert!(fault.path.unwrap().display().starts_with("from/"));
    }
    world.check();
}

#[tokio::test]
async fn another_file_system_is_not_entered() {
    let world = World::new();
    let at = world.at("tree/small");
    let Some(_small) = Small::mount(&at) else { return };
    world.write("tree/small/file", "kept");
    world.write("tree/file", "goes");
    let totals = world.totals(remove("tree", Depth::Tree)).await;
    assert_eq!((totals.files, totals.failed), (1, 1));
    assert_eq!(totals.faults[0].code, FaultCode::OtherFileSystem);
    assert_eq!(totals.faults[0].path.as_ref().unwrap().display(), "tree/small");
    assert_eq!(world.read("tree/small/file"), b"kept");
    let moved = world.refused(rename("tree/small/file", "file", Existing::Keep)).await;
    assert_eq!(moved, FaultCode::OtherFileSystem);
    let copied = world.totals(copy("tree/small/file", "file", Existing::Keep)).await;
    assert_eq!((copied.files, world.read("file")), (1, b"kept".to_vec()));
}
