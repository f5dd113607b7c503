//! `--overwrite`: what is completed, what is kept beside, and what somebody at a terminal answers to the question for each kind.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;

use crate::pty::{Pty, command};
use crate::stage::{Scene, Stage, told};

const OLD: u64 = 1_600_000_000;
const NEW: u64 = 1_800_000_000;
/// Each of them in the tree of questions.
const EACH: usize = 2;

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// What tells whether somebody has touched a file.
fn identity(path: &Path) -> (u64, i64, Vec<u8>) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.ino(), metadata.ctime_nsec(), fs::read(path).unwrap())
}

#[test]
fn a_file_that_only_its_time_tells_apart_is_kept_with_that_reason() {
    let stage = Stage::new();
    let scene = stage.scene("times");
    for (file, there) in [("same", "content"), ("longer", "more than content")] {
        scene.write(&format!("local/tree/{file}"), "content", NEW);
        // As where a time could not be kept.
        scene.write(&format!("served/tree/{file}"), there, OLD);
    }
    let mut put = vec!["put", "tree/same", "tree/longer", "{S}/tree/"];
    let output = scene.tow(&put).output().unwrap();
    let said = told(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let why = "/same: skipped: exists with the same size and another time; its content was not compared\n";
    assert!(said.contains(why) && said.contains("/longer: skipped: exists\n"), "{said}");
    assert!(said.contains("2 skipped (2 existing files kept;"), "{said}");
    // Where contents decide, it is unchanged.
    put.insert(1, "--checksum");
    let said = told(&scene.tow(&put).output().unwrap());
    assert!(said.contains("1 unchanged") && !said.contains("/same: skipped"), "{said}");
}

#[test]
fn resume_completes_what_is_the_beginning_and_touches_nothing_else() {
    let stage = Stage::new();
    for (name, top, other_top, typed) in [
        ("put", "L/tree", "S/docs", ["put", "--json", "-T", "--overwrite", "resume", "tree", "{S}/docs"]),
        ("get", "S/docs", "L/tree", ["get", "--json", "-T", "--overwrite", "resume", "{S}/docs", "tree"]),
    ] {
        let scene = stage.scene(name);
        for side in ["L/tree", "S/docs"] {
            fs::remove_dir_all(scene.at(side)).unwrap();
            fs::create_dir(scene.at(side)).unwrap();
        }
        let (from, to) = (scene.at(top), scene.at(other_top));
        let small = noise(1000, 1);
        let large = noise(9_000_017, 2);
        let mut spoilt = large[..5_000_001].to_vec();
        spoilt[4_000_000] ^= 1;
        for (file, whole, there) in [
            ("small", &small[..], &small[..400]),
            ("large", &large, &large[..5_000_001]),
            ("empty", &small, &[]),
            ("other small", &small, b"not how it begins"),
            ("other large", &large, &spoilt),
            ("longer", &small, &large[..2000]),
            ("as long", &small, &large[..1000]),
        ] {
            let side = |top: &str| if top.starts_with('S') { "served/docs" } else { "local/tree" };
            scene.write(&format!("{}/{file}", side(top)), whole, NEW);
            scene.write(&format!("{}/{file}", side(other_top)), there, OLD);
        }
        let kept = ["other small", "other large", "longer", "as long"];
        let before = kept.map(|file| identity(&to.join(file)));
        let output = scene.tow(&typed).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{name} {}", told(&output));
        for file in ["small", "large", "empty"] {
            assert!(fs::read(to.join(file)).unwrap() == fs::read(from.join(file)).unwrap(), "{name} {file}");
        }
        assert!(kept.map(|file| identity(&to.join(file))) == before, "{name}: touched");
        let errors = String::from_utf8_lossy(&output.stderr);
        for file in kept {
            let said = format!("/{file}: skipped: exists and is not the beginning of the source\n");
            assert!(errors.contains(&said), "{name} {file}: {errors}");
        }
        // Each that was skipped is an object of its own.
        let text = String::from_utf8_lossy(&output.stdout);
        let objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects.len(), kept.len() + 1, "{name}: {text}");
        let done = objects.last().unwrap();
        assert_eq!((done["files"].as_u64(), done["skipped"].as_u64()), (Some(3), Some(4)), "{name} {done}");
        assert!(done["saved"].as_u64() >= Some(4_000_000), "{name}: what was there crossed the line: {done}");
        // What is complete is unchanged from now on.
        for file in kept {
            fs::remove_file(from.join(file)).unwrap();
        }
        let again = scene.tow(&typed).output().unwrap();
        assert_eq!(again.status.code(), Some(0), "{name} {}", told(&again));
        let done: Value = serde_json::from_slice(&again.stdout).unwrap();
        assert_eq!((done["files"].as_u64(), done["unchanged"].as_u64()), (Some(0), Some(3)), "{name} {done}");
    }
}

#[test]
fn keep_both_takes_the_next_free_name_each_time() {
    let stage = Stage::new();
    for (name, from, to, typed) in [
        ("put", "local/tree", "S/docs", ["put", "-T", "--overwrite", "keep-both", "tree", "{S}/docs"]),
        ("get", "served/docs", "L/tree", ["get", "-T", "--overwrite", "keep-both", "{S}/docs", "tree"]),
    ] {
        let scene = stage.scene(name);
        let there = if to.starts_with('S') { "served/docs" } else { "local/tree" };
        for side in ["L/tree", "S/docs"] {
            fs::remove_dir_all(scene.at(side)).unwrap();
        }
        for file in ["a.txt", "a.tar.gz", "plain", ".rc"] {
            scene.write(&format!("{from}/{file}"), "new", NEW);
            scene.write(&format!("{there}/{file}"), "old", OLD);
        }
        scene.write(&format!("{from}/a folder/inside"), "inside", NEW);
        scene.write(&format!("{there}/a folder"), "a file", OLD);
        for time in [2, 3] {
            let output = scene.tow(&typed).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{name} {}", told(&output));
            assert!(told(&output).contains("output: 5 files, "), "{name} {}", told(&output));
            let beside = [
                ("a.txt", format!("a ({time}).txt")),
                ("a.tar.gz", format!("a.tar ({time}).gz")),
                ("plain", format!("plain ({time})")),
                (".rc", format!(".rc ({time})")),
            ];
            let read = |file: &str| fs::read_to_string(scene.at(&format!("{to}/{file}"))).unwrap();
            for (file, copy) in beside {
                assert_eq!((read(file), read(&copy)), ("old".into(), "new".into()), "{name} {copy}");
            }
            assert_eq!(read("a folder"), "a file");
            assert_eq!(read(&format!("a folder ({time})/inside")), "inside", "{name}");
        }
        assert_eq!(fs::read_dir(scene.at(to)).unwrap().count(), 15, "{name}");
    }
}

/// Conflicts of five kinds between the tree and the folder there, so many of each.
fn conflicting(scene: &Scene) {
    for side in ["L/tree", "S/docs"] {
        fs::remove_dir_all(scene.at(side)).unwrap();
    }
    for number in 0..EACH {
        let both = |name: &str, (here, here_time): (&str, u64), (there, there_time): (&str, u64)| {
            scene.write(&format!("local/tree/{name}-{number}"), here, here_time);
            scene.write(&format!("served/docs/{name}-{number}"), there, there_time);
        };
        both("k-newer", ("new content", NEW), ("new", OLD));
        both("k-older", ("old", OLD), ("newer", NEW));
        both("k-size", ("one", OLD), ("another", OLD));
        scene.write(&format!("served/docs/k-link-{number}"), "a file", OLD);
        std::os::unix::fs::symlink("k-newer-0", scene.at(&format!("L/tree/k-link-{number}"))).unwrap();
        scene.write(&format!("local/tree/k-folder-{number}"), "a file", OLD);
        scene.write(&format!("served/docs/k-folder-{number}/inside"), "inside", OLD);
    }
}

/// How what is there looks afterwards: of each kind what the first one holds now, and what is called after it.
fn there(scene: &Scene, name: &str) -> (String, Option<String>) {
    let read = |name: String| {
        let path = scene.at(&format!("S/docs/{name}"));
        match fs::read_link(&path) {
            Ok(target) => Some(format!("-> {}", target.display())),
            Err(_) if path.is_dir() => Some("a folder".to_owned()),
            Err(_) => fs::read_to_string(path).ok(),
        }
    };
    (read(format!("{name}-0")).unwrap(), read(format!("{name}-0 (2)")))
}

/// Gives each question its answer until the program ends. How it ended, and what was asked.
fn settle(scene: &Scene, mut answer: impl FnMut(&str) -> &'static str) -> (u32, Vec<String>) {
    let mut tow = command(env!("CARGO_BIN_EXE_tow"), &scene.at("L"));
    tow.args(["put", "-T", "--overwrite", "ask", "tree", &scene.meant("{S}/docs")]);
    tow.cwd(scene.at("L"));
    let mut pty = Pty::start(tow, 400, 100);
    let mut asked = Vec::new();
    loop {
        const PROMPT: &str = "; in capitals for all";
        let count = |screen: &vt100::Screen| screen.contents().matches(PROMPT).count();
        pty.wait_until("a question or the end", |screen| {
            count(screen) > asked.len()
                || [" s, ", "interrupted"].iter().any(|word| screen.contents().contains(word))
        });
        let contents = pty.contents();
        let Some(question) = contents
            .split(PROMPT)
            .nth(asked.len())
            .filter(|_| contents.matches(PROMPT).count() > asked.len())
        else {
            return (pty.wait_for_end().exit_code(), asked);
        };
        // What comes before it on the screen are the answers to others.
        let question = question.lines().rev().take(2).collect::<Vec<_>>().join("\n");
        pty.press(answer(&question));
        asked.push(question);
    }
}

fn kind(question: &str) -> &'static str {
    ["k-newer", "k-older", "k-size", "k-link", "k-folder"]
        .into_iter()
        .find(|kind| question.contains(kind))
        .unwrap()
}

#[test]
fn an_answer_that_is_not_understood_is_asked_for_again() {
    let stage = Stage::new();
    let scene = stage.scene("again");
    conflicting(&scene);
    let before = there(&scene, "k-newer");
    let mut answers = ["yes\r", "overwrit\r", "\r", "x\r", "SKIP\r", "skip\r", "skip\r"].into_iter();
    let (exit, asked) = settle(&scene, |_| answers.next().unwrap());
    // One question was put five times; the fifth answer was for all.
    assert_eq!(asked.len(), 5, "{asked:#?}");
    assert!(asked.iter().all(|question| kind(question) == kind(&asked[0])), "{asked:#?}");
    assert_eq!(exit, 1, "all were skipped");
    assert_eq!(there(&scene, "k-newer"), before);
}

#[test]
fn each_kind_is_asked_about_once_and_its_answer_is_for_all_of_it() {
    let stage = Stage::new();
    let scene = stage.scene("kinds");
    conflicting(&scene);
    let (exit, asked) = settle(&scene, |question| match kind(question) {
        "k-newer" | "k-link" => "o\r",
        "k-older" => "n\r",
        "k-size" => "b\r",
        _ => "s\r",
    });
    let mut kinds: Vec<_> = asked.iter().map(|question| kind(question)).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["k-folder", "k-link", "k-newer", "k-older", "k-size"], "{asked:#?}");
    assert_eq!(exit, 1, "some were skipped");
    let is = |name: &str, there_now: &str, beside: Option<&str>| {
        assert_eq!(there(&scene, name), (there_now.to_owned(), beside.map(str::to_owned)), "{name}");
    };
    is("k-newer", "new content", None);
    is("k-older", "newer", None);
    is("k-size", "another", Some("one"));
    is("k-link", "-> k-newer-0", None);
    is("k-folder", "a folder", None);
    for question in &asked {
        let offers = |word: &str| question.contains(word);
        assert!(
            offers("2") && offers("[s]kip") && offers("keep [b]oth") && offers("[e]ach for itself"),
            "{question}"
        );
        assert_eq!(offers("[o]verwrite"), kind(question) != "k-folder", "{question}");
        let is_file = !matches!(kind(question), "k-folder" | "k-link");
        assert_eq!((offers("if [d]ifferent"), offers("[r]esume")), (is_file, is_file), "{question}");
    }
}

#[test]
fn an_answer_in_capitals_is_for_all_kinds_that_offer_it() {
    let stage = Stage::new();
    let scene = stage.scene("capitals");
    conflicting(&scene);
    // Whichever is asked first; what cannot be overwritten is asked about once more.
    let (exit, asked) = settle(&scene, |question| if kind(question) == "k-folder" { "b\r" } else { "O\r" });
    assert!(asked.len() <= 2 && asked.iter().any(|question| kind(question) == "k-folder"), "{asked:#?}");
    assert_eq!(exit, 0, "nothing was skipped");
    for (name, now, beside) in [
        ("k-newer", "new content", None),
        ("k-older", "old", None),
        ("k-size", "one", None),
        ("k-link", "-> k-newer-0", None),
        ("k-folder", "a folder", Some("a file")),
    ] {
        assert_eq!(there(&scene, name), (now.to_owned(), beside.map(str::to_owned)), "{name}");
    }

    let scene = stage.scene("skip all");
    conflicting(&scene);
    let (exit, asked) = settle(&scene, |_| "S\r");
    assert_eq!((exit, asked.len()), (1, 1), "{asked:#?}");
    assert_eq!(there(&scene, "k-newer").0, "new");
}

#[test]
fn each_for_itself_asks_about_every_one_of_the_kind() {
    let stage = Stage::new();
    let scene = stage.scene("each");
    conflicting(&scene);
    let (exit, asked) = settle(&scene, |question| match kind(question) {
        "k-newer" if question.contains("[e]ach") => "e\r",
        "k-newer" if question.contains("k-newer-0") => "r\r",
        "k-newer" => "s\r",
        _ => "b\r",
    });
    assert_eq!(exit, 1);
    let of_newer = asked.iter().filter(|question| kind(question) == "k-newer");
    assert_eq!(of_newer.count(), 1 + EACH, "{asked:#?}");
    let read = |name: &str| fs::read_to_string(scene.at(&format!("S/docs/{name}"))).unwrap();
    assert_eq!([read("k-newer-0"), read("k-newer-1")], ["new content", "new"]);
    assert_eq!(there(&scene, "k-older"), ("newer".into(), Some("old".into())));
}

#[test]
fn the_end_of_the_input_skips_all_and_an_interrupt_ends_it() {
    let stage = Stage::new();
    for (name, answer, questions, exit) in
        [("the end of the input", "\x04", Some(1), 1), ("an interrupt", "\x03", None, 130)]
    {
        let scene = stage.scene(name);
        conflicting(&scene);
        let (ended, asked) = settle(&scene, |_| answer);
        assert_eq!(ended, exit, "{name} {asked:#?}");
        assert!(questions.is_none_or(|questions| asked.len() == questions), "{name} {asked:#?}");
        for (kind, now) in [
            ("k-newer", "new"),
            ("k-older", "newer"),
            ("k-size", "another"),
            ("k-link", "a file"),
            ("k-folder", "a folder"),
        ] {
            assert_eq!(there(&scene, kind), (now.to_owned(), None), "{name} {kind}");
        }
    }
}
