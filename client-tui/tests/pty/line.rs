//! A terminal by its bare line: it reads only when asked to, says any size, may be left non-blocking, and goes away without a word.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use portable_pty::{MasterPty, PtySize, native_pty_system};
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::process::{Pid, Signal, kill_process};

use crate::stage::Folders;

const PATIENCE: Duration = Duration::from_mins(1);

/// A line with `tow` at its other end, which is in no session of its own: it gets no signal when the line goes.
pub(crate) struct Line {
    master: Option<Master>,
    child: Child,
    pub(crate) emulator: vt100::Parser,
}

struct Master {
    output: Box<dyn Read + Send>,
    keys: Box<dyn Write + Send>,
    line: Box<dyn MasterPty + Send>,
}

impl Master {
    /// Bytes that wait to be read.
    #[allow(unsafe_code, reason = "the descriptor is the master's, which is open")]
    fn waiting(&self) -> u64 {
        let descriptor = self.line.as_raw_fd().unwrap();
        // SAFETY: `self.line` holds it open.
        rustix::io::ioctl_fionread(unsafe { BorrowedFd::borrow_raw(descriptor) }).unwrap()
    }
}

impl Line {
    /// Starts `tow ARGUMENTS` on a terminal that says it has `says` columns and rows.
    pub(crate) fn start(folders: &Folders, arguments: &[&str], says: (u16, u16), flags: OFlags) -> Self {
        Self::start_in(folders, arguments, says, flags, &[])
    }

    pub(crate) fn start_in(
        folders: &Folders,
        arguments: &[&str],
        (columns, rows): (u16, u16),
        flags: OFlags,
        environment: &[(&str, &str)],
    ) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let line = native_pty_system().openpty(size).unwrap().master;
        let slave = open(line.tty_name().unwrap(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        // The three descriptors share one description, as those of a shell's terminal do.
        fcntl_setfl(&slave, fcntl_getfl(&slave).unwrap() | flags).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tow"));
        command.args(arguments).current_dir(folders.left("")).env_clear();
        command.env("TERM", "xterm-256color").env("HOME", folders.state());
        command.env("TOW_STATE_DIR", folders.state().join("state"));
        command.envs(environment.iter().copied());
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        let child = command.spawn().unwrap();
        let size = |number: u16, otherwise: u16| NonZeroU16::new(number.clamp(otherwise, 400)).unwrap();
        let emulator = vt100::Parser::new(size(rows, 30), size(columns, 100), 0);
        let (output, keys) = (line.try_clone_reader().unwrap(), line.take_writer().unwrap());
        Self { master: Some(Master { output, keys, line }), child, emulator }
    }

    pub(crate) fn press(&mut self, text: &str) {
        let keys = &mut self.master.as_mut().unwrap().keys;
        keys.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until the screen shows `text`, and no further.
    pub(crate) fn read_until(&mut self, text: &str) {
        self.read_while(text, |shown| !shown.contains(text));
    }

    /// Reads until the screen does not show `text` any more.
    pub(crate) fn read_until_not(&mut self, text: &str) {
        self.read_while(text, |shown| shown.contains(text));
    }

    fn read_while(&mut self, text: &str, goes_on: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.emulator.screen().contents();
            if !goes_on(&shown) {
                return;
            }
            assert!(Instant::now() < deadline, "still waiting for or without {text:?}:\n{shown}");
            assert!(self.read_some(), "ended while waiting for or without {text:?}:\n{shown}");
        }
    }

    /// Reads until `bytes` came, whatever they draw.
    pub(crate) fn read_until_bytes(&mut self, bytes: &[u8]) {
        let mut seen = Vec::new();
        while !seen.windows(bytes.len()).any(|part| part == bytes) {
            let mut buffer = [0; 4096];
            let read = self.master.as_mut().unwrap().output.read(&mut buffer).unwrap_or(0);
            assert!(read > 0, "ended without {}", bytes.escape_ascii());
            // Finds text that was split between two reads, too.
            seen.drain(..seen.len().saturating_sub(bytes.len()));
            seen.extend_from_slice(&buffer[..read]);
        }
    }

    /// Reads all that comes until the other end is closed.
    pub(crate) fn read_to_end(&mut self) {
        while self.read_some() {}
    }

    /// A line whose other end is closed reads as an error.
    fn read_some(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = self.master.as_mut().unwrap().output.read(&mut buffer).unwrap_or(0);
        self.emulator.process(&buffer[..read]);
        read > 0
    }

    /// Presses keys that redraw the screen until what is drawn stays on the line and no more comes.
    pub(crate) fn stall(&mut self) {
        let waiting = |line: &Self| line.master.as_ref().unwrap().waiting();
        let mut unchanged = 0;
        while unchanged < 10 {
            let before = waiting(self);
            self.press(if unchanged % 2 == 0 { "\x1b[6~" } else { "\x1b[5~" });
            let until = Instant::now() + Duration::from_millis(200);
            while waiting(self) == before && Instant::now() < until {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            unchanged = if waiting(self) == before { unchanged + 1 } else { 0 };
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.signal(), None);
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Closes the line, and waits for the end of the program.
    pub(crate) fn go_away(mut self) -> ExitStatus {
        drop(self.master.take());
        self.wait_for_end()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
