//! A served folder and a local one, made anew for each row, and how rows are run and compared.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::towd::program;

/// 2026-01-02T03:04:05Z.
const SOME_TIME: u64 = 1_767_323_045;
const NOBODY: u32 = 65_534;

/// A promise: what is typed, and what must come of it. `{S}` is the served folder as a TARGET, `{L}` the local folder, which is also
/// the working folder.
pub(crate) struct Row {
    pub(crate) promise: &'static str,
    pub(crate) typed: &'static [&'static str],
    pub(crate) exit: i32,
    /// Must be on standard output, in this order; where there is nothing, nothing may be there.
    pub(crate) out: &'static [&'static str],
    /// The same of standard error.
    pub(crate) err: &'static [&'static str],
    /// Files afterwards, and what they hold; none for what must not be there. `S/` is the served folder, `L/` the local one.
    pub(crate) after: &'static [(&'static str, Option<&'static str>)],
    /// As a user who owns nothing; without root these rows are left out.
    pub(crate) as_nobody: bool,
}

pub(crate) const ROW: Row =
    Row { promise: "", typed: &[], exit: 0, out: &[], err: &[], after: &[], as_nobody: false };

/// Whatever is said, nothing included.
pub(crate) const ANYTHING: &[&str] = &[""];

/// A server of a folder of folders.
pub(crate) struct Stage {
    dir: TempDir,
    towd: Child,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap())
    }

    /// In memory where the system has a place for that.
    pub(crate) fn in_memory() -> Self {
        Self::in_folder(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn in_folder(dir: TempDir) -> Self {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut towd = Command::new(program())
            .arg("--json")
            .arg("--root")
            .arg(dir.path())
            .arg("--unix")
            .arg(dir.path().join("socket"))
            .env("TOW_STATE_DIR", dir.path().join("state of towd"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(towd.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("listening"), "{line}");
        Self { dir, towd }
    }

    /// A fresh pair of folders.
    pub(crate) fn scene(&self, name: &str) -> Scene {
        let folder = self.dir.path().join(name);
        let scene = Scene {
            target: format!("unix:{}?path={name}/served", self.dir.path().join("socket").display()),
            state: self.dir.path().join("state"),
            folder,
        };
        scene.fill();
        scene
    }

    /// Runs rows, each in a scene of its own; tells all that are not kept.
    pub(crate) fn check(rows: &[Row]) {
        let stage = Self::new();
        let mut broken = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            if row.as_nobody && !rustix::process::geteuid().is_root() {
                crate::skip::skip(&format!("{} (needs root)", row.promise));
                continue;
            }
            let scene = stage.scene(&index.to_string());
            if let Err(why) = scene.check(row) {
                broken.push(format!("{}\n  tow {}\n{why}", row.promise, row.typed.join(" ")));
            }
        }
        assert!(broken.is_empty(), "{} promises are not kept:\n\n{}", broken.len(), broken.join("\n\n"));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.towd.kill();
        let _ = self.towd.wait();
    }
}

/// What one row is played in.
pub(crate) struct Scene {
    folder: PathBuf,
    target: String,
    state: PathBuf,
}

impl Scene {
    fn fill(&self) {
        for (path, content) in [
            ("served/a.txt", "aa"),
            ("served/docs/b", "hello"),
            ("served/docs/sub/c", "deep"),
            ("served/.hidden", "h"),
            ("served/-dash", "dash"),
            ("local/new.txt", "newer"),
            ("local/tree/x", "x of local"),
            ("local/tree/y/z.o", "object"),
            ("local/-dash", "local dash"),
            ("local/patterns", "# objects\n\n*.o\n"),
            ("local/wrong patterns", "*.o\n./x\n"),
        ] {
            self.write(path, content, SOME_TIME);
        }
        fs::create_dir(self.at("S/empty")).unwrap();
        symlink("a.txt", self.at("S/link")).unwrap();
        self.write("local/a.txt", "aa", SOME_TIME);
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>, seconds: u64) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        fs::File::open(&path).unwrap().set_modified(time).unwrap();
    }

    /// `S/…` or `L/…` on the disk.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        let (side, below) = path.split_once('/').unwrap_or((path, ""));
        self.folder.join(if side == "S" { "served" } else { "local" }).join(below)
    }

    pub(crate) fn meant(&self, typed: &str) -> String {
        typed.replace("{S}", &self.target).replace("{L}", &self.at("L").to_string_lossy())
    }

    /// `tow` in the local folder, with nobody at a terminal.
    pub(crate) fn tow(&self, typed: &[&str]) -> Command {
        let mut tow = Command::new(env!("CARGO_BIN_EXE_tow"));
        tow.args(typed.iter().map(|word| self.meant(word)))
            .current_dir(self.at("L"))
            .env("TOW_STATE_DIR", &self.state)
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        tow
    }

    fn check(&self, row: &Row) -> Result<(), String> {
        let mut tow = self.tow(row.typed);
        if row.as_nobody {
            tow.uid(NOBODY).gid(NOBODY);
        }
        let output = match tow.output() {
            Err(error) if row.as_nobody => {
                crate::skip::skip(&format!("{} (nobody may not run this program: {error})", row.promise));
                return Ok(());
            }
            output => output.unwrap(),
        };
        let said = told(&output);
        let exit = output.status.code();
        if exit != Some(row.exit) {
            return Err(format!("exit {exit:?} instead of {}\n{said}", row.exit));
        }
        for (stream, said_there, wanted) in
            [("output", &output.stdout, row.out), ("error", &output.stderr, row.err)]
        {
            let text = String::from_utf8_lossy(said_there);
            let wanted: Vec<String> = wanted.iter().map(|wanted| self.meant(wanted)).collect();
            if !has_in_order(&text, &wanted) {
                return Err(format!("standard {stream} is not {wanted:?}\n{said}"));
            }
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        if let Some(line) = errors.lines().find(|line| row.exit != 0 && !line.starts_with("tow: ")) {
            return Err(format!("an error that does not begin with tow: {line}\n{said}"));
        }
        row.after.iter().try_for_each(|(path, content)| {
            self.holds(path, *content).map_err(|why| format!("{why}\n{said}"))
        })
    }

    fn holds(&self, path: &str, content: Option<&str>) -> Result<(), String> {
        let found = fs::read_to_string(self.at(path)).ok();
        let is_there = fs::symlink_metadata(self.at(path)).is_ok();
        match content {
            None if is_there => Err(format!("{path} is there")),
            Some("/") if self.at(path).is_dir() => Ok(()),
            Some(content) if found.as_deref() != Some(content) => Err(format!("{path} holds {found:?}")),
            _ => Ok(()),
        }
    }
}

fn has_in_order(text: &str, wanted: &[String]) -> bool {
    let mut rest = text;
    let all = wanted.iter().all(|wanted| {
        let found = rest.find(wanted.as_str());
        rest = found.map_or("", |at| &rest[at + wanted.len()..]);
        found.is_some()
    });
    all && (!wanted.is_empty() || text.is_empty())
}

pub(crate) fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("output: {}\nerrors: {}", text(&output.stdout), text(&output.stderr))
}

/// Names of unfinished files in a folder.
pub(crate) fn parts(folder: &Path) -> Vec<String> {
    let names =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(".towpath-part-")).collect()
}
