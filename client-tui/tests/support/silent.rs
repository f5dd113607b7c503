//! A mounted file system that does not answer. It takes root, `/dev/fuse` and Python.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Unmounted when it is dropped.
pub struct Silent(Child);

impl Silent {
    /// Mounts it on a folder, which is made. Err says why that cannot be.
    pub fn mount(at: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(at).unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/silent.py");
        let mut python = Command::new("python3");
        python.arg(program).arg(at).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut served = python.spawn().map_err(|error| format!("python3: {error}"))?;
        let mut line = String::new();
        BufReader::new(served.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.starts_with("mounted") {
            return Ok(Self(served));
        }
        let _ = served.wait();
        Err("no file system that does not answer can be mounted (it takes root and /dev/fuse)".to_owned())
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // Its input ends, and it unmounts what it has mounted.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
