//! Any bytes as what our own files hold: they are understood or named as not understood, and never open a door.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;
use towpath_files::private_files::PrivateFolder;
use towpath_protocol::pairing::{KeyHash, PairingSecret, ProofBinding, SECRET_BYTES};

use crate::clients::{CLIENTS_FILE, Clients};
use crate::pairing::{Tried, redeem};

/// In the middle of the time for which the codes among the seeds are open.
const NOW: u64 = 1_800_000_000;

/// A private folder, made once.
pub(crate) struct Ground {
    dir: TempDir,
    folder: PrivateFolder,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let folder = PrivateFolder::open(&dir.path().join("state")).unwrap();
        Self { dir, folder }
    }

    /// The first byte says which file it is.
    pub(crate) fn state(&self, bytes: &[u8]) {
        match bytes.split_first() {
            Some((b'c', content)) => self.clients(content),
            Some((_, content)) => self.code(content),
            None => {}
        }
    }

    /// Without the care for durability that the programs take: millions of these are written.
    fn put(&self, name: &str, content: &[u8]) {
        let path: PathBuf = self.dir.path().join("state").join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn clients(&self, content: &[u8]) {
        self.put(CLIENTS_FILE, content);
        match Clients::load(&self.folder) {
            Ok(clients) => {
                for client in clients.iter() {
                    assert!(!client.name().chars().any(char::is_control));
                    assert!(clients.of_key(&client.key).is_some());
                }
                clients.save(&self.folder.lock().unwrap()).unwrap();
                assert_eq!(Clients::load(&self.folder).unwrap(), clients, "written and read again");
            }
            Err(fault) => assert!(!fault.to_string().chars().any(char::is_control), "{fault}"),
        }
    }

    fn code(&self, content: &[u8]) {
        self.put("pairing.json", content);
        let (client, server) = (KeyHash([2; 32]), KeyHash([1; 32]));
        let bound = ProofBinding { channel: &[3; 32], client: &client, server: &server, name: b"eve" };
        let guess = PairingSecret::new([9; SECRET_BYTES].into()).proof(&bound);
        let locked = self.folder.lock().unwrap();
        // Whatever the file says of tries, a guess is never right, and there is an end to guessing.
        for is_listed in [false, true] {
            let tried = redeem(&locked, &guess, &bound, is_listed, NOW).unwrap();
            assert!(!matches!(tried, Tried::Proven(_) | Tried::Again), "a guess opened the door");
        }
    }
}

#[cfg(test)]
#[test]
fn our_own_files_hold_for_their_seeds_whole_and_cut() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/state");
    let ground = Ground::new();
    let mut seeds = 0;
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let bytes = fs::read(&path).unwrap();
        for cut in 0..=bytes.len() {
            let run = std::panic::AssertUnwindSafe(|| ground.state(&bytes[..cut]));
            std::panic::catch_unwind(run).unwrap_or_else(|_| panic!("{} cut to {cut}", path.display()));
        }
        seeds += 1;
    }
    assert!(seeds >= 8, "{seeds}");
}
