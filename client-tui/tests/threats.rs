//! The table of threats (`server/THREATS.md`) is complete, and every test in it exists; and the one rule that no compiler checks by
//! itself: who may open a path.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Threats in the catalogue. The table answers all up to the first number, and those up to the second as rules for them come.
const THREATS: (u32, u32) = (69, 86);

/// Files that may call what takes a path. The first three touch what a peer can name; the rest touch nothing but what this machine's
/// own people and programs have put there.
const OPENERS: &[(&str, &str)] = &[
    ("server/files/src/root.rs", "paths become descriptors"),
    ("server/files/src/disk.rs", "one name in an open folder"),
    ("server/files/src/private_files.rs", "our own files"),
    ("server/files/src/asides.rs", "what our own records name"),
    ("server/files/src/machine.rs", "a file of the kernel's"),
    ("server/src/config.rs", "towd's configuration"),
    ("server/src/listen/unix.rs", "the socket that the command line names"),
    ("server/src/log/audit.rs", "the audit log that the command line names"),
    ("server/src/prepare.rs", "towd's own folders"),
    ("server/src/wall.rs", "what the wall is tried with"),
    ("client-tui/src/cli/code.rs", "the terminal"),
    ("client-tui/src/cli/listed.rs", "the file that --files-from names"),
    ("client-tui/src/cli/patterns.rs", "the file that --exclude-from names"),
    ("client-tui/src/config/place.rs", "tow's configuration"),
    ("client-tui/src/config/ssh_hosts.rs", "ssh's configuration"),
    ("client-tui/src/link/dial/askpass.rs", "the folder of a socket of tow's own"),
    ("client-tui/src/link/dial/install.rs", "tow's own executable"),
    ("client-tui/src/link/dial/ssh.rs", "the terminal"),
    ("client-tui/src/link/dial/ssh/master.rs", "a socket of tow's own"),
    ("client-tui/src/shell/job_control.rs", "the system's list of processes"),
    ("client-tui/src/main.rs", "whether an operand is a folder that is there"),
    ("client-tui/src/shell/log.rs", "tow's log"),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Number, rule and tests of each row.
fn rows() -> Vec<(u32, String, Vec<String>)> {
    let table = fs::read_to_string(repository().join("server/THREATS.md")).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| F"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, rule, tests] = cells[..] else { panic!("not three cells: {row}") };
        let tests = tests.split("<br>").filter_map(|test| test.strip_prefix('`')?.strip_suffix('`'));
        (number[1..].parse().unwrap(), rule.to_owned(), tests.map(str::to_owned).collect())
    })
    .collect()
}

/// Names of the tests in a file: what stands behind an attribute that makes a test of it, or in a property's block.
fn tests_in(text: &str) -> Vec<&str> {
    let (mut names, mut is_test, mut is_property) = (Vec::new(), false, false);
    for line in text.lines() {
        is_property = (is_property || line.starts_with("proptest!")) && line != "}";
        is_test |= is_property || line.contains("#[test]") || line.contains("#[tokio::test");
        let name = line.trim_start().trim_start_matches("async ").strip_prefix("fn ");
        if let Some(name) = name.filter(|_| is_test).and_then(|name| name.split('(').next()) {
            names.push(name);
            is_test = false;
        }
    }
    // Those of a program of tests with a `main` of its own.
    let listed = text.split("trials![").nth(1).and_then(|rest| rest.split(']').next());
    names.extend(
        listed.into_iter().flat_map(|list| list.split([',', '\n', ' '])).filter(|name| !name.is_empty()),
    );
    names
}

#[test]
fn every_threat_has_its_row_and_every_row_a_test_or_a_reason() {
    let numbers: Vec<u32> = rows().iter().map(|(number, ..)| *number).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    assert!((1..=THREATS.0).all(|number| numbers.contains(&number)), "{numbers:?}");
    assert!(numbers.last().is_some_and(|last| *last <= THREATS.1), "{numbers:?}");
    for (number, rule, tests) in rows() {
        assert!(
            !tests.is_empty() || rule.starts_with("Cannot apply: "),
            "F{number}: neither a test nor a reason"
        );
    }
}

#[test]
fn every_test_that_the_table_names_exists() {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for (number, _, tests) in rows() {
        for test in tests {
            let (file, name) = test.split_once("::").unwrap();
            let text = files.entry(file.to_owned()).or_insert_with(|| {
                let text = fs::read_to_string(repository().join(file));
                text.unwrap_or_else(|_| panic!("F{number}: there is no {file}"))
            });
            assert!(tests_in(text).contains(&name), "F{number}: there is no test {name} in {file}");
        }
    }
}

#[test]
fn f07_only_these_modules_open_paths() {
    let mut found = Vec::new();
    let sources = [
        "protocol/src",
        "protocol/secure/src",
        "server/src",
        "server/files/src",
        "server/stdio/src",
        "client-tui/src",
    ];
    let mut folders: Vec<PathBuf> = sources.iter().map(|source| repository().join(source)).collect();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if allows_paths(&fs::read_to_string(&path).unwrap()) {
                found.push(path.strip_prefix(repository()).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    let mut allowed: Vec<&str> = OPENERS.iter().map(|(file, _)| *file).collect();
    allowed.sort_unstable();
    assert_eq!(found, allowed, "these allow themselves clippy's disallowed methods; the list says who may");
}

/// Whether a file's code, its tests apart, allows itself the methods that `.clippy.toml` disallows.
fn allows_paths(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begins = |at: &usize| lines[*at].starts_with("#[") || lines[*at].starts_with("#![");
    let is_of_tests = |at: usize| {
        let attribute = (0..=at).rev().find(begins).unwrap();
        attribute > 0 && lines[attribute - 1] == "#[cfg(test)]"
    };
    (0..lines.len()).any(|at| lines[at].contains("clippy::disallowed_methods") && !is_of_tests(at))
}
