//! `ssh://` with the system's ssh and a real OpenSSH server: shells that talk, csh, jump hosts, what goes wrong in words, and putting
//! tow where nothing of ours is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/pty.rs"]
mod pty;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/sshd.rs"]
mod sshd;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "support/towd.rs"]
mod towd;
#[path = "support/trials.rs"]
mod trials;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};

use portable_pty::CommandBuilder;
use pty::Pty;
use sshd::Sshd;

const BARE: &str = "/usr/bin:/bin";

fn main() -> ExitCode {
    let tests = trials![
        a_copy_that_does_not_run_is_not_there,
        a_copy_that_begins_no_session_is_replaced,
        a_towd_that_hangs_is_not_there,
        all_stages_of_a_silent_session_share_one_limit,
        a_login_shell_that_never_runs_the_command_is_told_apart,
        what_a_login_is_configured_for_does_not_keep_a_session_from_beginning,
        a_host_that_accepts_and_says_nothing_is_given_up,
        the_time_that_the_configuration_gives_a_connection_is_its_own_and_otherwise_ours,
        names_that_ssh_takes_are_taken,
        an_absolute_path_that_is_not_there_is_told_the_one_in_the_home_folder,
        files_go_and_come_over_ssh_whatever_the_login_shell,
        what_a_login_shell_prints_is_skipped_and_reported_once_and_safely,
        a_port_in_the_target_and_a_jump_host_of_the_configuration_are_taken,
        what_keeps_ssh_from_connecting_is_told_in_words,
        a_script_puts_nothing_anywhere_unless_it_says_so,
        what_arrives_otherwise_than_it_was_sent_is_not_kept,
        a_folder_in_the_place_of_the_copy_is_named_and_stays_as_it_was,
        a_person_is_asked_before_anything_is_put_there,
        the_terminals_interrupt_does_not_reach_ssh,
        ssh_asks_on_the_terminal_and_an_interrupt_there_leaves_it_as_it_was,
        a_password_is_asked_for_on_the_terminal_or_by_the_persons_own_program,
    ];
    trials::run(sshd::missing(), tests)
}

/// A server where towd is in the PATH.
fn with_towd() -> Sshd {
    let folder = towd::program().parent().unwrap().to_owned();
    Sshd::start(&format!("{}:{BARE}", folder.display()))
}

fn tow(sshd: &Sshd, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tow"));
    command.args(arguments).stdin(Stdio::null());
    command.env("TOW_SSH", sshd.ssh()).env("TOW_STATE_DIR", sshd.dir.path().join("state"));
    command.env_remove("SSH_ASKPASS");
    command
}

fn run(sshd: &Sshd, arguments: &[&str]) -> Output {
    tow(sshd, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn assert_done(output: &Output) {
    assert!(output.status.success(), "{}: {}", output.status, text(&output.stderr));
}

fn assert_refused(output: &Output, words: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.starts_with("tow: ssh://") && said.contains(words), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// `tow ARGUMENTS` in a terminal.
fn at_a_terminal(sshd: &Sshd, arguments: &[&str]) -> Pty {
    let state = sshd.dir.path().join("person");
    fs::create_dir_all(&state).unwrap();
    let mut command: CommandBuilder = pty::command(env!("CARGO_BIN_EXE_tow"), &state);
    command.args(arguments);
    command.cwd(&state);
    command.env("TOW_SSH", sshd.ssh());
    Pty::start(command, 120, 30)
}

fn installed(sshd: &Sshd, user: &str) -> PathBuf {
    sshd.installed(user)
}

/// Nothing half is left beside what was put there.
fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn files_go_and_come_over_ssh_whatever_the_login_shell() {
    let sshd = with_towd();
    let here = sshd.dir.path().join("here.txt");
    fs::write(&here, "over ssh").unwrap();
    let here = here.to_str().unwrap();
    for user in ["plain", "noisy", "csh"] {
        let target = format!("ssh://{user}@box/~/");
        assert_done(&run(&sshd, &["put", here, &target]));
        assert_eq!(fs::read_to_string(sshd.home(user).join("here.txt")).unwrap(), "over ssh", "{user}");
        let back = sshd.dir.path().join(format!("back-{user}"));
        let from = format!("ssh://{user}@box{}/here.txt", sshd.home(user).display());
        assert_done(&run(&sshd, &["get", &from, back.to_str().unwrap()]));
        assert_eq!(fs::read_to_string(back).unwrap(), "over ssh", "{user}");
    }
}

fn an_absolute_path_that_is_not_there_is_told_the_one_in_the_home_folder() {
    let sshd = with_towd();
    let meant = "for the home folder write ssh://plain@box/~/there/is/none\n";
    for arguments in [
        &["ls", "ssh://plain@box/there/is/none"][..],
        &["get", "ssh://plain@box/there/is/none", "."],
        &["rm", "-y", "ssh://plain@box/there/is/none"],
    ] {
        let output = run(&sshd, arguments);
        assert_eq!(output.status.code(), Some(4), "{arguments:?}");
        assert!(text(&output.stderr).ends_with(meant), "{}", text(&output.stderr));
    }
    let output = run(&sshd, &["ls", "ssh://plain@box/~/none"]);
    assert!(text(&output.stderr).ends_with("no such file or folder\n"), "{}", text(&output.stderr));
}

fn what_a_login_shell_prints_is_skipped_and_reported_once_and_safely() {
    let sshd = with_towd();
    let output = run(&sshd, &["ls", "ssh://noisy@box/"]);
    assert_done(&output);
    let said = text(&output.stderr);
    assert!(said.contains("skipped what the login shell there prints: 'Welcome to the box"), "{said}");
    assert!(said.contains("\\x1b[2J") && !said.contains('\x1b'), "{said}");
    assert!(!text(&output.stdout).contains("Welcome"));
    assert_eq!(text(&run(&sshd, &["ls", "ssh://plain@box/"]).stderr), "");
}

fn a_port_in_the_target_and_a_jump_host_of_the_configuration_are_taken() {
    let sshd = with_towd();
    assert_done(&run(&sshd, &["ls", &format!("ssh://plain@127.0.0.1:{}/", sshd.port)]));
    assert_done(&run(&sshd, &["ls", "ssh://csh@inner/"]));
}

fn what_keeps_ssh_from_connecting_is_told_in_words() {
    let sshd = with_towd();
    let ls = |target: &str| run(&sshd, &["ls", target]);
    assert_refused(
        &ls("ssh://nobody-here@box/"),
        "not let in: no key or password that the server takes; ssh says: ",
    );
    // Bound and given back: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_refused(&ls(&format!("ssh://plain@box:{port}/")), "no ssh server listens there; ssh says: ");
    let unknown = tow(&sshd, &["ls", "ssh://no-such-host.invalid/"]).env("TOW_SSH", "ssh").output().unwrap();
    assert_refused(&unknown, "host not found; ssh says: ");
    sshd.set_known_hosts("");
    assert_refused(&ls("ssh://plain@box/"), "ssh does not know this host's key: ");
    let other = fs::read_to_string(sshd.dir.path().join("other.pub")).unwrap();
    sshd.set_known_hosts(&format!("[127.0.0.1]:{} {other}", sshd.port));
    assert_refused(&ls("ssh://plain@box/"), "THE HOST'S KEY HAS CHANGED. ");
    let none = tow(&sshd, &["ls", "ssh://plain@box/"]).env("TOW_SSH", "/no/such/ssh").output().unwrap();
    assert_refused(&none, "no ssh on this machine, or TOW_SSH names no program");
}

fn a_script_puts_nothing_anywhere_unless_it_says_so() {
    let sshd = Sshd::start(BARE);
    assert_refused(
        &run(&sshd, &["ls", "ssh://noisy@box/"]),
        "neither towd nor this version of tow is there (",
    );
    assert!(!sshd.home("noisy").join(".local").exists());
    let older = sshd.home("noisy").join(".local/share/towpath/bin/tow-0.0.1");
    fs::create_dir_all(older.parent().unwrap()).unwrap();
    fs::write(&older, "old").unwrap();
    assert_done(&run(&sshd, &["ls", "--install", "ssh://noisy@box/"]));
    let ours = fs::read(env!("CARGO_BIN_EXE_tow")).unwrap();
    assert!(fs::read(installed(&sshd, "noisy")).unwrap() == ours, "another program arrived");
    assert_eq!(
        names_in(older.parent().unwrap()),
        ["tow-0.0.1", installed(&sshd, "noisy").file_name().unwrap().to_str().unwrap()]
    );
    // From now on it is just there.
    assert_done(&run(&sshd, &["ls", "ssh://noisy@box/"]));
}

fn what_arrives_otherwise_than_it_was_sent_is_not_kept() {
    let sshd = Sshd::start(BARE);
    // A line that turns one byte: the eighth of what it carries first, which is the hash.
    let ssh = sshd.ssh();
    let broken = sshd.dir.path().join("broken");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *'read -r h'*) sed '1s/^......./0000000/' | {ssh} \"$@\";; *) exec {ssh} \"$@\";; esac\n",
        ssh = ssh.display()
    );
    fs::write(&broken, script).unwrap();
    fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = tow(&sshd, &["ls", "--install", "ssh://csh@box/"]).env("TOW_SSH", &broken).output().unwrap();
    assert_refused(&output, "its SHA-256 differs; it was removed");
    assert_eq!(names_in(installed(&sshd, "csh").parent().unwrap()), [""; 0]);
}

fn a_folder_in_the_place_of_the_copy_is_named_and_stays_as_it_was() {
    let sshd = Sshd::start(BARE);
    let place = installed(&sshd, "plain");
    fs::create_dir_all(&place).unwrap();
    for _ in 0..2 {
        let refused = run(&sshd, &["ls", "--install", "ssh://plain@box/"]);
        let name = place.file_name().unwrap().to_str().unwrap();
        assert_refused(&refused, &format!("{name} is a folder"));
        assert_eq!(names_in(&place), [""; 0]);
        assert_eq!(names_in(place.parent().unwrap()), [name]);
    }
}

fn a_person_is_asked_before_anything_is_put_there() {
    let sshd = Sshd::start(BARE);
    let mut refusing = at_a_terminal(&sshd, &["ls", "ssh://csh@box/"]);
    refusing.wait_for("Copy this tow to ~/.local/share/towpath/bin/tow-");
    refusing.press("\r");
    assert_eq!(refusing.wait_for_end().exit_code(), 3);
    assert!(!sshd.home("csh").join(".local").exists());
    let mut agreeing = at_a_terminal(&sshd, &["--connect", "ssh://csh@box/"]);
    agreeing.wait_for("[y/N]");
    agreeing.press("y\r");
    agreeing.wait_for("connected to ssh://csh@box");
    assert!(installed(&sshd, "csh").exists());
    agreeing.press("q");
    assert_eq!(agreeing.wait_for_end().exit_code(), 0);
    agreeing.assert_given_back();
}

fn the_terminals_interrupt_does_not_reach_ssh() {
    let sshd = with_towd();
    fs::write(sshd.home("plain").join("there.txt"), "there!").unwrap();
    let mut shell = at_a_terminal(&sshd, &["shell", "--connect", "ssh://plain@box/"]);
    fs::File::create(sshd.dir.path().join("person/long")).unwrap().set_len(3 << 30).unwrap();
    let prompts = |count: usize| {
        move |screen: &vt100::Screen| screen.contents().matches("ssh://plain@box/> ").count() == count
    };
    shell.wait_until("a prompt", prompts(1));
    shell.press("upload long\r");
    shell.wait_for("% ");
    // The terminal is as ssh found it: it sends the signal to all that it has in the foreground.
    shell.press("\x03");
    shell.wait_until("the prompt again", prompts(2));
    shell.press("size there.txt\r");
    shell.wait_for("(6 bytes)");
    shell.wait_until("the prompt again", prompts(3));
    shell.press("byebye\r");
    shell.wait_for_end();
    assert_eq!(sshd.connections(), 1);
    assert!(!sshd.home("plain").join("long").exists());
}

fn ssh_asks_on_the_terminal_and_an_interrupt_there_leaves_it_as_it_was() {
    let sshd = with_towd();
    let key = sshd.dir.path().join("key");
    let locked =
        Command::new("ssh-keygen").args(["-q", "-p", "-P", "", "-N", "open sesame", "-f"]).arg(&key).status();
    assert!(locked.unwrap().success());
    let target = "ssh://plain@box/";
    let mut answered = at_a_terminal(&sshd, &["ls", target]);
    answered.wait_for("Enter passphrase for key");
    answered.press("open sesame\r");
    answered.wait_for("in 0 entries");
    assert_eq!(answered.wait_for_end().exit_code(), 0);
    let mut given_up = at_a_terminal(&sshd, &["ls", target]);
    given_up.wait_for("Enter passphrase for key");
    given_up.press("\x03");
    let code = given_up.wait_for_end().exit_code();
    assert_eq!(code, 130, "{}", given_up.contents());
    given_up.assert_given_back();
    // Nobody to ask, and so no answer.
    assert_refused(&run(&sshd, &["ls", target]), "not let in: ");
}

fn a_password_is_asked_for_on_the_terminal_or_by_the_persons_own_program() {
    let sshd = with_towd();
    let target = "ssh://plain@by-password/";
    let mut at_terminal = at_a_terminal(&sshd, &["ls", target]);
    for (word, count) in [("wrong", 1), (sshd::PASSWORD, 2)] {
        at_terminal
            .wait_until("the question", |screen| screen.contents().matches("password: ").count() == count);
        at_terminal.press(&format!("{word}\r"));
    }
    at_terminal.wait_for("in 0 entries");
    assert_eq!(at_terminal.wait_for_end().exit_code(), 0);
    at_terminal.assert_given_back();
    let asks = sshd.dir.path().join("asks");
    fs::write(&asks, format!("#!/bin/sh\necho '{}'\n", sshd::PASSWORD)).unwrap();
    fs::set_permissions(&asks, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut asked = tow(&sshd, &["ls", target]);
    assert_done(&asked.env("SSH_ASKPASS", &asks).env("SSH_ASKPASS_REQUIRE", "force").output().unwrap());
}

/// Files that an earlier version, a crash or another machine of the same home may have left.
fn broken_programs() -> Vec<(&'static str, Vec<u8>)> {
    let tow = fs::read(env!("CARGO_BIN_EXE_tow")).unwrap();
    let mut foreign = tow[..4096].to_vec();
    foreign[18..20].copy_from_slice(&[0xb7, 0]);
    vec![
        ("of another processor", foreign),
        ("cut off", tow[..100_000].to_vec()),
        ("empty", Vec::new()),
        ("in want of a library", b"#!/bin/sh\necho 'libc.so.6: not found' >&2\nexit 1\n".to_vec()),
        ("killed at its start", b"#!/bin/sh\nkill -KILL $$\n".to_vec()),
        ("hanging", b"#!/bin/sh\nsleep 1000\n".to_vec()),
        ("hanging and deaf", b"#!/bin/sh\ntrap '' HUP INT TERM\nsleep 1000\n".to_vec()),
    ]
}

fn put_program(place: &Path, program: &[u8]) {
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    let _ = fs::remove_file(place);
    fs::write(place, program).unwrap();
    fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
}

fn a_copy_that_does_not_run_is_not_there() {
    let (bare, with_towd) = (Sshd::start(BARE), with_towd());
    for (what, program) in broken_programs() {
        for sshd in [&bare, &with_towd] {
            put_program(&installed(sshd, "plain"), &program);
        }
        // Where towd is, it is taken.
        let listed = run(&with_towd, &["ls", "ssh://plain@box/"]);
        assert!(listed.status.success(), "{what}: {}", text(&listed.stderr));
        let refused = run(&bare, &["ls", "ssh://plain@box/"]);
        assert_refused(&refused, "the tow there does not run, and otherwise neither towd nor this version");
        let listed = run(&bare, &["ls", "--install", "ssh://plain@box/"]);
        assert!(listed.status.success(), "{what}: {}", text(&listed.stderr));
    }
}

fn a_copy_that_begins_no_session_is_replaced() {
    let sshd = Sshd::start(BARE);
    let place = installed(&sshd, "plain");
    let name = place.file_name().unwrap().to_str().unwrap();
    for (what, words) in [
        // It ends with its input.
        ("exec cat >/dev/null", "the tow there begins no session: it hangs ("),
        ("echo hello; exec cat >/dev/null", "the tow there begins no session: it hangs ("),
        ("yes | head -c 300000", "the tow there begins no session: it is something else ("),
        ("exit 0", "the tow there begins no session: it ends at once ("),
        (
            "echo no memory >&2; exit 9",
            "the tow there begins no session: it ends at once; it said: no memory (",
        ),
        ("printf TOWPATH; exit 126", "the tow there begins no session: it is something else ("),
    ] {
        let script = format!("#!/bin/sh\ncase $1 in --version) echo tow 0; exit;; esac\n{what}\n");
        put_program(&place, script.as_bytes());
        let refused = run(&sshd, &["ls", "ssh://plain@box/"]);
        assert_refused(&refused, words);
        assert_refused(&refused, "; --install copies this program to ~/.local/share/towpath/bin/tow-");
        assert_done(&run(&sshd, &["ls", "--install", "ssh://plain@box/"]));
        assert!(fs::read(&place).unwrap() == fs::read(env!("CARGO_BIN_EXE_tow")).unwrap(), "{what}");
        assert_eq!(names_in(place.parent().unwrap()), [name], "{what}");
    }
    // A person sees why.
    put_program(&place, b"#!/bin/sh\ncase $1 in --version) echo tow 0; exit;; esac\nexit 1\n");
    let mut agreeing = at_a_terminal(&sshd, &["ls", "ssh://plain@box/"]);
    agreeing.wait_for("begins no session: it ends at once. Replace ");
    agreeing.wait_for("[y/N]");
    agreeing.press("y\r");
    agreeing.wait_for("total ");
    assert_eq!(agreeing.wait_for_end().exit_code(), 0);
}

fn a_towd_that_hangs_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    put_program(&folder.path().join("towd"), b"#!/bin/sh\nsleep 1000\n");
    let sshd = Sshd::start(&format!("{}:{BARE}", folder.path().display()));
    let refused = run(&sshd, &["ls", "ssh://plain@box/"]);
    assert_refused(&refused, "the towd there does not run, and this version of tow is not there (");
    assert_done(&run(&sshd, &["ls", "--install", "ssh://plain@box/"]));
}

fn all_stages_of_a_silent_session_share_one_limit() {
    let sshd = with_towd();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    // It ends later than one limit, and earlier than two.
    sshd.configure(&format!("Host last\n ConnectTimeout 18\n Port {port}\n"));
    let (ended, order) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for (target, words) in [
            ("ssh://plain@last/", "no ssh server answers there; ssh says: "),
            (
                "ssh://sleeps@box/",
                "the login shell there is silent: its startup file may start another shell",
            ),
            (
                "ssh://mute@box/",
                "towd there is silent: it hangs, or a startup file sends its output elsewhere",
            ),
        ] {
            let (sshd, ended) = (&sshd, ended.clone());
            scope.spawn(move || {
                let refused = run(sshd, &["ls", target]);
                ended.send(target).unwrap();
                assert_refused(&refused, words);
            });
        }
    });
    drop(ended);
    assert_eq!(order.iter().last(), Some("ssh://plain@last/"));
}

fn a_login_shell_that_never_runs_the_command_is_told_apart() {
    let sshd = with_towd();
    std::thread::scope(|scope| {
        for (user, words) in [
            // Only a further channel can tell these two apart.
            ("execs", "the login shell there is silent: it does not run the command; "),
            ("reads", "the login shell there is silent: its startup file reads the input"),
            ("echoes", "the server there does not run commands: it repeats what it was to run"),
            ("pathless", "(exit 127)"),
            ("dies", "logged in, and the program there was killed, or the connection broke (exit 255)"),
        ] {
            let sshd = &sshd;
            scope.spawn(move || {
                assert_refused(&run(sshd, &["ls", &format!("ssh://{user}@box/")]), words);
            });
        }
    });
}

fn what_a_login_is_configured_for_does_not_keep_a_session_from_beginning() {
    let sshd = with_towd();
    let ran = sshd.dir.path().join("ran");
    sshd.configure(&format!(
        "Host none\n SessionType none\nHost null\n StdinNull yes\nHost forks\n ForkAfterAuthentication yes\n\
         Host tty\n RequestTTY force\nHost command\n RemoteCommand false\nHost talks\n LogLevel DEBUG3\n\
         Host quiet\n LogLevel QUIET\nMatch originalhost slow exec \"echo x >>{}; sleep 4\"\n Compression yes\n",
        ran.display()
    ));
    for host in ["none", "null", "forks", "tty", "command", "talks", "quiet", "slow"] {
        let listed = run(&sshd, &["ls", &format!("ssh://plain@{host}/")]);
        assert!(listed.status.success(), "{host}: {}", text(&listed.stderr));
        assert!(text(&listed.stdout).contains("total "), "{host}");
        assert!(!text(&listed.stderr).contains("Authenticated"), "{host}");
    }
    // One connection asks a condition once, also where it has further streams and its configuration is asked for before.
    assert_eq!(fs::read_to_string(ran).unwrap(), "x\n");
}

fn the_time_that_the_configuration_gives_a_connection_is_its_own_and_otherwise_ours() {
    let sshd = with_towd();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let said = sshd.dir.path().join("said");
    let ssh = sshd.dir.path().join("telling");
    fs::write(
        &ssh,
        format!("#!/bin/sh\necho \"$*\" >>{}\nexec {} \"$@\"\n", said.display(), sshd.ssh().display()),
    )
    .unwrap();
    fs::set_permissions(&ssh, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    sshd.configure(&format!(
        "Host hasty\n ConnectTimeout 1\nHost patient\n ConnectTimeout 60\nHost hasty-silent\n ConnectTimeout 1\n Port {port}\n\
         Host unset-silent\n Port {port}\n"
    ));
    let ours = "ConnectTimeout=10";
    for (host, is_ours, is_silent) in [
        ("hasty", false, false),
        ("patient", false, false),
        ("box", true, false),
        ("hasty-silent", false, true),
        ("unset-silent", true, true),
    ] {
        fs::write(&said, "").unwrap();
        let output =
            tow(&sshd, &["ls", &format!("ssh://plain@{host}/")]).env("TOW_SSH", &ssh).output().unwrap();
        if is_silent {
            assert_refused(&output, "no ssh server answers there; ssh says: ");
        } else {
            assert_done(&output);
        }
        let said = fs::read_to_string(&said).unwrap();
        let connecting = said.lines().find(|line| !line.contains(" -G ")).unwrap();
        assert_eq!(connecting.contains(ours), is_ours, "{host}: {said}");
    }
}

fn a_host_that_accepts_and_says_nothing_is_given_up() {
    let sshd = with_towd();
    // The queue takes the connection; no server speaks.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    assert_refused(
        &run(&sshd, &["ls", &format!("ssh://plain@127.0.0.1:{port}/")]),
        "no ssh server answers there; ssh says: ",
    );
}

fn names_that_ssh_takes_are_taken() {
    let sshd = with_towd();
    for target in ["ssh://jörg@büro/", "ssh://a+b@x~y/", r"ssh://CORP\ann@box/"] {
        assert_done(&run(&sshd, &["ls", target]));
    }
}
