//! Files that hold more or fewer bytes than they say, and go on saying it, as those of `/proc`, `/sys` and some network file systems do:
//! the bytes that `cat` gives arrive.

use std::fs;
use std::path::Path;

use super::folding::Folding;
use super::towd::Towd;
use super::{Stage, told};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at / 7 % 251) as u8).collect()
}

#[test]
fn a_file_that_holds_more_or_fewer_bytes_than_it_says_arrives_with_those_that_it_holds() {
    for (says, holds) in [
        (0, 100 * KIB),
        (10, 1000),
        (10, 100 * KIB),
        (4096, 3),
        (4096, 0),
        (200_000, 100 * KIB),
        (200_000, 0),
        (100_000, 200 * KIB),
        (5 * MIB, 100 * KIB),
        (9 * MIB, 6 * MIB),
        (5 * MIB, 6 * MIB),
        (17 * MIB, 100 * KIB),
    ] {
        let stage = Stage::new();
        let Some(_made_up) = Folding::mount(&stage.at("m"), &[&format!("says={says}")]) else { return };
        let expected = content(holds);
        stage.write("m/file", &expected);
        fs::create_dir_all(stage.at("served")).unwrap();
        let served = Towd::start(&stage.at("served"), &stage.at("state of one"), &[]);
        let serving = Towd::start(&stage.at("m"), &stage.at("state of another"), &[]);
        let (put, get) = (served.target("put"), serving.target("file"));
        for (words, to) in [
            (["put", "m/file", &put], "served/put"),
            (["get", &get, "got"], "got"),
            (["cp", "m/file", "copied"], "copied"),
            (["cp", &get, &served.target("far")], "served/far"),
        ] {
            let output = stage.tow(&words);
            let what = format!("{words:?} says {says}, holds {holds}: {}", told(&output));
            assert_eq!(output.status.code(), Some(0), "{what}");
            assert!(fs::read(stage.at(to)).unwrap() == expected, "{what}");
        }
        // A move never takes a source that gave less than it says to have.
        let moved = stage.tow(&["mv", &get, "moved"]);
        let what = format!("says {says}, holds {holds}: {}", told(&moved));
        assert!(fs::read(stage.at("moved")).unwrap() == expected, "{what}");
        let stays = holds < says;
        assert_eq!(
            (moved.status.code(), stage.at("m/file").exists()),
            (Some(i32::from(stays)), stays),
            "{what}"
        );
    }
}

/// More than one message holds; those that are there and the same twice are tried.
#[test]
fn large_files_that_the_system_makes_up_arrive_with_their_bytes() {
    let stage = Stage::new();
    fs::create_dir_all(stage.at("served")).unwrap();
    fs::create_dir_all(stage.at("to")).unwrap();
    let towd = Towd::start(&stage.at("served"), &stage.at("state of towd"), &[]);
    let mut tried = 0;
    for path in ["/proc/kallsyms", "/proc/config.gz", "/sys/kernel/btf/vmlinux"] {
        let (Ok(content), Ok(again)) = (fs::read(path), fs::read(path)) else { continue };
        if content != again || content.len() > 16 * MIB {
            continue;
        }
        tried += 1;
        for (verb, to, at) in [("put", towd.target("to/"), "served/to"), ("cp", "to/".to_owned(), "to")] {
            let output = stage.tow(&[verb, path, &to]);
            assert_eq!(output.status.code(), Some(0), "{}", told(&output));
            let copied = fs::read(stage.at(at).join(Path::new(path).file_name().unwrap())).unwrap();
            assert!(copied == content, "{path}");
        }
    }
    if tried == 0 {
        crate::skip::skip("the system makes up no such file that can be read twice");
    }
}
