//! An interrupt ends a job in order: 130, a summary, no half file, and what is left of a move still where it was.

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::stage::{Scene, Stage, parts, told};

const PATIENCE: Duration = Duration::from_secs(30);

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// Starts a job with a long file, and waits until bytes of it are at the destination.
fn begun(scene: &Scene, typed: &[&str], into: &str) -> Child {
    let child = scene.tow(typed).spawn().unwrap();
    let folder = scene.at(into);
    until("a part of the file", || {
        let part = parts(&folder).pop().map(|part| folder.join(part));
        part.and_then(|part| fs::metadata(part).ok()).is_some_and(|part| part.len() > 8_000_000)
    });
    child
}

#[test]
fn an_interrupted_job_is_130_with_a_summary_and_no_half_file() {
    let stage = Stage::new();
    for (index, signal) in [Signal::INT, Signal::TERM].into_iter().enumerate() {
        for (verb, from, to, into) in [
            ("get", "{S}/long", "long", "L/"),
            ("put", "long", "{S}/empty/", "S/empty"),
            ("mv", "long", "{S}/empty/", "S/empty"),
            ("cp", "long", "copy", "L/"),
        ] {
            let scene = stage.scene(&format!("{index} {verb}"));
            for side in ["S/long", "L/long"] {
                let long = fs::File::create(scene.at(side)).unwrap();
                if verb == "cp" {
                    // A hole would be passed over.
                    let whole = rustix::fs::FallocateFlags::empty();
                    rustix::fs::fallocate(long, whole, 0, if side == "L/long" { 3 << 30 } else { 1 })
                        .unwrap();
                } else {
                    long.set_len(3 << 30).unwrap();
                }
            }
            let mut typed = vec![verb, from, to];
            if verb == "get" {
                fs::remove_file(scene.at("L/long")).unwrap();
            }
            if verb == "cp" {
                // What is new has no name until it is complete; what replaces another is seen while it comes.
                fs::write(scene.at("L/copy"), "old").unwrap();
                typed.extend(["--overwrite", "always"]);
            }
            let child = begun(&scene, &typed, into);
            kill_process(Pid::from_child(&child), signal).unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(130), "{verb} {signal:?}\n{}", told(&output));
            assert!(told(&output).contains("0 files, "), "{verb} {signal:?}\n{}", told(&output));
            // What came waits for the same command; a copy within one folder tree is the service's, and begins anew.
            until("its end", || parts(&scene.at(into)).len() == usize::from(verb != "cp"));
            assert!(!scene.at("S/empty/long").exists(), "{verb}");
            assert!(verb != "cp" || fs::read(scene.at("L/copy")).unwrap() == b"old");
            assert!(scene.at("S/long").exists(), "{verb}");
            assert!(verb == "get" || scene.at("L/long").exists(), "{verb}");
        }
    }
}

#[test]
fn nothing_moves_after_a_cancel_was_acknowledged() {
    let stage = Stage::new();
    let scene = stage.scene("still");
    fs::File::create(scene.at("L/long")).unwrap().set_len(3 << 30).unwrap();
    let child = begun(&scene, &["put", "long", "{S}/empty/"], "S/empty");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    // The program has left: what came waits for it, and whatever the server still took would make that grow.
    let [part] = <[String; 1]>::try_from(parts(&scene.at("S/empty"))).unwrap();
    let bytes = || fs::metadata(scene.at("S/empty").join(&part)).unwrap().len();
    let left = bytes();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(bytes(), left);
}
