//! strace: it makes calls of a program fail, or take their time.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::towd::Towd;

/// strace at a server that runs. Dropped, it lets go.
pub(crate) struct Tracer(Child);

impl Tracer {
    /// None, and said so, where a running program cannot be traced here.
    pub(crate) fn attach(towd: &Towd, options: &[&str]) -> Option<Self> {
        let mut strace = Command::new("strace");
        strace.args(["-p", &towd.pid().to_string()]).args(options);
        let mut strace = strace.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let mut stderr = BufReader::new(strace.stderr.take().unwrap());
        stderr.read_line(&mut said).unwrap();
        if said.contains("attached") {
            // Whatever else it says is read, so that it never waits for that.
            std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
            return Some(Self(strace));
        }
        let _ = strace.wait();
        crate::skip::skip(&format!("a server cannot be traced here: {said}"));
        None
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

pub(crate) fn has_strace() -> bool {
    let has = Command::new("strace").arg("-V").output().is_ok();
    if !has {
        crate::skip::skip("there is no strace");
    }
    has
}
