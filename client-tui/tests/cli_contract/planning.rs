//! `--dry-run`: it changes nothing on either side, and what it says is what the same command then does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use serde_json::Value;

use crate::stage::{ROW, Row, Scene, Stage, told};

const OLD: u64 = 1_600_000_000;
const NEW: u64 = 1_800_000_000;

/// A command to be planned and then given, and what is changed before in the scene that each gets.
struct Case {
    typed: &'static [&'static str],
    arrange: fn(&Scene),
    exit: i32,
}

const CASE: Case = Case { typed: &[], arrange: |_| {}, exit: 0 };

const CASES: &[Case] = &[
    Case { typed: &["put", "tree", "{S}/new"], ..CASE },
    Case { typed: &["put", "tree", "{S}/no/such/new"], ..CASE },
    Case { typed: &["put", "a.txt", "new.txt", "tree", "{S}/made/deep/"], ..CASE },
    Case { typed: &["put", "tree/.", "{S}/made/of"], ..CASE },
    Case { typed: &["put", "new.txt", "{S}/empty/no/such/name"], ..CASE },
    Case { typed: &["get", "{S}/docs", "no/such/"], ..CASE },
    Case { typed: &["get", "-T", "{S}/docs", "tree"], ..CASE },
    Case { typed: &["get", "{S}/a.txt", "."], ..CASE },
    Case { typed: &["get", "{S}/link", "{S}/empty", "{S}/.hidden", "made/"], ..CASE },
    Case { typed: &["get", "--preserve", "{S}/docs", "made/docs"], ..CASE },
    Case { typed: &["cp", "{S}/docs", "{S}/empty/docs"], ..CASE },
    Case { typed: &["cp", "tree", "far"], ..CASE },
    Case { typed: &["cp", "--exclude", "*.o", "tree", "{S}/far"], ..CASE },
    Case { typed: &["mv", "tree", "{S}/empty/tree"], ..CASE },
    Case { typed: &["mv", "{S}/docs", "tree/docs"], ..CASE },
    Case { typed: &["mv", "tree", "far"], ..CASE },
    Case { typed: &["mv", "{S}/docs/b", "{S}/empty/"], ..CASE },
    Case { typed: &["put", "-T", "tree", "{S}/docs"], arrange: only_modes, ..CASE },
    Case { typed: &["put", "tree", "{S}/new"], arrange: odd, exit: 1 },
    Case { typed: &["put", "--follow", "tree", "{S}/no/new"], arrange: linked, ..CASE },
    Case { typed: &["put", "new.txt", "{S}/a.txt/below"], exit: 1, ..CASE },
    Case { typed: &["put", "new.txt", "nope", "{S}/made/"], exit: 1, ..CASE },
    Case { typed: &["cp", "tree", "tree/y"], exit: 1, ..CASE },
];

/// Each with what is in the way, in both directions.
const POLICIES: [&str; 7] = ["ask", "never", "always", "newer", "different", "resume", "keep-both"];

fn only_modes(scene: &Scene) {
    for (side, mode) in [("local/tree", 0o600), ("served/docs", 0o640)] {
        scene.write(&format!("{side}/same"), "same", OLD);
        let at = scene.at(if side == "local/tree" { "L/tree/same" } else { "S/docs/same" });
        fs::set_permissions(at, fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn odd(scene: &Scene) {
    rustix::fs::mkfifoat(rustix::fs::CWD, scene.at("L/tree/fifo"), rustix::fs::Mode::RUSR).unwrap();
}

fn linked(scene: &Scene) {
    for (link, target) in [("folder", "y"), ("file", "x"), ("up", ".."), ("y/back", "../y")] {
        symlink(target, scene.at(&format!("L/tree/{link}"))).unwrap();
    }
}

/// Every kind of conflict, the other way round too, between `L/tree` and `S/docs`.
fn conflicting(scene: &Scene) {
    let both = |name: &str, (here, here_time): (&str, u64), (there, there_time): (&str, u64)| {
        scene.write(&format!("local/tree/{name}"), here, here_time);
        scene.write(&format!("served/docs/{name}"), there, there_time);
    };
    both("deep/later", ("one", NEW), ("another", OLD));
    both("deep/earlier", ("one", OLD), ("another", NEW));
    both("deep/size", ("one", OLD), ("another", OLD));
    both("deep/touched", ("same", OLD), ("same", NEW));
    both("deep/twin", ("twin", OLD), ("twin", OLD));
    both("deep/like a twin", ("twin", OLD), ("nwit", OLD));
    both("deep/grows.txt", ("beginning", OLD), ("beginning and end", NEW));
    both("deep/shrinks.txt", ("beginning and end", NEW), ("beginning", OLD));
    both("folder or file/below", ("below", OLD), ("below", OLD));
    fs::remove_dir_all(scene.at("S/docs/folder or file")).unwrap();
    scene.write("served/docs/folder or file", "a file", OLD);
    both("file or folder/below", ("below", OLD), ("below", OLD));
    fs::remove_dir_all(scene.at("L/tree/file or folder")).unwrap();
    scene.write("local/tree/file or folder", "a file", OLD);
    symlink("later", scene.at("L/tree/deep/link")).unwrap();
    scene.write("served/docs/deep/link", "a file", OLD);
    let long =
        |seed: u8| (0..9_000_000_u32).map(|at| (at >> 12) as u8 ^ (at as u8) ^ seed).collect::<Vec<_>>();
    scene.write("local/tree/deep/long", long(0), NEW);
    let mut other = long(0);
    other[5_000_000] ^= 1;
    scene.write("served/docs/deep/long", other, OLD);
}

/// What a thing is, so that nobody who touches it goes unnoticed.
#[derive(Debug, PartialEq, Eq)]
struct Thing {
    is_folder: bool,
    identity: u64,
    times: [i64; 4],
    mode: u32,
    content: Vec<u8>,
}

/// Everything on both sides, as `S/…` and `L/…`.
fn things(scene: &Scene) -> BTreeMap<String, Thing> {
    fn collect(folder: &Path, name: &str, things: &mut BTreeMap<String, Thing>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, name) = (entry.path(), format!("{name}/{}", entry.file_name().display()));
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if metadata.is_file() {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            if metadata.is_dir() {
                collect(&path, &name, things);
            }
            let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
            let (is_folder, identity, mode) = (metadata.is_dir(), metadata.ino(), metadata.mode());
            things.insert(name, Thing { is_folder, identity, times, mode, content });
        }
    }
    let mut things = BTreeMap::new();
    for side in ["S", "L"] {
        collect(&scene.at(side), side, &mut things);
    }
    things
}

fn objects(text: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(text).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A place as `S/…` or `L/…`.
fn place(scene: &Scene, whole: &Value) -> String {
    let whole = whole.as_str().unwrap();
    let local = scene.at("L").display().to_string();
    let sides = [("S", scene.meant("{S}")), ("L", local.trim_end_matches('/').to_owned())];
    let below =
        sides.iter().find_map(|(side, top)| Some(format!("{side}{}", whole.strip_prefix(top.as_str())?)));
    below.unwrap_or_else(|| panic!("{whole} is on neither side"))
}

fn check(scene: &Scene, typed: &[&str], exit: i32) {
    let before = things(scene);
    let dry = scene.tow(&[typed, &["--dry-run", "--json"]].concat()).output().unwrap();
    let name = format!("tow {}\n{}", typed.join(" "), told(&dry));
    assert!(things(scene) == before, "{name}: something changed");
    assert_eq!(dry.status.code(), Some(exit), "{name}");
    let done = scene.tow(&[typed, &["--json"]].concat()).output().unwrap();
    let name = format!("{name}\n{}", told(&done));
    assert_eq!(done.status.code(), Some(exit), "{name}");
    let after = things(scene);
    let (plan, done) = (objects(&dry.stdout), objects(&done.stdout));
    let is_failure = |objects: &[Value]| objects.iter().all(|object| object["event"] == "failed");
    let (end, plan) = match plan.split_last() {
        // A job that cannot begin is a failure, without a plan.
        Some((end, plan)) if !is_failure(std::slice::from_ref(end)) => (end, plan),
        told => {
            let told = told.map_or(0, |(_, before)| before.len() + 1);
            assert!(
                after == before && is_failure(&done) && done.len() == told,
                "{name}: planned was nothing"
            );
            return;
        }
    };
    let of = |actions: &[&str]| {
        plan.iter().filter(|object| actions.contains(&object["action"].as_str().unwrap())).collect::<Vec<_>>()
    };
    let places = |objects: &[&Value], key: &str| {
        let places: BTreeSet<String> = objects.iter().map(|object| place(scene, &object[key])).collect();
        assert_eq!(places.len(), objects.len(), "{name}: something is planned twice");
        places
    };
    let is_new = |path: &&String| !before.contains_key(*path);
    let came: BTreeSet<String> = after.keys().filter(is_new).cloned().collect();
    assert_eq!(places(&of(&["make", "copy"]), "to"), came, "{name}");
    let is_another = |(path, thing): &(&String, &Thing)| {
        !thing.is_folder && before.get(*path).is_some_and(|before| before.identity != thing.identity)
    };
    let replaced: BTreeSet<String> = after.iter().filter(is_another).map(|(path, _)| path.clone()).collect();
    assert_eq!(places(&of(&["replace"]), "to"), replaced, "{name}");
    let gone: BTreeSet<String> = before
        .iter()
        .filter(|(path, thing)| !thing.is_folder && !after.contains_key(*path))
        .map(|(path, _)| path.clone())
        .collect();
    let moved: Vec<&Value> = of(&["copy", "replace", "unchanged"])
        .into_iter()
        .filter(|object| object["kind"] != "folder")
        .collect();
    let is_move = typed[0] == "mv";
    assert_eq!(if is_move { places(&moved, "from") } else { BTreeSet::new() }, gone, "{name}");
    // What stayed is what was there.
    let untouched = |path: &String| !came.contains(path) && !replaced.contains(path) && !gone.contains(path);
    for (path, thing) in before.iter().filter(|(path, thing)| untouched(path) && !thing.is_folder) {
        assert_eq!(after.get(path).map(|after| &after.content), Some(&thing.content), "{name}: {path}");
    }
    let count =
        |object: &Value, key: &str| object[key].as_u64().unwrap_or_else(|| panic!("{name}: no {key}"));
    let planned_files = of(&["copy", "replace"]).iter().filter(|object| object["kind"] != "folder").count();
    assert_eq!(count(end, "files"), planned_files as u64, "{name}");
    assert_eq!(
        count(end, "folders") as usize,
        of(&["make", "copy", "replace"]).len() - planned_files,
        "{name}"
    );
    let Some(done) = done.last() else {
        assert!(after == before, "{name}: nothing was done");
        return;
    };
    for (key, action) in [("unchanged", "unchanged"), ("skipped", "skip"), ("failed", "fail")] {
        let planned = of(&[action]).len() as u64;
        assert_eq!((count(end, key), count(done, key)), (planned, planned), "{name}: {key}");
    }
    // A tree that is renamed is one thing.
    let is_on_one_side =
        |object: &&Value| place(scene, &object["from"])[..1] == place(scene, &object["to"])[..1];
    let is_renamed = is_move && moved.iter().all(is_on_one_side);
    if !is_renamed {
        assert_eq!(
            (count(end, "files"), count(end, "bytes")),
            (count(done, "files"), count(done, "bytes")),
            "{name}"
        );
    }
}

#[test]
fn a_plan_changes_nothing_and_is_what_the_same_command_then_does() {
    let stage = Stage::new();
    for (index, case) in CASES.iter().enumerate() {
        let scene = stage.scene(&index.to_string());
        (case.arrange)(&scene);
        check(&scene, case.typed, case.exit);
    }
}

#[test]
fn what_is_in_the_way_is_planned_as_it_is_then_settled() {
    let stage = Stage::new();
    for policy in POLICIES {
        for (number, typed) in [
            ["put", "-T", "tree", "{S}/docs"],
            ["get", "-T", "{S}/docs", "tree"],
            ["mv", "-T", "tree", "{S}/docs"],
        ]
        .iter()
        .enumerate()
        {
            let scene = stage.scene(&format!("{policy} {number}"));
            conflicting(&scene);
            // A move leaves what only looks the same, and everything but keeping both has things that it cannot do.
            let exit = i32::from(policy != "keep-both" || typed[0] == "mv");
            check(&scene, &[&typed[..], &["--overwrite", policy]].concat(), exit);
        }
    }
}

const SAID: &[Row] = &[
    Row {
        promise: "a plan names what would come, folders and missing parents too, and what it comes to",
        typed: &["put", "--dry-run", "tree", "{S}/no/new"],
        out: &[
            "new        {S}/no/\n",
            "new        {S}/no/new/\n",
            "would copy 2 files, 0.00002 MB (16 bytes), 3 new folders; ",
            " free there\n",
        ],
        after: &[("S/no", None)],
        ..ROW
    },
    Row {
        promise: "a move is told as one",
        typed: &["mv", "-n", "new.txt", "{S}/moved"],
        out: &["would move 1 file, "],
        after: &[("S/moved", None), ("L/new.txt", Some("newer"))],
        ..ROW
    },
    Row {
        promise: "a line for a file tells its size",
        typed: &["put", "-n", "new.txt", "{S}/made/"],
        out: &[
            "new        {S}/made/\n",
            "new        {S}/made/new.txt  0.000005 MB (5 bytes)\n",
            "would copy 1 file, ",
        ],
        after: &[("S/made", None)],
        ..ROW
    },
    Row {
        promise: "what would be skipped is a line, and 1",
        typed: &["put", "-n", "new.txt", "{S}/a.txt"],
        exit: 1,
        out: &[
            "skip       {S}/a.txt  0.000005 MB (5 bytes)  (exists)\n",
            "would copy 0 files, ",
            ", 1 skipped",
        ],
        after: &[("S/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "what would be replaced is a line, and 0",
        typed: &["put", "-n", "--overwrite", "always", "new.txt", "{S}/a.txt"],
        out: &["replace    {S}/a.txt  0.000005 MB (5 bytes)\n", "would copy 1 file, "],
        after: &[("S/a.txt", Some("aa"))],
        ..ROW
    },
    Row {
        promise: "what would be kept beside has its own name",
        typed: &["put", "-n", "--overwrite", "keep-both", "new.txt", "{S}/a.txt"],
        out: &["new        {S}/a (2).txt  0.000005 MB (5 bytes)\n", "would copy 1 file, "],
        after: &[("S/a (2).txt", None)],
        ..ROW
    },
    Row {
        promise: "what is the same is counted, and no line",
        typed: &["get", "-n", "{S}/a.txt", "."],
        out: &["would copy 0 files, 0.00 MB (0 bytes), 1 unchanged; "],
        ..ROW
    },
    Row {
        promise: "what would fail is named on both, and 1",
        typed: &["put", "-n", "-T", "--overwrite", "always", "new.txt", "{S}/docs"],
        exit: 1,
        out: &["fail       {S}/docs  (is a folder (", "would copy 0 files, ", ", 1 would fail"],
        err: &["tow: {S}/docs: is a folder ("],
        ..ROW
    },
    Row {
        promise: "a move says what would move",
        typed: &["mv", "-n", "a.txt", "{S}/empty/"],
        out: &["new        {S}/empty/a.txt  "],
        after: &[("L/a.txt", Some("aa")), ("S/empty/a.txt", None)],
        ..ROW
    },
    Row {
        promise: "machines get an object for each thing and one for the whole",
        typed: &["put", "-n", "--json", "new.txt", "{S}/made/"],
        out: &[
            "{\"event\":\"plan\",\"action\":\"make\",\"to\":\"{S}/made\",\"kind\":\"folder\",\"size\":0}\n",
            "{\"event\":\"plan\",\"action\":\"copy\",\"from\":\"{L}new.txt\",\"to\":\"{S}/made/new.txt\",\"kind\":\"file\",\"size\":5}\n",
            "{\"event\":\"planned\",\"files\":1,\"folders\":1,\"bytes\":5,\"unchanged\":0,\"skipped\":0,\"failed\":0,\"conflicts\":{},\"free\":",
        ],
        ..ROW
    },
    Row {
        promise: "and the reason of what is skipped",
        typed: &["put", "-n", "--json", "--overwrite", "newer", "new.txt", "{S}/a.txt"],
        exit: 1,
        out: &["\"action\":\"skip\"", "\"reason\":\"exists and is not older\"}", "\"skipped\":1"],
        ..ROW
    },
    Row {
        promise: "--quiet plans without a word",
        typed: &["put", "-nq", "tree", "{S}/new"],
        after: &[("S/new", None)],
        ..ROW
    },
    Row {
        promise: "a source that is missing is 4 in a plan too",
        typed: &["get", "-n", "{S}/nope", "made/"],
        exit: 4,
        err: &["tow: ", "no such"],
        ..ROW
    },
];

#[test]
fn a_plan_says_it_to_people_and_to_machines() {
    Stage::check(SAID);
}
