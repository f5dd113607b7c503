//! A disk of one's own: an image with a file system on it, which takes root, the programs that make one, and a loop device. The power of
//! one with XFS may be cut.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, opcode};
use rustix::process::geteuid;
use tempfile::TempDir;

/// Unmounted when it is dropped.
pub struct Disk {
    dir: TempDir,
    mounted: bool,
}

/// `XFS_IOC_GOINGDOWN` of `xfs_fs.h`: from now on nothing reaches the disk, as when the power goes.
struct GoingDown(u32);

/// What the log still held in memory goes too (`XFS_FSOP_GOING_FLAGS_NOLOGFLUSH`).
const WITHOUT_LOG: u32 = 2;

// SAFETY: the kernel reads one u32 behind the pointer and writes nothing.
#[allow(unsafe_code, reason = "there is no other way to say it to the kernel")]
unsafe impl Ioctl for GoingDown {
    type Output = ();
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        opcode::read::<u32>(b'X', 125)
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut std::ffi::c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

impl Disk {
    /// Made by `mkfs.KIND`. None, and said so, where this cannot be had.
    pub fn new(kind: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let made = geteuid().is_root() && {
            File::create(dir.path().join("image")).unwrap().set_len(400 << 20).unwrap();
            ran(Command::new(format!("mkfs.{kind}")).arg("-q").arg(dir.path().join("image")))
        };
        fs::create_dir(dir.path().join("disk")).unwrap();
        let mut disk = Self { dir, mounted: false };
        if made && disk.mount() {
            return Some(disk);
        }
        crate::skip::skip(&format!(
            "no disk can be made by mkfs.{kind} and mounted here (it takes root and a loop device)"
        ));
        None
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join("disk").join(name)
    }

    /// On another disk.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn mount(&mut self) -> bool {
        let (image, place) = (self.dir.path().join("image"), self.at(""));
        self.mounted = ran(Command::new("mount").args(["-o", "loop"]).arg(image).arg(place));
        self.mounted
    }

    /// Cuts the power, and turns it on again.
    #[allow(unsafe_code, reason = "see `GoingDown`")]
    pub fn cut(&self) {
        let disk = File::open(self.at("")).unwrap();
        // SAFETY: as said there; the descriptor is of the mounted file system's root.
        unsafe { rustix::ioctl::ioctl(disk.as_fd(), GoingDown(WITHOUT_LOG)).unwrap() };
    }

    pub fn restart(&mut self) {
        self.unmount();
        assert!(self.mount(), "the disk cannot be mounted again");
    }

    pub fn unmount(&mut self) {
        if std::mem::take(&mut self.mounted) {
            let began = Instant::now();
            // Whoever had files open there may take a moment to be gone.
            while !ran(Command::new("umount").arg(self.at(""))) {
                assert!(began.elapsed() < Duration::from_secs(30), "the disk stays busy");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            ran(Command::new("umount").arg("-l").arg(self.at("")));
        }
    }
}

pub fn ran(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|it| it.success())
}
