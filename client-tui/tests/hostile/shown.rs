//! Names that a terminal would obey, and everything that shows them: listings, messages, questions, logs, the screen. What is written
//! holds no control character and nothing that hides or turns text round, but what the program itself means by it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use towpath_protocol::message::{Request, Session, ToServer};

use super::evil::{self, EvilServer, Script};
use super::memory::{PATIENCE, run, wait};
use super::names::nasty_names;
use super::pack::{List, Map, frame, text};
use super::pty::{self, Pty};
use super::towd::program;

/// The served folder itself has a name of that kind.
const ROOT: &str = "root\u{1b}[31m\u{9b}2J\u{202e}";

/// A server of a folder of nasty names, and a folder here.
struct World {
    dir: TempDir,
    towd: Child,
}

impl World {
    fn new(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let docs = dir.path().join(ROOT).join("docs");
        fs::create_dir_all(&docs).unwrap();
        fs::create_dir(dir.path().join("here")).unwrap();
        for name in nasty_names() {
            fs::write(docs.join(OsStr::from_bytes(&name)), &name).unwrap();
        }
        let file = |name: &str| fs::File::create(dir.path().join(name)).unwrap();
        let towd = Command::new(program())
            .arg("--unix")
            .arg(dir.path().join("socket"))
            .arg("--root")
            .arg(dir.path().join(ROOT))
            .arg("--audit")
            .arg(dir.path().join("audit"))
            .args(arguments)
            .env("TOWD_LOG", "trace")
            .env("TOW_STATE_DIR", dir.path().join("towd"))
            .stdin(Stdio::null())
            .stdout(file("said"))
            .stderr(file("log"))
            .spawn()
            .unwrap();
        let began = Instant::now();
        while fs::read(dir.path().join("said")).unwrap().is_empty() {
            assert!(began.elapsed() < PATIENCE, "towd does not begin");
            std::thread::sleep(Duration::from_millis(2));
        }
        Self { dir, towd }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// A target of these bytes below the root.
    fn target(&self, path: &[u8]) -> OsString {
        let front = format!("unix:{}?path=", self.path("socket").display());
        OsString::from_vec([front.as_bytes(), path].concat())
    }

    fn tow(&self) -> Command {
        let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
        tow.current_dir(self.path("here")).env("TOW_STATE_DIR", self.path("state")).env("LANG", "C.UTF-8");
        tow.env("TOW_LOG", "trace");
        tow
    }

    /// `tow WORDS`, whatever comes of it, and that nothing it says is obeyed.
    fn says<A: AsRef<OsStr>>(&self, words: &[A]) -> String {
        let ended = run(self.tow().args(words));
        let what = words.iter().map(|word| word.as_ref().to_string_lossy().into_owned()).collect::<Vec<_>>();
        assert_safe(&ended.out, &format!("the output of {what:?}"));
        assert_safe(&ended.err, &format!("the errors of {what:?}"));
        assert!(ended.status.code().is_some(), "{what:?}: {:?}", ended.status);
        String::from_utf8_lossy(&ended.out).into_owned() + &ended.said()
    }

    /// Ends the server, and looks at everything that it and the client wrote of themselves.
    fn finish(mut self, least_lines: usize) {
        kill_process(Pid::from_child(&self.towd), Signal::TERM).unwrap();
        self.towd.wait().unwrap();
        for file in ["said", "log", "audit", "state/tow.log"] {
            let Ok(content) = fs::read(self.path(file)) else { continue };
            assert_safe(&content, file);
        }
        for file in ["log", "audit"] {
            let log = fs::read_to_string(self.path(file)).unwrap();
            assert!(log.lines().count() >= least_lines, "too little is in {file} to show anything: {log}");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.towd.kill();
        let _ = self.towd.wait();
    }
}

/// Characters that hide, turn round or join what stands beside them.
fn deceives(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e000}'..='\u{f8ff}' | '\u{ad}')
}

fn assert_safe(said: &[u8], what: &str) {
    let text = std::str::from_utf8(said);
    let text = text.unwrap_or_else(|_| panic!("{what}: raw bytes: {}", String::from_utf8_lossy(said)));
    let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || deceives(*c));
    assert!(bad.is_none(), "{what} has a raw {bad:?}: {text:?}");
}

#[test]
fn f17_f20_no_name_reaches_a_terminal_or_a_log_raw() {
    for arguments in [&[][..], &["--json"]] {
        let world = World::new(arguments);
        let docs = world.target(b"docs");
        for words in
            [&["ls"][..], &["ls", "-l"], &["ls", "-h"], &["ls", "--json"], &["size"], &["size", "--json"]]
        {
            let words: Vec<&OsStr> = words.iter().map(OsStr::new).chain([docs.as_os_str()]).collect();
            world.says(&words);
        }
        for overwrite in ["never", "always", "different"] {
            for json in [false, true] {
                let mut words = vec!["get".into(), docs.clone(), "copy".into(), "-T".into()];
                words.extend(["--overwrite".into(), OsString::from(overwrite)]);
                words.extend(json.then(|| "--json".into()));
                world.says(&words);
            }
            // The next time everything differs.
            for name in nasty_names() {
                fs::write(world.path("here/copy").join(OsStr::from_bytes(&name)), "another").unwrap();
            }
        }
        world.says(&["put".into(), "copy".into(), world.target(b"up"), "-T".into()]);
        world.says(&["put".into(), "copy".into(), world.target(b"up"), "-T".into(), "--json".into()]);
        for name in nasty_names() {
            let at = |folder: &[u8]| world.target(&[folder, b"/", &name].concat());
            // There is no such folder; there is such a file already; it is removed; it is not there any more.
            world.says(&["ls".into(), at(b"docs/none")]);
            world.says(&["mkdir".into(), at(b"up")]);
            world.says(&["rm".into(), at(b"up"), "--yes".into()]);
            world.says(&["rm".into(), at(b"up"), "--yes".into(), "--json".into()]);
            let local = OsString::from_vec([b"./none/", &name[..]].concat());
            world.says(&["put".into(), local, docs.clone()]);
        }
        world.finish(50);
    }
}

#[test]
fn f19_f21_nothing_that_is_typed_comes_back_raw() {
    let world = World::new(&[]);
    let typed = [
        "\u{1b}[31mred",
        "--\u{1b}]52;c;b3Nj\u{7}",
        "x\u{9b}31m",
        "tow://\u{202e}host/",
        "nope\u{1b}://x",
        "-\u{1b}",
    ];
    for word in typed {
        for before in [
            &[][..],
            &["ls"],
            &["get", "a"],
            &["--connect"],
            &["rm", "--yes"],
            &["mkdir"],
            &["shell", "--connect"],
        ] {
            let words: Vec<&str> = before.iter().copied().chain([word]).collect();
            world.says(&words);
        }
        let ended =
            run(Command::new(program()).args(["--root", word]).env("TOW_STATE_DIR", world.path("towd")));
        assert_safe(&ended.err, word);
        let ended = run(Command::new(program()).arg(word).env("TOW_STATE_DIR", world.path("towd")));
        assert_safe(&ended.err, word);
    }
    for content in [
        "\"li\u{1b}[31msten\" = 3\n",
        "\"li\\u001b[31m\\u009b\" = 3\n",
        "root = \"\u{9b}31m\"\n",
        "[bookmarks]\n\"\\u001b]52;c;x\" = \"\\u001b[2J\"\n",
        "sort = \"\\u009b31m\"\n",
    ] {
        let config = world.path("config/towpath");
        fs::create_dir_all(&config).unwrap();
        fs::write(config.join("config.toml"), content).unwrap();
        let ended =
            run(Command::new(program()).arg("--config").arg(config.join("config.toml")).arg("clients"));
        assert_safe(&ended.err, content);
        let ended =
            run(Command::new(program()).arg("--config").arg(config.join("config.toml")).arg("--stdio"));
        assert_safe(&ended.err, content);
        let ended = run(world.tow().env("XDG_CONFIG_HOME", world.path("config")).args(["ls", "."]));
        assert_safe(&ended.err, content);
        assert_safe(&ended.out, content);
    }
    let mut lines = Vec::new();
    for name in nasty_names().into_iter().filter(|name| !name.contains(&b'\n') && !name.contains(&b'\'')) {
        for word in ["size", "download", "rm", "upload", "ls", "frobnicate", "connme"] {
            lines.extend_from_slice(&[word.as_bytes(), b" 'docs/", &name, b"'\n"].concat());
        }
    }
    let mut shell = world.tow();
    shell.arg("shell").arg("--yes").arg("--connect").arg(world.target(b""));
    let mut child =
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let _ = input.write_all(&lines);
    });
    let ended = wait(child);
    writer.join().unwrap();
    assert_safe(&ended.out, "the output of a shell");
    assert_safe(&ended.err, "the errors of a shell");
    world.finish(1);
}

/// What the names would make a terminal do, as they have it.
const OBEYED: [&[u8]; 8] = [
    b"\x1b[31mred",
    b"\x1b]52",
    "\u{9b}".as_bytes(),
    "\u{202e}".as_bytes(),
    "\u{2066}".as_bytes(),
    "\u{200b}".as_bytes(),
    "\u{feff}".as_bytes(),
    b"\x7f",
];

fn assert_obeys_nothing(pty: &Pty) {
    let written = pty.written();
    for bad in OBEYED {
        let is_there = written.windows(bad.len()).any(|window| window == bad);
        assert!(!is_there, "{bad:?} was written to the terminal; the screen is\n{}", pty.contents());
    }
}

#[test]
fn f17_f18_the_screen_shows_every_name_and_obeys_none() {
    let world = World::new(&[]);
    let docs = world.path(ROOT).join("docs");
    let mut command = pty::command(env!("CARGO_BIN_EXE_tow"), &world.path("state"));
    command.arg("--connect");
    command.arg(world.target(b"docs"));
    command.cwd(&docs);
    let names = fs::read_dir(&docs).unwrap().count() as u16;
    // High enough for all of them at once.
    let mut pty = Pty::start(command, 200, names + 20);
    pty.wait_until("both panes", |screen| screen.contents().matches(r"\x1b[31mred").count() >= 2);
    for name in [
        r"new\x0aline",
        r"tab\x09here",
        r"\x1b]52;c;b3Nj\x07",
        r"txt\u{202e}gpj.exe",
        r"zero\u{200b}width",
        r"latin\xe9",
        r"\x7f",
    ] {
        pty.wait_for(name);
    }
    assert_obeys_nothing(&pty);
    // Marked all, and asked what becomes of them.
    pty.press("\x01");
    pty.wait_until("marks", |screen| screen.contents().matches('▌').count() > 50);
    for (key, window) in [("\x1b[19~", "╭ Delete "), ("\x1b[15~", "╭ Copy ")] {
        pty.press(key);
        pty.wait_for(window);
        pty.press("\x1b");
        pty.wait_until("the window gone", |screen| !screen.contents().contains(window));
    }
    assert_obeys_nothing(&pty);
    pty.signal(Signal::TERM);
    pty.wait_for_end();
    assert_obeys_nothing(&pty);
    world.finish(1);
}

#[test]
fn f17_questions_show_names_and_obey_none() {
    let world = World::new(&[]);
    fs::create_dir(world.path("here/copy")).unwrap();
    for name in nasty_names() {
        fs::write(world.path("here/copy").join(OsStr::from_bytes(&name)), "another").unwrap();
    }
    let mut command = pty::command(env!("CARGO_BIN_EXE_tow"), &world.path("state"));
    command.arg("get");
    command.arg(world.target(b"docs"));
    command.args(["copy", "-T"]);
    command.cwd(world.path("here"));
    let mut pty = Pty::start(command, 200, 50);
    // One question about all of a kind, with the first of them as an example, then one about each.
    pty.wait_for_bytes("for all kinds:");
    assert_obeys_nothing(&pty);
    pty.forget_bytes();
    pty.press("e\r");
    for _ in 0..nasty_names().len() {
        pty.wait_for_bytes("for all:");
        assert_obeys_nothing(&pty);
        pty.forget_bytes();
        pty.press("s\r");
    }
    kill_process(pty.process(), Signal::TERM).ok();
    pty.wait_for_end();
    assert_obeys_nothing(&pty);
    world.finish(1);
}

/// All that a server can say of itself, to all that shows it: `tow shell`, which greets with it, a listing, a copy, the log.
#[test]
fn f73_what_a_server_says_of_itself_is_printed_escaped_wherever_it_is_printed() {
    const SAID: &str = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{202e}\r\u{200b}";
    let long = SAID.repeat(18);
    for is_fault in [false, true] {
        let said = long.clone();
        let script: Script = Arc::new(move |id, message| match message {
            ToServer::Session(Session::Hello(_)) if is_fault => Some(evil::fault(id, 201, &said)),
            ToServer::Session(Session::Hello(_)) => {
                let mut fields = evil::welcome();
                fields.retain(|(name, _)| !["agent", "root_name", "capabilities"].contains(name));
                let capability = || text(&SAID[..19]);
                fields.extend([
                    ("agent", text(&said)),
                    ("root_name", text(&said)),
                    ("capabilities", List(vec![text("streams"), capability(), capability()])),
                ]);
                Some(frame(evil::WELCOME, id, &Map(fields)))
            }
            ToServer::Request(Request::Measure(_)) => Some(evil::fault(id, 18, &said)),
            _ => None,
        });
        let server = EvilServer::start(script);
        let dir = tempfile::tempdir().unwrap();
        let tow = |words: &[&str]| {
            let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
            tow.args(words).current_dir(dir.path()).env("TOW_STATE_DIR", dir.path().join("state"));
            tow.env("TOW_LOG", "trace").env("LANG", "C.UTF-8").stdout(Stdio::piped()).stderr(Stdio::piped());
            tow
        };
        let target = server.target("docs");
        let mut shell = tow(&["shell", "--connect", &target]).stdin(Stdio::piped()).spawn().unwrap();
        let typed = b"connme\nls\nsize small\nconnme\nbyebye\n";
        let _ = shell.stdin.take().unwrap().write_all(typed);
        let ended = wait(shell);
        let out = String::from_utf8_lossy(&ended.out).into_owned();
        assert!(is_fault || out.contains(r"\x1b]0;title\x07\x1b[2J\x9b31m\u{202e}\x0d\u{200b}"), "{out}");
        for (said, what) in [(&ended.out, "the output of the shell"), (&ended.err, "its errors")] {
            assert_safe(said, what);
        }
        for words in
            [&["ls", &target][..], &["ls", "--json", &target], &["size", &target], &["get", &target, "copy"]]
        {
            let ended = run(&mut tow(words));
            assert_safe(&ended.out, &format!("the output of {words:?}"));
            assert_safe(&ended.err, &format!("the errors of {words:?}"));
        }
        if let Ok(log) = fs::read(dir.path().join("state/tow.log")) {
            assert_safe(&log, "the log");
        }
    }
}
