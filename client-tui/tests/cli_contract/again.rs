//! The same command, given again after it was cut off, means the same destination: what was to be a new name stays it, also where a
//! folder of that name has come into being, and what was received goes on by bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::own_names::leave_part;
use crate::stage::{Scene, Stage, parts, told};

const PATIENCE: Duration = Duration::from_mins(1);
const BYTES: usize = 96 << 20;
const CUT_AFTER_BYTES: u64 = 24 << 20;
const TRIES_MAX: u32 = 20;

/// `photos` with a small file, and a long one that is told from any other at each of its pages.
fn fill(folder: &Path) -> Vec<u8> {
    let mut long = vec![0; BYTES];
    for (index, page) in long.chunks_mut(4096).enumerate() {
        page[..8].copy_from_slice(&index.to_le_bytes());
    }
    fs::create_dir_all(folder.join("photos/deep")).unwrap();
    fs::write(folder.join("photos/small"), "small").unwrap();
    fs::write(folder.join("photos/deep/long"), &long).unwrap();
    long
}

/// Ends the command with a signal once enough of the long file has come to `into`. False if it was done before that.
fn cut_off(scene: &Scene, typed: &[&str], into: &Path, signal: Signal) -> bool {
    let mut child = scene.tow(typed).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let received = || {
        let part = into.is_dir().then(|| parts(into).pop()).flatten().map(|part| into.join(part));
        part.and_then(|part| fs::metadata(part).ok()).map_or(0, |part| part.len())
    };
    while received() < CUT_AFTER_BYTES {
        assert!(Instant::now() < deadline, "it does not get on");
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return false;
        }
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), signal).unwrap();
    !child.wait().unwrap().success()
}

fn resumed(output: &Output) -> u64 {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let done: serde_json::Value = serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap();
    done["resumed"].as_u64().unwrap()
}

#[test]
fn a_command_that_was_cut_off_goes_on_at_the_destination_that_it_began() {
    let stage = Stage::new();
    for (name, typed, from, to, signal) in [
        ("get", ["get", "--json", "{S}/photos", "dest"], "S/", "L/dest", Signal::KILL),
        ("put", ["put", "--json", "photos", "{S}/new/dest"], "L/", "S/new/dest", Signal::INT),
        ("move", ["mv", "--json", "{S}/photos", "{L}/dest"], "S/", "L/dest", Signal::KILL),
    ] {
        let scene = stage.scene(name);
        let mut long = fill(&scene.at(from));
        let dest = scene.at(to);
        // On a busy machine the signal may come late.
        let mut tries = 1;
        while !cut_off(&scene, &typed, &dest.join("deep"), signal) {
            assert!(tries < TRIES_MAX, "{name}: never cut off");
            tries += 1;
            fs::remove_dir_all(&dest).unwrap();
            long = fill(&scene.at(from));
        }
        // Another command finds a folder, as ever.
        let other = scene.tow(&[typed[0], "{L}/tree", typed[3]]).output().unwrap();
        assert!(dest.join("tree/x").exists(), "{name}\n{}", told(&other));
        let again = scene.tow(&typed).output().unwrap();
        assert_eq!(again.status.code(), Some(0), "{name}\n{}", told(&again));
        assert!(
            told(&again).contains("goes on with what the same command began"),
            "{name}\n{}",
            told(&again)
        );
        assert!(!dest.join("photos").exists(), "{name}\n{}", told(&again));
        assert!(resumed(&again) >= 16 << 20, "{name}\n{}", told(&again));
        assert!(fs::read(dest.join("deep/long")).unwrap() == long, "{name}");
        assert_eq!(fs::read(dest.join("small")).unwrap(), b"small", "{name}");
        assert_eq!(parts(&dest.join("deep")), [""; 0], "{name}");
        assert_eq!(scene.at(from).join("photos").exists(), name != "move", "{name}");
        if name != "move" {
            // It is done: from now on the folder is there, and receives.
            let third = scene.tow(&typed).output().unwrap();
            assert_eq!(third.status.code(), Some(0), "{name}\n{}", told(&third));
            assert!(dest.join("photos/small").exists(), "{name}\n{}", told(&third));
        }
    }
}

#[test]
fn what_nobody_comes_back_for_is_never_listed_and_swept_after_as_long_as_is_configured() {
    let stage = Stage::new();
    let scene = stage.scene("swept");
    let home = scene.at("home");
    fs::create_dir_all(home.join(".config/towpath")).unwrap();
    // A person's files, one with a name of the form that ours have, are no leftovers.
    let theirs = [".towpath-part-notes", ".towpath-part-0123456789ab-0123456789abcdef"].map(|name| {
        let at = scene.at("L").join(name);
        fs::write(&at, "IMPORTANT").unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(0o600)).unwrap();
        at
    });
    for (kept, stays) in [("", true), ("parts_kept_days = 1\n", true), ("parts_kept_days = 0\n", false)] {
        fs::write(home.join(".config/towpath/config.toml"), kept).unwrap();
        let part = leave_part(&scene.at("L"));
        let name = part.file_name().unwrap().to_str().unwrap();
        for all in [&["ls", "{L}"][..], &["ls", "--all", "--json", "{L}"]] {
            let listed = scene.tow(all).env("HOME", &home).output().unwrap();
            assert_eq!(listed.status.code(), Some(0), "{}", told(&listed));
            let said = told(&listed);
            assert!(said.contains("new.txt") && !said.contains(name), "{said}");
            assert_eq!(said.contains("towpath-part-notes"), all.len() > 2, "{said}");
        }
        assert_eq!(part.exists(), stays, "{kept}");
        let _ = fs::remove_file(part);
    }
    for theirs in theirs {
        assert_eq!(fs::read(&theirs).unwrap(), b"IMPORTANT");
    }
}

#[test]
fn what_failed_is_worth_a_repeat_and_a_done_command_is_forgotten() {
    let stage = Stage::new();
    let scene = stage.scene("failed");
    fs::create_dir_all(scene.at("S/photos")).unwrap();
    scene.write("served/photos/good", "good", 1_700_000_000);
    rustix::fs::mkfifoat(rustix::fs::CWD, scene.at("S/photos/odd"), rustix::fs::Mode::RUSR).unwrap();
    let typed = ["get", "{S}/photos", "dest"];
    let first = scene.tow(&typed).output().unwrap();
    assert_eq!(first.status.code(), Some(1), "{}", told(&first));
    fs::remove_file(scene.at("S/photos/odd")).unwrap();
    scene.write("served/photos/odd", "not odd any more", 1_700_000_000);
    let second = scene.tow(&typed).output().unwrap();
    assert_eq!(second.status.code(), Some(0), "{}", told(&second));
    assert!(scene.at("L/dest/odd").exists() && !scene.at("L/dest/photos").exists());
    let third = scene.tow(&typed).output().unwrap();
    assert_eq!(third.status.code(), Some(0), "{}", told(&third));
    assert!(scene.at("L/dest/photos/odd").exists(), "{}", told(&third));
}
