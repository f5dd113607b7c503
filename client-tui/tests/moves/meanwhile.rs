//! Folders into which another program puts files while they are moved: each file is at the source or at the destination afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::world::{World, mount};

const ROUNDS: usize = 3;
const FOLDERS: usize = 6;
const FILES: usize = 40;

fn fill(world: &World) {
    for folder in 0..FOLDERS {
        for file in 0..FILES {
            world.write(&format!("src/{folder}/{file}"), format!("there before: {folder} {file}"));
        }
    }
}

/// Puts files into the folders until it is told to stop. Returns what they hold.
fn put_files(world: &World, stop: &AtomicBool) -> BTreeSet<String> {
    let mut put = BTreeSet::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let content = format!("put meanwhile: {number}");
        // Complete before it is there: who writes to a file that is being moved may write to one that is gone.
        let (made, place) = (world.at("made"), world.at(&format!("src/{}/new {number}", number % FOLDERS)));
        fs::write(&made, &content).unwrap();
        if fs::rename(&made, place).is_ok() {
            put.insert(content);
        }
    }
    put
}

#[test]
fn f80_what_is_put_into_a_folder_while_it_is_moved_is_at_one_of_its_places() {
    let world = World::new();
    fs::create_dir_all(world.at("far")).unwrap();
    let mounted = mount(&["mount", "-t", "tmpfs", "none"], &world.at("far"));
    fs::create_dir_all(world.at("served")).unwrap();
    let towd = world.serve("served");
    let there = towd.target("moved");
    let mut met = 0;
    for (to, at) in [("far/moved", "far/moved"), (&*there, "served/moved"), ("near", "near")] {
        if at.starts_with("far") && mounted.is_none() {
            continue;
        }
        for _ in 0..ROUNDS {
            for folder in ["src", at] {
                let _ = fs::remove_dir_all(world.at(folder));
            }
            fill(&world);
            let before: BTreeSet<_> = world.contents("src").into_iter().collect();
            let stop = AtomicBool::new(false);
            let (moved, put) = std::thread::scope(|scope| {
                let writer = scope.spawn(|| put_files(&world, &stop));
                let moved = world.tow(&["mv", "src", to]);
                stop.store(true, Ordering::Relaxed);
                (moved, writer.join().unwrap())
            });
            let left = if world.at("src").exists() { world.contents("src") } else { Vec::new() };
            let arrived = world.contents(at);
            let now: BTreeSet<_> = left.iter().chain(&arrived).cloned().collect();
            let lost: Vec<_> = before.union(&put).filter(|content| !now.contains(*content)).collect();
            assert!(lost.is_empty(), "{to}: lost {lost:?}: {moved:?}");
            // A file that came after its folder was read stays there, and the move says so.
            assert_eq!(moved.status.success(), left.is_empty(), "{to}: {left:?}: {moved:?}");
            met += arrived.iter().filter(|content| put.contains(*content)).count() + left.len();
        }
    }
    assert!(met > 0, "nothing was put in while anything was moved");
}
