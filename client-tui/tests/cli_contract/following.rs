//! `--follow`: which links of a source become what they lead to, in every direction, and what is said of the others.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::stage::{Scene, Stage, told};

#[test]
fn links_are_followed_where_that_is_asked_for_and_only_within_the_source() {
    let stage = Stage::new();
    let scene = stage.scene("followed");
    scene.write("local/secret", "secret", 0);
    for (link, target) in [
        ("L/tree/near", "y/z.o"),
        ("L/tree/out", "../secret"),
        ("L/to tree", "tree"),
        ("L/to file", "tree/near"),
        ("S/docs/up", "../a.txt"),
        ("S/docs/down", "sub/c"),
    ] {
        symlink(target, scene.at(link)).unwrap();
    }
    let run = |typed: &[&str]| {
        let output = scene.tow(typed).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{typed:?}: {}", told(&output));
        told(&output)
    };
    let is_link = |path: &str| scene.at(path).is_symlink();
    let read = |path: &str| fs::read_to_string(scene.at(path)).unwrap();
    let dry = run(&["put", "--follow", "--dry-run", "--json", "tree", "{S}/up"]);
    assert!(dry.contains("near") && !scene.at("S/up").exists(), "{dry}");
    // Here to there, there to here, and on one side alone; the operand itself, a folder too.
    for (typed, copy) in [
        (["put", "--follow", "tree", "{S}/up"], "S/up"),
        (["put", "--follow", "to tree", "{S}/empty"], "S/empty/to tree"),
        (["put", "--follow", "tree/.", "{S}/content/"], "S/content"),
        (["cp", "--follow", "tree", "copy"], "L/copy"),
    ] {
        let said = run(&typed);
        assert!(said.contains("out: stays a link: it leads out of what is copied"), "{said}");
        assert!(!is_link(&format!("{copy}/near")) && is_link(&format!("{copy}/out")), "{typed:?}");
        assert!(!is_link(copy) && read(&format!("{copy}/near")) == "object");
    }
    for typed in [["get", "--follow", "{S}/docs", "down"], ["cp", "--follow", "{S}/docs", "{S}/down"]] {
        assert!(run(&typed).contains("up: stays a link"));
    }
    for copy in ["L/down", "S/down"] {
        assert!(is_link(&format!("{copy}/up")) && !is_link(&format!("{copy}/down")));
        assert_eq!(read(&format!("{copy}/down")), "deep");
    }
    run(&["get", "--follow", "{S}/link", "got"]);
    run(&["put", "--follow", "to file", "{S}/put/"]);
    assert!(!is_link("L/got") && read("L/got") == "aa");
    assert!(!is_link("S/put/to file") && read("S/put/to file") == "object");
    // Unasked, links are links.
    run(&["put", "tree", "{S}/plain"]);
    assert!(is_link("S/plain/near") && is_link("S/plain/out"));
}

/// A folder with links to folders of every sort: `{top}/tree`, on either side.
fn linked(scene: &Scene, top: &str) {
    scene.write(&format!("{top}/tree/real/file"), "file", 1_700_000_000);
    scene.write(&format!("{top}/tree/real/sub/deep"), "deep", 1_700_000_000);
    scene.write(&format!("{top}/outside/secret"), "secret", 1_700_000_000);
    let side = if top.starts_with("served") { "S" } else { "L" };
    let at = |path: &str| scene.at(&format!("{side}/{path}"));
    let absolute = at("tree/real").display().to_string();
    for (link, target) in [
        ("one", "real"),
        ("two", "real"),
        ("chain", "two"),
        ("real/near", "file"),
        ("real/loop", ".."),
        ("self", "."),
        ("dangling", "nothing"),
        ("absolute", &absolute),
        ("out", "../outside"),
        ("out file", "../outside/secret"),
    ] {
        symlink(target, at(&format!("tree/{link}"))).unwrap();
    }
}

/// Every path below a folder; links are not looked through.
fn paths(top: &Path) -> BTreeSet<String> {
    fn collect(top: &Path, folder: &Path, paths: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            paths.insert(path.strip_prefix(top).unwrap().display().to_string());
            if path.is_dir() && !path.is_symlink() {
                collect(top, &path, paths);
            }
        }
    }
    let mut paths = BTreeSet::new();
    collect(top, top, &mut paths);
    paths
}

#[test]
fn links_to_folders_become_those_folders_in_every_direction_and_a_repeat_copies_nothing() {
    let (stage, other_stage) = (Stage::new(), Stage::new());
    let scene = stage.scene("folders");
    let other = other_stage.scene("folders");
    fs::remove_dir_all(scene.at("L/tree")).unwrap();
    linked(&scene, "local");
    linked(&scene, "served");
    let on_other = other.meant("{S}/copy");
    for (word, from, to, copy) in [
        ("put", "tree", "{S}/copy", scene.at("S/copy")),
        ("get", "{S}/tree", "copy", scene.at("L/copy")),
        ("cp", "{S}/tree", "{S}/beside", scene.at("S/beside")),
        ("cp", "{S}/tree", &on_other, other.at("S/copy")),
    ] {
        let dry = scene.tow(&[word, "--follow", "-T", "--dry-run", "--json", from, to]).output().unwrap();
        assert_eq!(dry.status.code(), Some(0), "{word} {from}: {}", told(&dry));
        assert!(!copy.exists(), "{word} {from}");
        let typed = [word, "--follow", "-T", "--json", from, to];
        let done = scene.tow(&typed).output().unwrap();
        assert_eq!(done.status.code(), Some(0), "{word} {from}: {}", told(&done));
        for link in ["one", "two", "chain"] {
            let at = |path: &str| copy.join(link).join(path);
            assert!(!copy.join(link).is_symlink(), "{word} {from} {link}");
            assert_eq!(fs::read(at("near")).unwrap(), b"file", "{word} {from} {link}");
            assert_eq!(fs::read(at("sub/deep")).unwrap(), b"deep", "{word} {from} {link}");
            assert!(at("loop").is_symlink() && !at("near").is_symlink(), "{word} {from} {link}");
        }
        let errors = String::from_utf8(done.stderr).unwrap();
        for (link, why, times) in [
            ("real/loop", "it leads to a folder that holds it", 4),
            ("self", "it leads to a folder that holds it", 1),
            ("dangling", "it leads nowhere", 1),
            ("absolute", "it leads out of what is copied", 1),
            ("out", "it leads out of what is copied", 1),
            ("out file", "it leads out of what is copied", 1),
        ] {
            let said = format!("/tree/{link}: stays a link: {why}\n");
            assert_eq!(errors.matches(&said).count(), times, "{word} {from} {link}: {errors}");
            assert!(copy.join(link).is_symlink(), "{word} {from} {link}");
        }
        // What was planned is what came, each once.
        let objects = String::from_utf8(dry.stdout).unwrap();
        let objects: Vec<Value> = objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let planned: Vec<_> = objects.iter().filter(|object| object["event"] == "plan").collect();
        assert!(planned.iter().all(|object| object["action"] == "copy"), "{planned:?}");
        let whole =
            if to.starts_with("copy") { scene.at("L/copy").display().to_string() } else { scene.meant(to) };
        let below = |to: &Value| to.as_str().unwrap().strip_prefix(&*whole).map(str::to_owned);
        let mut below: Vec<_> = planned.iter().map(|object| below(&object["to"]).unwrap()).collect();
        below.sort();
        let came =
            std::iter::once(String::new()).chain(paths(&copy).into_iter().map(|path| format!("/{path}")));
        let mut came: Vec<String> = came.collect();
        came.sort();
        assert_eq!(below, came, "{word} {from}");

        let again = scene.tow(&typed).output().unwrap();
        assert_eq!(again.status.code(), Some(0), "{word} {from}: {}", told(&again));
        let counted: Value = serde_json::from_slice(&again.stdout).unwrap();
        assert_eq!((counted["files"].as_u64(), counted["bytes"].as_u64()), (Some(0), Some(0)), "{counted}");
    }
}
