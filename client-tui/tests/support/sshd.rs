//! A real OpenSSH server on a free port of the loopback, for as long as a test runs: keys, users and their homes in one folder of its
//! own. Its users are known to it alone (`nss_wrapper`), so that each can have the login shell that a test wants.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, geteuid, getgid, kill_process};
use tempfile::TempDir;

/// Users of the server, each with its login shell; all are this user by number.
///
/// Without PAM, which would want root and the system's own users, sshd compares the hash itself.
/// A login shell without a folder is a script of [`SHELLS`].
const USERS: [(&str, &str); 13] = [
    ("plain", "/bin/sh"),
    ("noisy", "/bin/bash"),
    ("csh", "/bin/tcsh"),
    ("execs", "/bin/bash"),
    ("reads", "/bin/bash"),
    ("pathless", "/bin/bash"),
    ("sleeps", "/bin/bash"),
    ("mute", "/bin/bash"),
    ("echoes", "echoing"),
    ("dies", "dying"),
    ("jörg", "/bin/sh"),
    ("a+b", "/bin/sh"),
    (r"CORP\ann", "/bin/sh"),
];
const SHELLS: [(&str, &str); 2] =
    [("echoing", "#!/bin/sh\necho \"unknown command: $2\"\n"), ("dying", "#!/bin/sh\nkill -KILL $$\n")];
/// Startup files of the login shells.
const STARTUP_FILES: [(&str, &str); 7] = [
    ("noisy/.bashrc", "echo Welcome to the box; printf '\\033[2J'\n"),
    ("csh/.cshrc", "echo csh is here\n"),
    ("execs/.bashrc", "exec /bin/sh\n"),
    ("reads/.bashrc", "read -r x\n"),
    ("sleeps/.bashrc", "exec sleep 60\n"),
    ("mute/.bashrc", "exec >/dev/null\n"),
    ("pathless/.bashrc", "export PATH=/there/is/no/such/folder\n"),
];

/// The word that lets any of them in on the host `by-password`.
pub const PASSWORD: &str = "correct horse";
const PASSWORD_HASH: &str =
    "$6$towpath$6NHvJSLH21Ra9pltGbMMOAqY90MXD3kjexKFSK98yT/CRtHNBCeLGDHZ2tYVsyQNnag3KmLxnYn6OTe6v6R5V1";

/// A running server. Dropped, it is ended.
pub struct Sshd {
    pub dir: TempDir,
    pub port: u16,
    child: Child,
    /// What it has said so far.
    log: Arc<Mutex<String>>,
}

/// What a test needs and this machine has not, in words; none where all is there.
pub fn missing() -> Option<&'static str> {
    if daemon().is_none() {
        Some("sshd")
    } else if wrapper().is_none() {
        Some("libnss_wrapper")
    } else if !Path::new("/bin/tcsh").exists() {
        Some("tcsh")
    } else {
        None
    }
}

fn daemon() -> Option<&'static str> {
    ["/usr/sbin/sshd", "/usr/bin/sshd", "/sbin/sshd"].into_iter().find(|path| Path::new(path).exists())
}

fn wrapper() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let folders = folders.chain(["/usr/lib".into(), "/usr/lib64".into()]);
    folders.map(|folder| folder.join("libnss_wrapper.so")).find(|path| path.exists())
}

impl Sshd {
    /// With a user for each login shell, and `PATH` there.
    pub fn start(path_there: &str) -> Self {
        Self::start_with(path_there, &[])
    }

    /// The same, with options of `sshd_config` besides.
    pub fn start_with(path_there: &str, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        // sshd drops its rights before it looks at what is in here.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for key in ["host", "key", "other"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at(key))
                .status()
                .unwrap();
            assert!(made.success());
        }
        let (uid, gid) = (geteuid().as_raw(), getgid().as_raw());
        let mut users = vec!["sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n".to_owned()];
        for (name, script) in SHELLS {
            fs::write(at(name), script).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (user, shell) in USERS {
            fs::create_dir(at(user)).unwrap();
            let shell = dir.path().join(shell).display().to_string();
            users.push(format!("{user}:{PASSWORD_HASH}:{uid}:{gid}::{}:{shell}\n", at(user).display()));
        }
        fs::write(at("passwd"), users.concat()).unwrap();
        fs::write(at("group"), format!("users:x:{gid}:\n")).unwrap();
        for (file, text) in STARTUP_FILES {
            fs::write(at(file), text).unwrap();
        }
        if geteuid().is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let (port, child, log) = serve(dir.path(), path_there, options);
        let host_key = fs::read_to_string(at("host.pub")).unwrap();
        fs::write(at("known_hosts"), format!("[127.0.0.1]:{port} {host_key}")).unwrap();
        let config = format!(
            "Host by-password\n PreferredAuthentications password\n\
             Host shared\n ControlMaster auto\n ControlPath {own}\n\
             Host *\n PreferredAuthentications publickey\n IdentityFile {key}\n IdentitiesOnly yes\n UserKnownHostsFile {known}\n GlobalKnownHostsFile none\n \
             HostName 127.0.0.1\n Port {port}\n\
             Host inner\n ProxyCommand ssh -F {config} -W %h:%p plain@box\n",
            key = at("key").display(),
            known = at("known_hosts").display(),
            own = at("own-%C").display(),
            config = at("config").display(),
        );
        fs::write(at("config"), config).unwrap();
        let (config, starts) = (at("config"), at("starts"));
        let script = format!(
            "#!/bin/sh\ncase \" $* \" in *' -G '*|*' ControlMaster=no '*) ;; *) echo started >>{};; esac\nexec ssh -F {} \"$@\"\n",
            starts.display(),
            config.display()
        );
        fs::write(at("ssh"), script).unwrap();
        fs::set_permissions(at("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir, port, child, log }
    }

    /// The ssh that knows this server, as `TOW_SSH` names it.
    pub fn ssh(&self) -> PathBuf {
        self.dir.path().join("ssh")
    }

    /// How often that ssh was started to connect.
    pub fn connections(&self) -> usize {
        fs::read_to_string(self.dir.path().join("starts")).unwrap_or_default().lines().count()
    }

    /// How many lines of what the server has said hold `words`.
    pub fn said(&self, words: &str) -> usize {
        self.log.lock().unwrap().lines().filter(|line| line.contains(words)).count()
    }

    /// The processes that serve its connections.
    pub fn serving(&self) -> Vec<Pid> {
        children_of(Pid::from_child(&self.child))
    }

    pub fn home(&self, user: &str) -> PathBuf {
        self.dir.path().join(user)
    }

    /// Where tow puts itself for a user: the name carries version, system and processor.
    pub fn installed(&self, user: &str) -> PathBuf {
        let system = Command::new("uname").args(["-sm"]).output().unwrap().stdout;
        let system = String::from_utf8(system).unwrap().trim().replace(' ', "-");
        let name = format!("tow-{}-{system}", env!("CARGO_PKG_VERSION"));
        self.home(user).join(".local/share/towpath/bin").join(name)
    }

    /// Lines that come before all others of ssh's configuration.
    pub fn configure(&self, lines: &str) {
        let config = self.dir.path().join("config");
        let known = fs::read_to_string(&config).unwrap();
        fs::write(config, format!("{lines}\n{known}")).unwrap();
    }

    /// What the client knows of the hosts' keys.
    pub fn set_known_hosts(&self, text: &str) {
        fs::write(self.dir.path().join("known_hosts"), text).unwrap();
    }
}

/// On a port that was free a moment ago; another one where somebody else took it meanwhile.
fn serve(dir: &Path, path_there: &str, more: &[&str]) -> (u16, Child, Arc<Mutex<String>>) {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(daemon().unwrap());
        command.args(["-D", "-e", "-f", "/dev/null"]);
        let at = |name: &str| dir.join(name).display().to_string();
        let options = [
            format!("ListenAddress=127.0.0.1:{port}"),
            format!("HostKey={}", at("host")),
            format!("AuthorizedKeysFile={}", at("key.pub")),
            format!("SetEnv=PATH={path_there}"),
            "PidFile=none".to_owned(),
            "StrictModes=no".to_owned(),
            "UsePAM=no".to_owned(),
            "PermitRootLogin=yes".to_owned(),
            "PasswordAuthentication=yes".to_owned(),
            "KbdInteractiveAuthentication=no".to_owned(),
            "PrintMotd=no".to_owned(),
            "MaxStartups=100".to_owned(),
            // It tells of each channel that something is run in.
            "LogLevel=VERBOSE".to_owned(),
        ];
        for option in options.iter().map(String::as_str).chain(more.iter().copied()) {
            command.args(["-o", option]);
        }
        command.env("LD_PRELOAD", wrapper().unwrap());
        command.env("NSS_WRAPPER_PASSWD", dir.join("passwd")).env("NSS_WRAPPER_GROUP", dir.join("group"));
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut heard = String::new();
        while log.read_line(&mut heard).unwrap() > 0 {
            if heard.contains("Server listening") {
                return (port, child, collected(log));
            }
        }
        let _ = child.wait();
        assert!(heard.contains("Address already in use"), "sshd: {heard}");
    }
}

/// Read as it comes, so that it never has to wait.
fn collected(mut log: BufReader<ChildStderr>) -> Arc<Mutex<String>> {
    let lines = Arc::<Mutex<String>>::default();
    let collected = lines.clone();
    std::thread::spawn(move || {
        let mut line = Vec::new();
        while matches!(log.read_until(b'\n', &mut line), Ok(1..)) {
            collected.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    lines
}

/// Those that still are. A thread may end meanwhile; the one that has the child waits for it.
pub fn children_of(parent: Pid) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{}/task", parent.as_raw_nonzero())).into_iter().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let children = children.collect::<Vec<_>>().concat();
    children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}
