//! A program under a pseudo-terminal, seen as a person sees it: through a terminal emulator.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

/// Nothing that a test waits for takes this long, however busy the machine is.
const PATIENCE: Duration = Duration::from_mins(1);

/// A terminal with one program in it. Dropped, it ends the program.
pub struct Pty {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
}

struct Seen {
    emulator: vt100::Parser,
    /// All bytes that the program wrote.
    bytes: Vec<u8>,
    closed: bool,
}

/// The program's command line, in a clean environment with a state folder of its own.
pub fn command(program: impl AsRef<Path>, state: &Path) -> CommandBuilder {
    let mut command = CommandBuilder::new(program.as_ref());
    command.env_clear();
    for name in ["PATH", "LLVM_PROFILE_FILE", "RUST_BACKTRACE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8");
    command.env("HOME", state);
    command.env("TOW_STATE_DIR", state.join("state"));
    command
}

impl Pty {
    /// Starts `command` in a terminal of `columns` x `rows`.
    pub fn start(command: CommandBuilder, columns: u16, rows: u16) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let (rows, columns) = (NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap());
        let shared = Arc::new(Shared {
            seen: Mutex::new(Seen {
                emulator: vt100::Parser::new(rows, columns, 0),
                bytes: Vec::new(),
                closed: false,
            }),
            changed: Condvar::new(),
        });
        let output = pair.master.try_clone_reader().unwrap();
        let reader = std::thread::spawn({
            let shared = shared.clone();
            move || watch(output, &shared)
        });
        let keys = pair.master.take_writer().unwrap();
        Self { master: pair.master, keys, child, shared, reader: Some(reader) }
    }

    /// Types `text`, control characters and escapes included.
    pub fn press(&mut self, text: &str) {
        self.press_bytes(text.as_bytes());
    }

    /// Like `press`, with bytes that are not text.
    pub fn press_bytes(&mut self, bytes: &[u8]) {
        self.keys.write_all(bytes).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        let mut seen = self.seen();
        let size = (NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap());
        seen.emulator.set_size(size.0, size.1);
        drop(seen);
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.master.resize(size).unwrap();
    }

    /// Has the terminal say a size that it does not have.
    pub fn claim_size(&self, columns: u16, rows: u16) {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.master.resize(size).unwrap();
    }

    /// Waits until the screen is as `predicate` wants it; `what` names that for whoever reads a failure.
    pub fn wait_until(&self, what: &str, predicate: impl Fn(&vt100::Screen) -> bool) {
        self.wait(what, |seen| predicate(seen.emulator.screen()));
    }

    /// Waits until the screen shows `text`.
    pub fn wait_for(&self, text: &str) {
        self.wait_until(&format!("{text:?} on the screen"), |screen| screen.contents().contains(text));
    }

    /// Waits until the program wrote `text` among all that it has written.
    pub fn wait_for_bytes(&self, text: &str) {
        self.wait(&format!("{text:?} among what was written"), |seen| {
            String::from_utf8_lossy(&seen.bytes).contains(text)
        });
    }

    /// What the program writes from now on; what it wrote before is forgotten.
    pub fn forget_bytes(&self) {
        self.seen().bytes.clear();
    }

    /// All that the program wrote, as it wrote it.
    pub fn written(&self) -> Vec<u8> {
        self.seen().bytes.clone()
    }

    pub fn bytes_written(&self) -> usize {
        self.seen().bytes.len()
    }

    fn wait(&self, what: &str, predicate: impl Fn(&Seen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.seen();
        while !predicate(&seen) {
            let left = deadline.saturating_duration_since(Instant::now());
            let contents = seen.emulator.screen().contents();
            assert!(!left.is_zero() && !seen.closed, "never saw {what}; the screen is\n{contents}");
            seen = self.shared.changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Waits until the program ends and all that it wrote was read.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end; the screen is\n{}", self.contents());
            std::thread::park_timeout(Duration::from_millis(5));
        };
        self.reader.take().map(JoinHandle::join);
        status
    }

    /// Hands the screen of now to `look`.
    pub fn look(&self, look: impl FnOnce(&vt100::Screen)) {
        look(self.seen().emulator.screen());
    }

    pub fn contents(&self) -> String {
        self.seen().emulator.screen().contents()
    }

    /// The program's number; where a shell runs the program, the shell's.
    pub fn process(&self) -> Pid {
        Pid::from_raw(self.child.process_id().unwrap().cast_signed()).unwrap()
    }

    /// The process group that has the terminal now, by its leader.
    pub fn foreground_process(&self) -> Option<Pid> {
        Pid::from_raw(self.master.process_group_leader()?)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.process(), signal).unwrap();
    }

    /// Asserts that the terminal is as it was before the program took it.
    pub fn assert_given_back(&self) {
        let seen = self.seen();
        let screen = seen.emulator.screen();
        assert!(!screen.alternate_screen(), "the alternate screen is still on");
        assert!(!screen.hide_cursor(), "the cursor is still hidden");
        assert!(!screen.bracketed_paste(), "bracketed paste is still on");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        if let Some(modes) = self.master.get_termios() {
            let modes = format!("{:?}", modes.local_flags);
            assert!(modes.contains("ICANON") && modes.contains("ECHO"), "still raw: {modes}");
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap()
    }
}

fn watch(mut output: Box<dyn Read + Send>, shared: &Shared) {
    let mut buffer = [0; 4096];
    loop {
        // A pseudo-terminal whose program is gone reads as an error.
        let bytes = output.read(&mut buffer).unwrap_or(0);
        // A test that failed while it looked leaves the lock poisoned; the bytes are still to be read.
        let mut seen = shared.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.emulator.process(&buffer[..bytes]);
        seen.bytes.extend_from_slice(&buffer[..bytes]);
        seen.closed = bytes == 0;
        shared.changed.notify_all();
        if bytes == 0 {
            return;
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
