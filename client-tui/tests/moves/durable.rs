//! A source goes only once its copy is on the disk, as the system calls say; where nothing can be flushed, it stays.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::world::{World, mount};

const CALLS: &str = "trace=openat,openat2,fsync,fdatasync,syncfs,rename,renameat,renameat2,linkat,unlink,unlinkat,rmdir,mkdirat,symlinkat";

fn has_strace() -> bool {
    let has = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    let has = has.is_ok_and(|status| status.success());
    if !has {
        crate::skip::skip("programs cannot be traced here (strace)");
    }
    has
}

/// The calls of a move, in the order in which they ended.
fn traced(world: &World, words: &[&str]) -> (std::process::Output, Vec<String>) {
    let trace = world.at("trace");
    let strace = ["strace", "-f", "-y", "-s", "200", "-o", trace.to_str().unwrap(), "-e", CALLS];
    let output = world.command_under(&strace, words).output().unwrap();
    let calls = fs::read_to_string(&trace).unwrap();
    let calls = whole(&calls).into_iter().filter(|call| !call.contains("= -1")).collect();
    (output, calls)
}

/// The calls in the order in which they ended, each on one line: strace splits a call during which another thread made one.
fn whole(trace: &str) -> Vec<String> {
    let mut begun = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let (thread, said) = line.split_once(' ').unwrap_or_default();
        if let Some(beginning) = said.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, beginning);
        } else if let Some((_, end)) = said.split_once(" resumed>") {
            calls.push(format!("{thread} {}{end}", begun.remove(thread).unwrap_or_default()));
        } else {
            calls.push(line.to_owned());
        }
    }
    calls
}

fn position(calls: &[String], is_meant: impl Fn(&str) -> bool) -> Option<usize> {
    calls.iter().position(|call| is_meant(call))
}

/// Flushes a file, or all of its file system.
fn flushes(call: &str, path: &str) -> bool {
    call.contains("fsync(") && call.contains(path) || call.contains("syncfs(")
}

#[test]
fn f80_the_copy_is_flushed_before_its_source_goes_also_where_it_was_there_already() {
    if !has_strace() {
        return;
    }
    for kind in ["same", "replaced", "new", "link", "folder"] {
        let world = World::new();
        fs::create_dir_all(world.at("far")).unwrap();
        // On another file system, so that nothing is only renamed.
        let Some(_far) = mount(&["mount", "-t", "tmpfs", "none"], &world.at("far")) else { return };
        match kind {
            "link" => {
                fs::create_dir_all(world.at("near")).unwrap();
                std::os::unix::fs::symlink("somewhere", world.at("near/it")).unwrap();
            }
            "folder" => fs::create_dir_all(world.at("near/it")).unwrap(),
            _ => world.write("near/it", "precious"),
        }
        if kind == "same" || kind == "replaced" {
            world.write("far/it", if kind == "same" { "precious" } else { "old" });
            for side in ["near", "far"] {
                world.modified(
                    &format!("{side}/it"),
                    if kind == "same" { 1_500_000_000 } else { 1_600_000_000 },
                );
            }
        }
        let (output, calls) = traced(&world, &["mv", "-T", "--overwrite", "always", "near/it", "far/it"]);
        assert!(output.status.success(), "{kind}: {output:?}");
        let far = world.at("far").to_str().unwrap().to_owned();
        let near = world.at("near").to_str().unwrap().to_owned();
        let goes = position(&calls, |call| {
            call.contains("unlink") && call.contains(&near) && !call.contains(".towpath-")
        });
        let flushed = position(&calls, |call| flushes(call, &far));
        let (Some(flushed), Some(goes)) = (flushed, goes) else { panic!("{kind}: {calls:#?}") };
        assert!(flushed < goes, "{kind}: {calls:#?}");
        if kind == "same" || kind == "replaced" {
            // The source was out of the way when the copy was looked at last.
            let aside =
                position(&calls, |call| call.contains("rename") && call.contains("it (moving ")).unwrap();
            let looked = calls.iter().rposition(|call| flushes(call, &far)).unwrap();
            assert!(aside < looked && looked < goes, "{kind}: {calls:#?}");
        }
    }
}

/// Runs as a user who may do nothing that is not allowed to everybody.
fn as_nobody(command: &mut Command) -> &mut Command {
    command.uid(65_534).gid(65_534)
}

#[test]
fn f80_into_a_folder_that_may_not_be_read_a_move_flushes_all_of_its_file_system() {
    if !has_strace() || !rustix::process::geteuid().is_root() {
        crate::skip::skip("it takes root to be another user");
        return;
    }
    let world = World::new();
    for path in ["near", "far/into", "state"] {
        fs::create_dir_all(world.at(path)).unwrap();
        std::os::unix::fs::chown(world.at(path), Some(65_534), Some(65_534)).unwrap();
    }
    fs::set_permissions(world.at(""), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(world.at("state"), fs::Permissions::from_mode(0o700)).unwrap();
    world.write("near/file", "precious");
    std::os::unix::fs::chown(world.at("near/file"), Some(65_534), Some(65_534)).unwrap();
    fs::set_permissions(world.at("far/into"), fs::Permissions::from_mode(0o300)).unwrap();
    if !is_reached_by_nobody(Path::new(env!("CARGO_BIN_EXE_tow")), &world.at("near")) {
        crate::skip::skip("another user cannot reach the program or the temporary folder");
        return;
    }
    let trace = world.at("trace");
    let strace = ["strace", "-f", "-y", "-o", trace.to_str().unwrap(), "-e", CALLS];
    let mut command = world.command_under(&strace, &["cp", "near/file", "far/into/file"]);
    let output = as_nobody(&mut command).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let calls = fs::read_to_string(&trace).unwrap();
    let placed = calls.rfind("linkat").or_else(|| calls.find("renameat")).expect("it was put in place");
    assert!(calls[placed..].contains("syncfs("), "{calls}");
}

fn is_reached_by_nobody(program: &Path, folder: &Path) -> bool {
    let mut test = Command::new("sh");
    test.args(["-c", "test -x \"$0\" && test -w \"$1\""]).arg(program).arg(folder);
    as_nobody(&mut test).status().is_ok_and(|status| status.success())
}
