//! The walls of the house: who may know whom, how long a file may get, and what lies at the top.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file without its tests. A file over it wants to be two.
const FILE_LINES_MAX: usize = 500;

/// What a package is, and the others that none of its files may name. A word matches whole leading parts of a path: `std::fs` matches
/// `std::fs::read`, not `std::fsx`.
const WALLS: &[(&str, &[&str])] = &[
    (
        "client-tui/src/model",
        &[
            "crate::app",
            "crate::cli",
            "crate::config",
            "crate::link",
            "crate::shell",
            "crate::transfer",
            "crate::ui",
            "crossterm",
            "ratatui",
            "rustix",
            "std::fs",
            "std::net::TcpListener",
            "std::net::TcpStream",
            "std::net::ToSocketAddrs",
            "std::net::UdpSocket",
            "std::time::Instant",
            "std::time::SystemTime",
            "tokio",
            "towpath_files",
        ],
    ),
    (
        "client-tui/src/app",
        &[
            "crate::cli",
            "crate::link",
            "crate::shell",
            "crate::transfer",
            "crate::ui",
            "ratatui",
            "rustix",
            "std::fs",
            "std::net",
            "std::time::Instant",
            "std::time::SystemTime",
            "tokio",
            "towpath_files",
        ],
    ),
    (
        "client-tui/src/ui",
        &[
            "crate::cli",
            "crate::link",
            "crate::shell",
            "crate::transfer",
            "rustix",
            "std::fs",
            "std::net",
            "std::time::Instant",
            "std::time::SystemTime",
            "tokio",
            "towpath_files",
        ],
    ),
    (
        "client-tui/src/link",
        &["crate::app", "crate::cli", "crate::shell", "crate::transfer", "crate::ui", "crossterm", "ratatui"],
    ),
    (
        "client-tui/src/transfer",
        &["crate::app", "crate::cli", "crate::shell", "crate::ui", "crossterm", "ratatui"],
    ),
    ("client-tui/src/cli", &["crate::app", "crate::shell", "crate::ui", "ratatui"]),
    (
        "client-tui/src/config",
        &["crate::app", "crate::cli", "crate::link", "crate::shell", "crate::transfer", "crate::ui", "tokio"],
    ),
    (
        "protocol/src",
        &[
            "std::fs",
            "std::io::Read",
            "std::io::Write",
            "std::net",
            "std::path",
            "std::time::Instant",
            "std::time::SystemTime",
            "tokio",
            "rustix",
            "rustls",
            "ring",
        ],
    ),
    (
        "protocol/secure/src",
        &[
            "clap",
            "socket2",
            "std::fs",
            "std::net",
            "std::time::Instant",
            "std::time::SystemTime",
            "tokio::net",
            "towpath",
        ],
    ),
    ("protocol/tcp/src", &["clap", "rustls", "std::fs", "towpath", "towpath_secure"]),
    (
        "server/files/src",
        &["clap", "socket2", "std::net", "std::os::unix::net", "tokio::net", "towpath", "towpath_server"],
    ),
    ("server/stdio/src", &["clap", "socket2", "std::fs", "towpath", "towpath_files", "towpath_server"]),
    ("server/src", &["crossterm", "ratatui", "towpath"]),
];

/// What each package may not depend on, tests apart.
const DEPENDENCIES: &[(&str, &[&str])] = &[
    ("protocol", &["tokio", "rustix", "rustls", "ring", "towpath-files"]),
    ("protocol/secure", &["clap", "ratatui", "crossterm", "rustix", "socket2", "towpath", "towpath-server"]),
    (
        "protocol/tcp",
        &[
            "clap",
            "ratatui",
            "crossterm",
            "rustls",
            "towpath",
            "towpath-files",
            "towpath-secure",
            "towpath-server",
        ],
    ),
    ("server/files", &["clap", "rustls", "ratatui", "crossterm", "socket2", "towpath", "towpath-server"]),
    ("server/stdio", &["clap", "ratatui", "crossterm", "towpath", "towpath-files", "towpath-server"]),
    ("server", &["ratatui", "crossterm", "towpath"]),
    ("client-tui", &["towpath-server"]),
];

const PACKAGES: &[&str] = &[
    "protocol/src",
    "protocol/secure/src",
    "protocol/tcp/src",
    "server/src",
    "server/files/src",
    "server/stdio/src",
    "client-tui/src",
];

const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "assets",
    "client-tui",
    "protocol",
    "server",
    "target",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file below `folder`, and `folder.rs` beside it.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let beside = folder.with_extension("rs");
    if beside.is_file() {
        files.push(beside);
    }
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// A file's code: its lines without comments, up to its test module.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let is_test_module =
        |lines: &[&str]| lines[0] == "#[cfg(test)]" && lines[1..].iter().any(|line| line.starts_with("mod "));
    let lines: Vec<&str> = text.lines().collect();
    let end = (0..lines.len())
        .find(|start| is_test_module(&lines[*start..lines.len().min(start + 4)]))
        .unwrap_or(lines.len());
    lines[..end].iter().map(|line| line.split("//").next().unwrap_or_default()).fold(
        String::new(),
        |mut code, line| {
            code.push_str(line);
            code.push('\n');
            code
        },
    )
}

/// The module that a file below some `src` is, as its parts: `src/app/pane.rs` is `["app", "pane"]`.
fn module_of(file: &Path) -> Vec<String> {
    let parts: Vec<String> = file
        .with_extension("")
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    let src = parts.iter().rposition(|part| part == "src").unwrap();
    parts[src + 1..].iter().filter(|part| !matches!(part.as_str(), "lib" | "main")).cloned().collect()
}

/// Every path that code names, `use` groups unfolded, `super` and `self` resolved.
fn paths_in(code: &str, module: &[String]) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for statement in code.split("use ").skip(1) {
        if let Some((tree, _)) = statement.split_once(';') {
            unfold("", &tree.split_whitespace().collect::<Vec<_>>().join(" "), &mut paths);
        }
    }
    for word in code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        if word.contains("::") && !word.ends_with("::") {
            paths.insert(word.to_owned());
        }
    }
    paths.iter().map(|path| resolved(path, module)).collect()
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn unfold(before: &str, tree: &str, paths: &mut BTreeSet<String>) {
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        paths.insert(format!("{before}{path}"));
        return;
    };
    let before = format!("{before}{}", head.trim());
    let (mut depth, mut start) = (0, 0);
    let inside = rest.trim_end().strip_suffix('}').unwrap_or(rest);
    for (index, c) in inside.char_indices().chain([(inside.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = inside[start..index].trim();
                if !part.is_empty() {
                    unfold(&before, part, paths);
                }
                start = index + 1;
            }
            _ => {}
        }
    }
}

fn resolved(path: &str, module: &[String]) -> String {
    let mut parts: Vec<&str> = path.split("::").collect();
    let mut here: Vec<&str> = module.iter().map(String::as_str).collect();
    match parts.first() {
        Some(&"self") => {
            parts.remove(0);
        }
        Some(&"super") => {
            while parts.first() == Some(&"super") {
                parts.remove(0);
                here.pop();
            }
        }
        _ => return path.to_owned(),
    }
    ["crate"].into_iter().chain(here).chain(parts).collect::<Vec<_>>().join("::")
}

fn names(path: &str, word: &str) -> bool {
    path.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn paths_are_read_out_of_groups_and_relative_ones_are_resolved() {
    let code =
        "use std::{fs, io::{self, Read as R}};\nuse super::super::link::Link;\nfn f() { tokio::spawn(x); }\n";
    let module = ["app".to_owned(), "dialog".to_owned(), "copy".to_owned()];
    let paths = paths_in(code, &module);
    for expected in ["std::fs", "std::io::Read", "crate::app::link::Link", "tokio::spawn"] {
        assert!(paths.contains(expected), "{expected} is not in {paths:?}");
    }
    assert!(names("std::fs::read", "std::fs"));
    assert!(!names("towpath_files::x", "towpath"));
}

#[test]
fn no_room_knows_what_it_may_not_know() {
    let mut broken = Vec::new();
    for (folder, forbidden) in WALLS {
        let files = rust_files(&repository().join(folder));
        assert!(!files.is_empty(), "{folder} has no files: is it named right?");
        for file in files {
            let module = module_of(&file);
            for path in paths_in(&code_of(&file), &module) {
                if let Some(word) = forbidden.iter().find(|word| names(&path, word)) {
                    broken
                        .push(format!("{}: names {path}, and {folder} may not know {word}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_package_depends_on_what_it_may_not_know() {
    for (package, forbidden) in DEPENDENCIES {
        let manifest = fs::read_to_string(repository().join(package).join("Cargo.toml")).unwrap();
        let dependencies = manifest
            .split("\n[")
            .filter_map(|section| section.strip_prefix("dependencies]"))
            .flat_map(str::lines)
            .filter_map(|line| line.split(['.', '=', ' ']).next());
        for dependency in dependencies {
            assert!(!forbidden.contains(&dependency), "{package} depends on {dependency}");
        }
    }
}

#[test]
fn no_file_is_too_long() {
    let too_long: Vec<String> = PACKAGES
        .iter()
        .flat_map(|folder| rust_files(&repository().join(folder)))
        .filter(|file| file.file_stem().is_none_or(|stem| stem != "tests"))
        .map(|file| (code_of(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > FILE_LINES_MAX)
        .map(|(lines, file)| format!("{lines} lines: {}", file.display()))
        .collect();
    assert!(too_long.is_empty(), "\n{}", too_long.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> = PACKAGES
        .iter()
        .flat_map(|folder| rust_files(&repository().join(folder)))
        .filter(|file| !fs::read_to_string(file).unwrap().starts_with("//! "))
        .map(|file| file.display().to_string())
        .collect();
    assert!(silent.is_empty(), "\n{}", silent.join("\n"));
}

#[test]
fn nothing_new_lies_at_the_top() {
    for entry in fs::read_dir(repository()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with('.') || TOP.contains(&name.as_str()), "{name} lies at the top");
    }
}
