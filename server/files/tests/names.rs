//! A server's memory for the names of a large folder that it copies and removes. One test, since the count is the whole process's.
#![allow(clippy::disallowed_methods, reason = "fixtures are built and looked at with std::fs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "all of this is tests, helpers too"
)]

#[path = "../../../protocol/tests/support/counting.rs"]
mod counting;
#[path = "changes/world.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod world;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use counting::Held;
use towpath_files::root::RootSpec;
use towpath_files::service::{Service, ServiceConfig, StoreLimits};
use towpath_protocol::hello::Access;
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{Depth, Existing};
use world::{World, copy, remove};

const NAMES: u64 = 20_000;
const NAME_BYTES: usize = 240;
/// For one client: less than the names of the folder take.
const MEMORY_BYTES: u64 = 4 << 20;

#[tokio::test]
async fn f71_a_folder_whose_names_take_more_memory_than_there_is_is_copied_and_removed() {
    let mut world = World::in_memory();
    let limits = StoreLimits { memory_bytes: MEMORY_BYTES, ..StoreLimits::default() };
    let root = RootSpec::Jailed(world.at(""));
    let config = ServiceConfig { root, access: Access::ReadWrite, home: WirePath::root() };
    world.service = Arc::new(Service::with_limits(config, limits).unwrap());
    world.folder("tree");
    (0..NAMES).for_each(|number| world.write(&format!("tree/{number:0>NAME_BYTES$}"), ""));
    // It stays, and is met again with each lot of names.
    let mount = Mount::on(world.at("tree/mount"));
    let failed = u64::from(mount.is_some());

    let held = Held::from_now_on();
    let totals = world.totals(copy("tree", "copied", Existing::Keep)).await;
    let most = held.most();
    assert_eq!((totals.files, totals.failed), (NAMES, 0), "{totals:?}");
    assert!(most < 3 << 20, "a copy holds {most} bytes");
    assert_eq!(fs::read_dir(world.at("copied")).unwrap().count() as u64, NAMES + 1);

    let held = Held::from_now_on();
    let totals = world.totals(remove("tree", Depth::Tree)).await;
    let most = held.most();
    assert_eq!((totals.files, totals.failed), (NAMES, failed), "{totals:?}");
    assert!(most < 3 << 20, "a removal holds {most} bytes");
    match mount {
        Some(_) => assert_eq!(fs::read_dir(world.at("tree")).unwrap().count(), 1),
        None => assert!(!world.exists("tree")),
    }
}

/// A file system in a folder, which stays mounted; needs the right to mount.
struct Mount(PathBuf);

impl Mount {
    fn on(folder: PathBuf) -> Option<Self> {
        fs::create_dir(&folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "none"]).arg(&folder).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Self(folder))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
