//! A file system that takes names which differ in case for one. It takes root, `/dev/fuse` and Python; what it cannot have, it says.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Unmounted when it is dropped.
pub struct Folding {
    at: PathBuf,
    served: Child,
}

impl Folding {
    /// Mounts it on a folder, which is made. None, and said so, where that cannot be.
    pub fn mount(at: &Path, options: &[&str]) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/folding.py");
        let mut python = Command::new("python3");
        python.arg(program).arg(at).args(options);
        let mut served = match python.stdin(Stdio::null()).stdout(Stdio::piped()).spawn() {
            Ok(served) => served,
            Err(error) => {
                crate::skip::skip(&format!(
                    "no file system that folds case can be mounted: python3: {error}"
                ));
                return None;
            }
        };
        let mut line = String::new();
        BufReader::new(served.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.starts_with("mounted") {
            return Some(Self { at: at.to_owned(), served });
        }
        let _ = served.wait();
        crate::skip::skip("no file system that folds case can be mounted (it takes root and /dev/fuse)");
        None
    }
}

impl Drop for Folding {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
        let _ = self.served.kill();
        let _ = self.served.wait();
    }
}
