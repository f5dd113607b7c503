//! `tow shell`: the words of old, from a pipe and at a terminal.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;

use crate::pty::{Pty, command};
use crate::stage::{Scene, Stage, parts, told};

fn piped(scene: &Scene, flags: &[&str], lines: &str) -> Output {
    let typed = [&["shell"], flags].concat();
    let mut tow = scene.tow(&typed).stdin(Stdio::piped()).spawn().unwrap();
    tow.stdin.take().unwrap().write_all(scene.meant(lines).as_bytes()).unwrap();
    tow.wait_with_output().unwrap()
}

#[test]
fn piped_words_are_obeyed_one_after_the_other() {
    let stage = Stage::new();
    let scene = stage.scene("words");
    let lines = "ls\nsize a.txt\nupload new.txt\nupload tree empty/\ndownload docs\nsize docs/b docs\nconnme\nbyebye\nls\n";
    let output = piped(&scene, &["--connect", "{S}"], lines);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let said = told(&output);
    let mut rest = said.as_str();
    for wanted in [
        "Connected to unix:",
        "a.txt",
        "total ",
        "0.000002 MB (2 bytes)",
        " s.",
        "0.000005 MB (5 bytes)",
        "0.000009 MB (9 bytes)",
        "Connected to unix:",
        "Connection closed.",
    ] {
        let at = rest.find(wanted).unwrap_or_else(|| panic!("no {wanted}\n{said}"));
        rest = &rest[at + wanted.len()..];
    }
    assert_eq!(fs::read_to_string(scene.at("S/new.txt")).unwrap(), "newer");
    assert_eq!(fs::read_to_string(scene.at("S/empty/tree/y/z.o")).unwrap(), "object");
    assert_eq!(fs::read_to_string(scene.at("L/docs/sub/c")).unwrap(), "deep");
}

#[test]
fn a_server_is_reached_from_a_working_folder_that_is_gone() {
    let stage = Stage::new();
    let scene = stage.scene("gone");
    let gone = scene.at("L/gone");
    let from_there = |typed: &[&str], lines: &str| {
        fs::create_dir(&gone).unwrap();
        let tow = scene.tow(typed);
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"cd "$0" && rmdir "$0" && exec "$@""#]).arg(&gone);
        shell.arg(tow.get_program()).args(tow.get_args());
        shell.envs(tow.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut shell =
            shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        shell.wait_with_output().unwrap()
    };
    let output = from_there(&["shell", "--connect", "{S}"], "ls\nsize a.txt\nupload new.txt\n");
    assert!(told(&output).contains("0.000002 MB (2 bytes)"), "{}", told(&output));
    // An operand relative to it is refused in words.
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told(&output).contains("new.txt: no such file or folder (the working folder is gone)"),
        "{}",
        told(&output)
    );
    let output = from_there(&["ls", "{S}"], "");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}

#[test]
fn a_word_that_fails_says_so_and_the_next_line_is_read() {
    let stage = Stage::new();
    for (name, lines, errors) in [
        ("unknown", "frobnicate\nsize a.txt\n", &["tow: frobnicate: no such word"][..]),
        ("missing", "size nope\nsize a.txt\n", &["tow: nope: no such file or folder"]),
        (
            "elsewhere",
            "get\nput a\ncd docs\nsize a.txt\n",
            &[
                "get: no such word; write download PATH… [FOLDER/]",
                "put: no such word; write upload PATH… [FOLDER/]",
                "cd: no such word; write paths from where the session began",
            ],
        ),
        ("how", "download\nsize a.txt\n", &["download: which PATH? write download PATH… [FOLDER/]"]),
        ("what", "size\nupload\nsize a.txt\n", &["tow: size: which PATH?", "tow: upload: which PATH?"]),
        ("quote", "ls 'open\nsize a.txt\n", &["tow: a quote is not closed"]),
        ("nobody asks", "rm a.txt\nsize a.txt\n", &["tow: rm: not a terminal", "--yes"]),
        ("not here", "upload nope\nsize a.txt\n", &["tow: nope: no such file or folder"]),
        ("no server", "connme unix:/no/such\n", &["tow: unix:/no/such: no such socket"]),
    ] {
        let scene = stage.scene(name);
        let output = piped(&scene, &["--connect", "{S}"], lines);
        assert_eq!(output.status.code(), Some(1), "{name}\n{}", told(&output));
        for error in errors {
            assert!(told(&output).contains(error), "{name}: no {error}\n{}", told(&output));
        }
        assert!(told(&output).contains("(2 bytes)") || name == "no server", "{name}\n{}", told(&output));
        assert!(scene.at("S/a.txt").exists());
    }
    let scene = stage.scene("unconnected");
    let output = piped(&scene, &[], "ls\nconnme\nconnme {S}\nsize a.txt\n");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("tow: not connected; connme TARGET connects"), "{}", told(&output));
    assert!(told(&output).contains("(2 bytes)"), "{}", told(&output));
    let output = piped(&scene, &["--connect", "unix:/no/such"], "ls\n");
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
}

#[test]
fn yes_removes_without_a_question() {
    let stage = Stage::new();
    let scene = stage.scene("yes");
    let output = piped(&scene, &["--yes", "--connect", "{S}"], "rm nope a.txt docs\n");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("tow: nope: no such file"), "{}", told(&output));
    assert!(!scene.at("S/a.txt").exists() && !scene.at("S/docs").exists(), "{}", told(&output));
}

fn at_a_terminal(scene: &Scene) -> Pty {
    let mut tow = command(env!("CARGO_BIN_EXE_tow"), &scene.at("L"));
    tow.args(["shell", "--connect", &scene.meant("{S}")]);
    tow.cwd(scene.at("L"));
    let pty = Pty::start(tow, 200, 40);
    prompts(&pty, 1);
    pty
}

/// Waits for that many prompts: what is typed before one is not the editor's.
fn prompts(pty: &Pty, count: usize) {
    pty.wait_until("a prompt", |screen| screen.contents().matches("/served> ").count() == count);
}

#[test]
fn an_interrupt_ends_the_job_and_not_the_prompt() {
    let stage = Stage::new();
    let scene = stage.scene("interrupted");
    fs::File::create(scene.at("L/long")).unwrap().set_len(3 << 30).unwrap();
    let mut pty = at_a_terminal(&scene);
    pty.press("upload long empty/\r");
    pty.wait_for("% ");
    pty.press("\x03");
    prompts(&pty, 2);
    pty.press("size a.txt\r");
    pty.wait_for("0.000002 MB (2 bytes)");
    prompts(&pty, 3);
    assert_eq!(parts(&scene.at("S/empty")), Vec::<String>::new());
    assert!(!scene.at("S/empty/long").exists());
    // An interrupt at the prompt only ends the line.
    pty.press("frob\x03");
    prompts(&pty, 4);
    pty.press("size docs/b\r");
    pty.wait_for("0.000005 MB (5 bytes)");
    prompts(&pty, 5);
    pty.press("\x04");
    assert_eq!(pty.wait_for_end().exit_code(), 1, "{}", pty.contents());
    assert!(pty.contents().contains("Connection closed."), "{}", pty.contents());
    pty.assert_given_back();
}

#[test]
fn a_question_is_asked_for_each_and_an_interrupt_keeps_what_it_is_about() {
    let stage = Stage::new();
    let scene = stage.scene("asked");
    let mut pty = at_a_terminal(&scene);
    pty.press("rm a.txt docs\r");
    pty.wait_for("a.txt, 0.000002 MB (2 bytes)? This cannot be undone. (y/n)");
    // What is neither yes nor no is asked again.
    pty.press("ye\r");
    pty.wait_for("'ye' is no answer here; type y/n");
    pty.wait_until("the question again", |screen| screen.contents().matches("(y/n)").count() == 2);
    pty.press("y\r");
    // The folder itself is counted, as it is when it is gone.
    pty.wait_for("docs/: 2 files, 2 folders, 0.000009 MB (9 bytes)?");
    pty.press("n\r");
    pty.wait_for("docs: nothing removed");
    prompts(&pty, 2);
    assert!(!scene.at("S/a.txt").exists() && scene.at("S/docs/b").exists());
    pty.press("rm docs\r");
    pty.wait_until("a second question", |screen| screen.contents().matches("(y/n)").count() == 4);
    pty.press("\x03");
    pty.wait_for("rm: interrupted");
    prompts(&pty, 3);
    pty.press("size docs/b\r");
    prompts(&pty, 4);
    pty.press("byebye\r");
    assert_eq!(pty.wait_for_end().exit_code(), 1);
    assert!(scene.at("S/docs/b").exists());
    pty.assert_given_back();
}

#[test]
fn a_target_that_cannot_be_reached_leaves_the_session_as_it_was() {
    let stage = Stage::new();
    let scene = stage.scene("still");
    let lines = "connme unix:/no/such\nsize a.txt\nconnme\nupload a.txt\ndownload docs\ndownload docs\n";
    let output = piped(&scene, &["--connect", "{S}"], lines);
    let said = told(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&scene.meant("; still connected to {S}")), "{said}");
    assert!(said.contains("(2 bytes)"), "{said}");
    assert_eq!(said.matches("Connected to unix:").count(), 2, "{said}");
    // Copies say what was there already, as put and get do.
    assert!(said.contains(" s, 1 unchanged.") && said.contains(" s, 2 unchanged."), "{said}");
    // Without a session the same target is tried again.
    let output = piped(&scene, &[], "connme unix:/no/such\nconnme\n");
    assert_eq!(told(&output).matches("unix:/no/such: no such socket").count(), 2, "{}", told(&output));
    // Another server takes the place of the first one.
    let other = Stage::new();
    let there = other.scene("other");
    there.write("served/only here", "12345", 1_767_323_045);
    let lines = format!("connme {}\nsize only\\ here\n", there.meant("{S}"));
    let output = piped(&scene, &["--connect", "{S}"], &lines);
    assert!(output.status.success() && told(&output).contains("(5 bytes)"), "{}", told(&output));
}

#[test]
fn words_and_names_are_completed_and_lines_come_back() {
    let stage = Stage::new();
    let scene = stage.scene("completed");
    scene.write("served/docs/a name with blanks", "seven b", 1_767_323_045);
    let mut pty = at_a_terminal(&scene);
    pty.press("si\tdo\ta\t\r");
    pty.wait_for("size docs/a\\ name\\ with\\ blanks");
    pty.wait_for("0.000007 MB (7 bytes)");
    prompts(&pty, 2);
    pty.press("upload ne\t\r");
    prompts(&pty, 3);
    assert!(scene.at("S/new.txt").exists());
    pty.press("\x1b[A\x1b[A\r");
    pty.wait_until("the size again", |screen| screen.contents().matches("(7 bytes)").count() == 2);
    prompts(&pty, 4);
    pty.press("\x04");
    assert_eq!(pty.wait_for_end().exit_code(), 0, "{}", pty.contents());
    pty.assert_given_back();
}

#[test]
fn a_request_to_end_gives_the_terminal_back() {
    let stage = Stage::new();
    let scene = stage.scene("ended");
    let mut pty = at_a_terminal(&scene);
    pty.press("siz");
    pty.wait_for("siz");
    pty.signal(Signal::TERM);
    assert_eq!(pty.wait_for_end().exit_code(), 130, "{}", pty.contents());
    pty.assert_given_back();
}
