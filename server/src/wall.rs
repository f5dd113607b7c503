//! A second wall around towd, for the day when the first one has a hole: the kernel itself keeps this process from all files but the
//! served folder and towd's own, from running programs, from connecting anywhere (Landlock), and from gaining rights (`no_new_privs`).
//! Where the whole file system is served, all but the first. What is open already stays open. It knows no clients and no requests.
//!
//! Landlock does not stop all: mode, owner, times and extended attributes of files outside can be changed as far as this user may,
//! unix sockets that have a path be connected to, and UDP be sent. A filter of system calls (seccomp) cannot stop the first either, since it
//! sees no paths, and towd needs the same calls in the served folder.

use std::path::Path;

use rustix::thread::set_no_new_privs;

/// What stays within reach.
#[derive(Debug, Default)]
pub(crate) struct Within<'a> {
    /// The served folder; none for the whole file system.
    pub(crate) root: Option<&'a Path>,
    pub(crate) read_only: bool,
    /// Where keys and lists are kept.
    pub(crate) state: Option<&'a Path>,
    /// Folders of which only lists are read: to find second names of what is kept from clients.
    pub(crate) listed: Vec<&'a Path>,
    /// Where it is written down what moves have set aside.
    pub(crate) asides: Option<&'a Path>,
    /// Where the audit log is, and its older files.
    pub(crate) audit: Option<&'a Path>,
    /// Where the unix socket is made and removed.
    pub(crate) socket: Option<&'a Path>,
}

/// Raises it around this thread and those that it will begin: before there are any others. Returns what is missing, in words.
pub(crate) fn raise(within: &Within<'_>) -> Option<String> {
    let rights = set_no_new_privs(true).err().map(|error| format!("no_new_privs cannot be set: {error}"));
    let files = landlock::raise(within).err();
    let missing: Vec<_> = rights.into_iter().chain(files).collect();
    (!missing.is_empty()).then(|| missing.join("; "))
}

#[cfg(target_os = "linux")]
mod landlock {
    #![allow(clippy::disallowed_methods, reason = "towd's own folders, nothing that a client names")]

    use std::path::Path;

    use landlock::{
        ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
        RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
        make_bitflags,
    };

    use super::Within;

    /// The newest of which this is written; an older kernel takes what it knows.
    const NEWEST: ABI = ABI::V7;

    pub(super) fn raise(within: &Within<'_>) -> Result<(), String> {
        match restrict(within, within.root.unwrap_or_else(|| Path::new("/"))) {
            Ok(RestrictionStatus { ruleset: RulesetStatus::NotEnforced, .. }) | Err(None) => {
                // Of a session that may go everywhere there is nothing to say each time.
                let Some(_) = within.root else { return Ok(()) };
                Err("this kernel has no Landlock (or one too old to move files between folders under it): towd alone keeps clients in their folder".to_owned())
            }
            Ok(_) => Ok(()),
            Err(Some(why)) => Err(format!("Landlock cannot be used: {why}")),
        }
    }

    /// Err without words where the kernel does not know what is needed at least.
    fn restrict(within: &Within<'_>, root: &Path) -> Result<RestrictionStatus, Option<String>> {
        let told = |error: RulesetError| Some(error.to_string());
        let ruleset = Ruleset::default()
            // Without it nothing could be moved from one folder into another.
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::Refer)
            .map_err(|_| None)?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))
            .and_then(|ruleset| ruleset.handle_access(AccessNet::ConnectTcp))
            .and_then(|ruleset| ruleset.scope(Scope::from_all(NEWEST)))
            .and_then(Ruleset::create)
            .map_err(told)?;
        let look = make_bitflags!(AccessFs::{ReadFile | ReadDir});
        let keep = make_bitflags!(AccessFs::{WriteFile | Truncate | MakeReg | RemoveFile});
        let change = keep | make_bitflags!(AccessFs::{MakeDir | MakeSym | RemoveDir | Refer});
        let listed = within.listed.iter().filter(|folder| folder.is_dir());
        let listed = listed.map(|folder| (Some(*folder), make_bitflags!(AccessFs::{ReadDir})));
        let places: [(Option<&Path>, BitFlags<AccessFs>); 5] = [
            (Some(root), if within.read_only { look } else { look | change }),
            (within.state, look | keep),
            (within.asides, look | keep),
            (within.audit, keep),
            (within.socket, make_bitflags!(AccessFs::{MakeSock | RemoveFile})),
        ];
        let rules = places.into_iter().chain(listed).filter_map(|(place, access)| Some((place?, access)));
        let ruleset = rules.into_iter().try_fold(ruleset, |ruleset, (place, access)| {
            let place = PathFd::new(place).map_err(|error| Some(error.to_string()))?;
            ruleset.add_rule(PathBeneath::new(place, access)).map_err(told)
        })?;
        ruleset.restrict_self().map_err(told)
    }
}

#[cfg(not(target_os = "linux"))]
mod landlock {
    pub(super) fn raise(_within: &super::Within<'_>) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
#[allow(clippy::disallowed_methods, reason = "what is tried goes by the plain path")]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// Runs `test` in a thread of its own behind the wall; does nothing where the kernel cannot raise it, and says so.
    fn behind(within: Within<'_>, test: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let walled = scope.spawn(move || {
                let missing = raise(&within);
                if missing.is_none() {
                    test();
                }
                missing
            });
            walled.join().unwrap().iter().for_each(|missing| crate::skip::skip(missing));
        });
    }

    #[track_caller]
    fn denied<T>(result: std::io::Result<T>) {
        assert_eq!(result.err().map(|error| error.kind()), Some(ErrorKind::PermissionDenied));
    }

    #[test]
    fn f68_a_hole_in_the_jail_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["root", "root/a", "root/b", "outside", "state", "audit", "socket"] {
            fs::create_dir(at(folder)).unwrap();
        }
        fs::write(at("outside/secret"), "secret").unwrap();
        fs::write(at("root/a/file"), "file").unwrap();
        symlink(at("outside"), at("root/hole")).unwrap();
        let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let [root, state, audit, socket] = ["root", "state", "audit", "socket"].map(at);
        let within = Within {
            asides: None,
            listed: Vec::new(),
            root: Some(&root),
            read_only: false,
            state: Some(&state),
            audit: Some(&audit),
            socket: Some(&socket),
        };
        behind(within, || {
            // As if the jail had let a path through.
            denied(fs::read(at("outside/secret")));
            denied(fs::read(at("root/hole/secret")));
            denied(fs::read_dir(at("outside")));
            denied(fs::read("/etc/passwd"));
            denied(fs::write(at("outside/new"), "x"));
            denied(fs::remove_file(at("outside/secret")));
            denied(fs::create_dir(at("outside/new")));
            denied(fs::rename(at("root/a/file"), at("outside/file")).map_err(|error| match error.kind() {
                ErrorKind::CrossesDevices => ErrorKind::PermissionDenied.into(),
                _ => error,
            }));
            denied(TcpStream::connect(elsewhere));
            denied(std::process::Command::new("/bin/true").status());
            // What towd does, it can do.
            fs::create_dir(at("root/c")).unwrap();
            fs::write(at("root/a/new"), "new").unwrap();
            fs::rename(at("root/a/new"), at("root/b/new")).unwrap();
            symlink("x", at("root/link")).unwrap();
            fs::remove_dir(at("root/c")).unwrap();
            fs::write(at("state/clients.json.new"), "{}").unwrap();
            fs::rename(at("state/clients.json.new"), at("state/clients.json")).unwrap();
            fs::write(at("audit/log"), "{}").unwrap();
            fs::rename(at("audit/log"), at("audit/log.1")).unwrap();
            denied(fs::read(at("audit/log.1")));
            UnixListener::bind(at("socket/socket")).unwrap();
            fs::remove_file(at("socket/socket")).unwrap();
        });
        assert_eq!(fs::read(at("outside/secret")).unwrap(), b"secret");
    }

    /// Documents the limits of the sandbox; if a newer kernel stops one of these, the page must say so.
    #[test]
    fn f68_what_the_kernels_wall_does_not_stop_is_what_the_page_says() {
        use std::os::unix::fs::PermissionsExt as _;
        use std::os::unix::net::UnixStream;

        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("root")).unwrap();
        fs::write(at("outside"), "outside").unwrap();
        let listener = UnixListener::bind(at("socket")).unwrap();
        let here = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let root = at("root");
        behind(Within { root: Some(&root), ..Within::default() }, || {
            denied(fs::read(at("outside")));
            fs::set_permissions(at("outside"), fs::Permissions::from_mode(0o640)).unwrap();
            rustix::fs::utimensat(
                rustix::fs::CWD,
                at("outside"),
                &rustix::fs::Timestamps {
                    last_access: rustix::fs::Timespec { tv_sec: 5, tv_nsec: 0 },
                    last_modification: rustix::fs::Timespec { tv_sec: 5, tv_nsec: 0 },
                },
                rustix::fs::AtFlags::empty(),
            )
            .unwrap();
            UnixStream::connect(at("socket")).unwrap();
            let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            sender.send_to(b"x", here.local_addr().unwrap()).unwrap();
        });
        drop(listener);
    }

    #[test]
    fn f68_where_all_files_are_served_nothing_is_run_and_nothing_connected_to() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        behind(Within::default(), || {
            denied(std::process::Command::new("/bin/true").status());
            denied(TcpStream::connect(elsewhere));
            denied(UnixListener::bind(at("socket")));
            // Files are what it is for.
            fs::read("/etc/passwd").unwrap();
            fs::read("/proc/self/status").unwrap();
            fs::create_dir(at("folder")).unwrap();
            fs::write(at("file"), "file").unwrap();
            fs::rename(at("file"), at("folder/file")).unwrap();
            symlink("x", at("link")).unwrap();
            fs::remove_dir_all(at("folder")).unwrap();
        });
    }

    #[test]
    fn f68_behind_a_read_only_wall_nothing_changes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "file").unwrap();
        behind(Within { root: Some(dir.path()), read_only: true, ..Within::default() }, || {
            assert_eq!(fs::read(&file).unwrap(), b"file");
            denied(fs::write(&file, "other"));
            denied(fs::remove_file(&file));
            denied(fs::create_dir(dir.path().join("new")));
        });
    }
}
