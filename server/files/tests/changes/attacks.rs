//! Somebody swaps a folder for a link to the outside while the service works in it.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use towpath_protocol::message::Request;
use towpath_protocol::request::{Depth, Existing, SetMode, SetTimes};

use super::world::{World, below, copy, make_folder, make_link, put, remove, rename};

const ROUNDS: usize = 100;

#[tokio::test]
async fn a_folder_swapped_for_a_link_leads_nothing_outside() {
    let world = World::new();
    world.folder("sub");
    world.folder("source/folder");
    world.write("source/file", "source");
    symlink(world.outside(), world.at("trap")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let (sub, trap, stop) = (world.at("sub"), world.at("trap"), stop.clone());
        move || {
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &sub, CWD, &trap, RenameFlags::EXCHANGE).unwrap();
            }
        }
    });
    for round in 0..ROUNDS {
        let new = format!("sub/new{round}");
        let requests: [Request; 9] = [
            put("sub/file", b"planted", Existing::Replace).into(),
            put(&new, b"planted", Existing::Keep).into(),
            make_folder("sub/folder", Existing::Replace).into(),
            make_link(&format!("sub/link{round}"), b"planted", Existing::Keep).into(),
            SetMode { thing: below("sub/file"), mode: 0o777 }.into(),
            SetTimes { thing: below("sub/file"), modified_ns: 1 }.into(),
            copy("source", "sub", Existing::Replace).into(),
            rename("sub/file", &format!("taken{round}"), Existing::Keep).into(),
            remove("sub/folder", Depth::Tree).into(),
        ];
        for request in requests {
            // Many fail, each as it should.
            let _ = world.ask(request).await;
        }
        world.check();
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    world.check();
}

#[tokio::test]
async fn a_tree_swapped_for_a_link_while_it_is_removed_leads_nothing_outside() {
    let world = World::new();
    symlink(world.outside(), world.at("trap")).unwrap();
    for _ in 0..ROUNDS {
        world.folder("tree/folder/deep");
        world.write("tree/folder/deep/file", "");
        let (folder, trap) = (world.at("tree/folder"), world.at("trap"));
        let swapper = std::thread::spawn(move || {
            for _ in 0..50 {
                let _ = renameat_with(CWD, &folder, CWD, &trap, RenameFlags::EXCHANGE);
            }
        });
        let _ = world.ask(remove("tree", Depth::Tree)).await;
        swapper.join().unwrap();
        world.check();
        let _ = world.ask(remove("tree", Depth::Tree)).await;
        let _ = world.ask(remove("trap", Depth::Tree)).await;
        symlink(world.outside(), world.at("trap")).unwrap();
    }
}
