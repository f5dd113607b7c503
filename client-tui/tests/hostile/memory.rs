//! How much memory a program has held at most, as the kernel counts it.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

/// What nothing here takes, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// More than this no peer may make a program hold: some four times what it holds at rest.
pub(crate) const MEMORY_KIB_MAX: u64 = 64 * 1024;

/// The most that a process has held since it began, in KiB; none once it is gone, and while it is still what began it: for a moment a
/// child has its parent's memory.
pub(crate) fn held_kib(pid: u32) -> Option<u64> {
    if fs::read_link(format!("/proc/{pid}/exe")).ok()? == std::env::current_exe().unwrap() {
        return None;
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// What became of a program.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: Vec<u8>,
    pub(crate) err: Vec<u8>,
    pub(crate) held_kib: u64,
}

impl Ended {
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.err).into_owned()
    }
}

/// Runs a program to its end, and looks at its memory all the while. Whoever takes longer than [`PATIENCE`] is killed, and has failed.
pub(crate) fn run(command: &mut Command) -> Ended {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait(child)
}

pub(crate) fn wait(mut child: Child) -> Ended {
    let (out, err) = (all_of(child.stdout.take().unwrap()), all_of(child.stderr.take().unwrap()));
    let (began, mut most) = (Instant::now(), 0);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        most = held_kib(child.id()).unwrap_or(0).max(most);
        if began.elapsed() > PATIENCE {
            let _ = child.kill();
            let said = err.join().unwrap();
            panic!("it hangs; it said: {}", String::from_utf8_lossy(&said));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Ended { status, out: out.join().unwrap(), err: err.join().unwrap(), held_kib: most }
}

fn all_of(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    spawn(move || {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all
    })
}
