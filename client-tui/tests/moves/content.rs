//! Contents decide where that was asked for, and "verified" is only what was compared. Hard-linked names all arrive.

use std::fs;

use serde_json::Value;

use crate::towd::Towd;
use crate::world::World;

const SOME_TIME: u64 = 1_500_000_000;

/// The same size and time on both sides, and another content unless they are the same.
fn alike(world: &World, is_same: bool) -> Towd {
    for (path, content) in [("s/file", "AAAA"), ("r/file", if is_same { "AAAA" } else { "BBBB" })] {
        world.write(path, content);
        world.modified(path, SOME_TIME);
    }
    world.serve("r")
}

fn done(output: &std::process::Output) -> Value {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap_or_default()
}

#[test]
fn c13_what_looks_the_same_is_sent_compared_or_left_as_was_asked() {
    // Command; is a different content replaced; files sent if contents are the same.
    let cases: [(&[&str], bool, u64); 7] = [
        (&["--overwrite", "different"], true, 0),
        (&["--overwrite", "always"], true, 1),
        (&["--overwrite", "never"], false, 0),
        (&["--overwrite", "newer"], false, 0),
        (&["--overwrite", "different", "--checksum"], true, 0),
        (&["--overwrite", "never", "--checksum"], false, 0),
        (&["--checksum", "--overwrite", "always"], true, 1),
    ];
    for verb in ["put", "cp", "mv"] {
        for (how, is_replaced, sent) in cases {
            for is_same in [false, true] {
                let world = World::new();
                let towd = alike(&world, is_same);
                let to = if verb == "cp" { "r/file".to_owned() } else { towd.target("file") };
                let output = world.tow(&[&[verb, "--json"], how, &["s/file", &to]].concat());
                let (what, done) = (format!("{verb} {how:?} same {is_same}: {output:?}"), done(&output));
                let is_compared = verb == "mv" || how.contains(&"--checksum") || how.contains(&"different");
                let expected = if is_replaced || is_same { "AAAA" } else { "BBBB" };
                assert_eq!(world.read("r/file").as_deref(), Some(expected), "{what}");
                let is_left = !is_same && !is_replaced && (verb == "mv" || how.contains(&"--checksum"));
                assert_eq!(output.status.code(), Some(i32::from(is_left)), "{what}");
                let goes = verb == "mv" && (is_same || is_replaced);
                assert_eq!(world.read("s/file").is_none(), goes, "{what}");
                if is_same {
                    assert_eq!(done["files"].as_u64(), Some(sent), "{what}");
                }
                // Copies within one machine have no hash.
                let is_sent = if is_same { sent > 0 } else { is_replaced };
                let is_verified = if is_sent { verb != "cp" } else { is_compared && is_same };
                assert_eq!(done["verified"].as_bool(), Some(is_verified), "{what}");
            }
        }
    }
}

#[test]
fn c13_with_checksum_the_same_content_of_another_time_is_unchanged_and_gets_the_time() {
    for verb in ["put", "mv"] {
        let world = World::new();
        let towd = alike(&world, true);
        world.modified("r/file", SOME_TIME + 100);
        let output = world.tow(&[verb, "--json", "--checksum", "s/file", &towd.target("file")]);
        let done = done(&output);
        assert_eq!(
            (done["unchanged"].as_u64(), done["files"].as_u64()),
            (Some(1), Some(0)),
            "{verb}: {output:?}"
        );
        let modified = fs::metadata(world.at("r/file")).unwrap().modified().unwrap();
        let since = modified.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(since.as_secs(), SOME_TIME, "{verb}");
        assert_eq!(world.read("s/file").is_none(), verb == "mv", "{verb}: {output:?}");
    }
}

#[test]
fn c13_a_plan_says_what_contents_decide() {
    let world = World::new();
    let towd = alike(&world, false);
    for (how, action) in [("different", "replace"), ("never", "skip")] {
        let output = world.tow(&[
            "put",
            "--json",
            "-n",
            "--checksum",
            "--overwrite",
            how,
            "s/file",
            &towd.target("file"),
        ]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(&format!("\"{action}\"")), "{how}: {output:?}");
    }
    assert_eq!(world.read("r/file").as_deref(), Some("BBBB"));
}

#[test]
fn c05_all_names_of_one_file_arrive_on_the_other_side_and_none_stays() {
    for is_large in [false, true] {
        for is_up in [true, false] {
            let world = World::new();
            let content = "x".repeat(if is_large { 300_000 } else { 3000 });
            let (from, to) = if is_up { ("here", "r") } else { ("r", "here") };
            fs::create_dir_all(world.at(to)).unwrap();
            world.write(&format!("{from}/t/name 0"), &content);
            for number in 1..40 {
                fs::hard_link(
                    world.at(&format!("{from}/t/name 0")),
                    world.at(&format!("{from}/t/name {number}")),
                )
                .unwrap();
            }
            let towd = world.serve("r");
            let words = if is_up {
                ["here/t".to_owned(), towd.target("t")]
            } else {
                [towd.target("t"), "here/t".to_owned()]
            };
            let moved = world.tow(&["mv", "-T", &words[0], &words[1]]);
            let what = format!("large {is_large} up {is_up}: {moved:?}");
            assert!(moved.status.success(), "{what}");
            assert_eq!(world.names(from), Vec::<String>::new(), "{what}");
            let files = world.files(&format!("{to}/t"));
            assert_eq!(files.len(), 40, "{what}");
            assert!(files.values().all(|found| *found == content), "{what}");
        }
    }
}

/// Their twins are there already: each goes only after a look at its copy.
#[test]
fn c05_names_of_one_file_whose_copies_are_there_all_go() {
    let world = World::new();
    for side in ["here", "r"] {
        world.write(&format!("{side}/t/name 0"), "the same");
        world.modified(&format!("{side}/t/name 0"), SOME_TIME);
        for number in 1..20 {
            fs::hard_link(
                world.at(&format!("{side}/t/name 0")),
                world.at(&format!("{side}/t/name {number}")),
            )
            .unwrap();
        }
    }
    let towd = world.serve("r");
    let moved = world.tow(&["mv", "-T", "here/t", &towd.target("t")]);
    assert!(moved.status.success(), "{moved:?}");
    assert_eq!((world.names("here"), world.files("r/t").len()), (Vec::new(), 20));
}
