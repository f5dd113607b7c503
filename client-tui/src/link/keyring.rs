//! What this client has to get in somewhere: its own key, the keys of the servers that it has met (`known_servers`, a line each, as ssh
//! keeps its hosts), and a pairing code where one was given. All in a private folder; read when a connection needs it, never before. And
//! how it is to use its connections.

use std::path::PathBuf;

use towpath_files::private_files::{PrivateFault, PrivateFolder, read_private};
use towpath_protocol::display::DisplayName;
use towpath_protocol::pairing::{BadCode, KeyHash, PairingCode};
use towpath_secure::Identity;
use towpath_secure::identity::IdentityFault;

use crate::config::{ClientName, GivenCode};
use crate::model::wire::Wire;

/// The client's own files, below the state folder; the server's lie beside it.
const FOLDER: &str = "client";
const KNOWN_SERVERS_FILE: &str = "known_servers";
/// The last code that was used at each address, by a hash of it: a line each, as the known servers.
const USED_CODES_FILE: &str = "used_codes";

/// Cheap to make: nothing is opened yet.
#[derive(Debug)]
pub struct Keyring {
    state_dir: Option<PathBuf>,
    name: ClientName,
    given: Option<GivenCode>,
    wire: Wire,
}

/// Why the keyring is of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeyringFault {
    #[error("there is no folder for this client's key: set HOME, or name one with --state-dir")]
    NoFolder,
    #[error(transparent)]
    File(#[from] PrivateFault),
    #[error(transparent)]
    Identity(#[from] IdentityFault),
    #[error("the pairing code in {from}: {why}")]
    Code { from: &'static str, why: BadCode },
    #[error("a part of the program failed")]
    Panicked,
}

/// This client, and what it knows of one server.
#[derive(Debug)]
pub(super) struct Acquaintance {
    pub(super) identity: Identity,
    pub(super) known: Option<KeyHash>,
}

/// The end of [`Keyring::forget`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Forgotten {
    /// The key that the list had.
    Was(KeyHash),
    /// Addresses that are on the list, escaped for people.
    NotKnown { known: Vec<String> },
}

/// A server's name on the list: one spelling of each, hosts in lower case, IPv6 addresses in brackets.
pub(crate) fn address(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl Keyring {
    pub fn new(state_dir: Option<PathBuf>, name: impl Into<ClientName>, given: Option<GivenCode>) -> Self {
        Self { state_dir, name: name.into(), given, wire: Wire::default() }
    }

    /// The same, for connections that are used like this.
    #[must_use]
    pub const fn with_wire(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    pub(crate) const fn wire(&self) -> Wire {
        self.wire
    }

    /// The name that this client gives a server that it pairs with. Asks the system: blocks.
    pub(super) fn name(&self) -> String {
        self.name.text()
    }

    /// The client's key, made where there is none yet, and the server's of `address`. Blocks.
    pub(super) fn look_up(&self, address: &str) -> Result<Acquaintance, KeyringFault> {
        let folder = self.folder()?;
        let identity = Identity::load_or_make(&folder)?;
        let known = KnownServers::load(&folder)?.of(address);
        Ok(Acquaintance { identity, known })
    }

    /// Notes the key of a server that was not known. Blocks.
    pub(super) fn remember(&self, address: &str, key: KeyHash) -> Result<(), KeyringFault> {
        self.note(KNOWN_SERVERS_FILE, address, key)
    }

    /// Takes the key of `address` off the list. Blocks.
    pub(crate) fn forget(&self, address: &str) -> Result<Forgotten, KeyringFault> {
        let folder = self.folder()?;
        let locked = folder.lock()?;
        let mut known = KnownServers::load(&folder)?;
        let Some(key) = known.of(address) else {
            let known = known.0.iter().map(|(address, _)| DisplayName::new(address.as_bytes()).to_string());
            let mut known: Vec<_> = known.collect();
            known.sort();
            known.dedup();
            return Ok(Forgotten::NotKnown { known });
        };
        known.0.retain(|(other, _)| other != address);
        locked.write(KNOWN_SERVERS_FILE, known.text().as_bytes())?;
        Ok(Forgotten::Was(key))
    }

    /// The code that was given beforehand; none where none was. Blocks.
    pub(super) fn given_code(&self) -> Result<Option<PairingCode>, KeyringFault> {
        let (from, code) = match &self.given {
            None => return Ok(None),
            Some(GivenCode::Text(text)) => ("TOW_PAIR", PairingCode::parse(text)),
            Some(GivenCode::File(path)) => {
                let content = read_private(path)?;
                let text = std::str::from_utf8(&content).map_err(|_| BadCode::NotACode);
                ("the file of --pair-file", text.and_then(PairingCode::parse))
            }
        };
        code.map(Some).map_err(|why| KeyringFault::Code { from, why })
    }

    /// Notes the code that was used at `address`. Blocks.
    pub(super) fn note_used(&self, address: &str, code: &PairingCode) -> Result<(), KeyringFault> {
        self.note(USED_CODES_FILE, address, hash_of(code))
    }

    /// Notes the hash of an address in a list, instead of an earlier one.
    fn note(&self, file: &str, address: &str, hash: KeyHash) -> Result<(), KeyringFault> {
        let folder = self.folder()?;
        let locked = folder.lock()?;
        let mut list = KnownServers::load_from(&folder, file)?;
        list.0.retain(|(other, _)| other != address);
        list.0.push((address.to_owned(), hash));
        Ok(locked.write(file, list.text().as_bytes())?)
    }

    /// A hint that the code given beforehand is not used, since the server of `address` knows this client; `None` if no code was given, or it
    /// is the one that was used there: in a script it stands before each command. Blocks.
    pub(super) fn unused_code(&self, address: &str) -> Option<String> {
        let from = match self.given.as_ref()? {
            GivenCode::Text(_) => "TOW_PAIR",
            GivenCode::File(_) => "the file of --pair-file",
        };
        let used =
            self.folder().ok().and_then(|folder| KnownServers::load_from(&folder, USED_CODES_FILE).ok());
        if let Some(used) = used.and_then(|used| used.of(address))
            && let Ok(Some(code)) = self.given_code()
            && hash_of(&code) == used
        {
            return None;
        }
        let address = DisplayName::new(address.as_bytes());
        Some(format!("paired already: the code in {from} is not used; `tow forget {address}` first uses it"))
    }

    /// This client's own, made where there is none. Blocks.
    pub(super) fn folder(&self) -> Result<PrivateFolder, KeyringFault> {
        let state = self.state_dir.as_deref().ok_or(KeyringFault::NoFolder)?;
        Ok(PrivateFolder::open(&state.join(FOLDER))?)
    }
}

/// Recognises a code that was used. It tells nothing of the code, which is random and of no use a second time.
fn hash_of(code: &PairingCode) -> KeyHash {
    KeyHash(blake3::derive_key("towpath 2026 used pairing code", code.secret.bytes()))
}

/// Addresses (`HOST:PORT` as typed, in lower case), each with a hash: of the key that was met there, or of the code that was used.
#[derive(Debug, Default, PartialEq, Eq)]
struct KnownServers(Vec<(String, KeyHash)>);

impl KnownServers {
    fn load(folder: &PrivateFolder) -> Result<Self, PrivateFault> {
        Self::load_from(folder, KNOWN_SERVERS_FILE)
    }

    fn load_from(folder: &PrivateFolder, file: &str) -> Result<Self, PrivateFault> {
        let Some(content) = folder.read(file)? else { return Ok(Self::default()) };
        let bad = |line: usize| folder.not_understood(file, format_args!("line {line}"));
        let text = std::str::from_utf8(&content).map_err(|_| bad(1))?;
        let mut known = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (address, key) = line.split_once(char::is_whitespace).ok_or_else(|| bad(number + 1))?;
            let key = key.trim().parse().map_err(|_| bad(number + 1))?;
            known.push((address.to_owned(), key));
        }
        Ok(Self(known))
    }

    /// The last line of an address holds, as the newest.
    fn of(&self, address: &str) -> Option<KeyHash> {
        self.0.iter().rev().find(|(known, _)| known == address).map(|(_, key)| *key)
    }

    fn text(&self) -> String {
        let line =
            |(address, key): &(String, KeyHash)| [address.as_str(), " ", &key.to_string(), "\n"].concat();
        self.0.iter().map(line).collect()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "fixtures")]
mod tests {
    use proptest::prelude::*;
    use towpath_protocol::pairing::{PairingSecret, SECRET_BYTES};
    use zeroize::Zeroizing;

    use super::*;

    const KEY: KeyHash = KeyHash([5; 32]);

    fn keyring(dir: &tempfile::TempDir, given: Option<GivenCode>) -> Keyring {
        Keyring::new(Some(dir.path().join("state")), "ann@box".to_owned(), given)
    }

    #[test]
    fn a_server_is_known_by_the_address_that_was_typed() {
        let dir = tempfile::tempdir().unwrap();
        let keyring = keyring(&dir, None);
        let before = keyring.look_up("box:7171").unwrap();
        assert_eq!(before.known, None);
        keyring.remember("box:7171", KEY).unwrap();
        keyring.remember("[::1]:7171", KeyHash([6; 32])).unwrap();
        let after = keyring.look_up("box:7171").unwrap();
        assert_eq!((after.known, after.identity.hash()), (Some(KEY), before.identity.hash()));
        assert_eq!(keyring.look_up("box:7172").unwrap().known, None);
        assert_eq!(keyring.look_up("[::1]:7171").unwrap().known, Some(KeyHash([6; 32])));
        keyring.remember("box:7171", KeyHash([7; 32])).unwrap();
        assert_eq!(keyring.look_up("box:7171").unwrap().known, Some(KeyHash([7; 32])));
    }

    #[test]
    fn a_server_is_forgotten_by_the_address_that_was_typed_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let keyring = keyring(&dir, None);
        for (host, port) in [("BOX", 7171), ("box", 7272), ("::1", 7171)] {
            keyring.remember(&address(host, port), KEY).unwrap();
        }
        assert_eq!(keyring.forget("box:7171").unwrap(), Forgotten::Was(KEY));
        assert_eq!(keyring.look_up("box:7171").unwrap().known, None);
        assert_eq!(keyring.look_up("box:7272").unwrap().known, Some(KEY));
        let known = vec!["[::1]:7171".to_owned(), "box:7272".to_owned()];
        assert_eq!(keyring.forget("box:7171").unwrap(), Forgotten::NotKnown { known });
    }

    #[test]
    fn f62_a_list_that_cannot_be_understood_knows_nobody_and_says_where() {
        let dir = tempfile::tempdir().unwrap();
        let keyring = keyring(&dir, None);
        let folder = keyring.folder().unwrap();
        let write = |text: &str| folder.lock().unwrap().write(KNOWN_SERVERS_FILE, text.as_bytes()).unwrap();
        write(&format!("# mine\n\nbox:7171   {KEY}\n"));
        assert_eq!(keyring.look_up("box:7171").unwrap().known, Some(KEY));
        for bad in ["box:7171", "box:7171 SHA256:abc", &format!("box:7171 {KEY} more")] {
            write(&format!("\n{bad}\n"));
            let fault = keyring.look_up("box:7171").unwrap_err().to_string();
            assert!(fault.ends_with("known_servers: cannot be understood (line 2)"), "{fault}");
        }
    }

    #[test]
    fn f57_a_given_code_comes_from_the_environment_or_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let code = PairingCode::new(&KEY, PairingSecret::new([1; SECRET_BYTES].into()));
        let text = code.text();
        let is_it = |given| {
            keyring(&dir, Some(given)).given_code().unwrap().unwrap().secret.bytes() == code.secret.bytes()
        };
        assert!(keyring(&dir, None).given_code().unwrap().is_none());
        assert!(is_it(GivenCode::Text(text.clone())));
        let folder = PrivateFolder::open(&dir.path().join("private")).unwrap();
        folder.lock().unwrap().write("code", format!("{}\n", *text).as_bytes()).unwrap();
        let file = folder.path_of("code");
        assert!(is_it(GivenCode::File(file.clone())));
        rustix::fs::chmod(&file, rustix::fs::Mode::from_raw_mode(0o644)).unwrap();
        let fault = keyring(&dir, Some(GivenCode::File(file))).given_code().err().unwrap().to_string();
        assert!(fault.contains("others may read"), "{fault}");
        for wrong in ["", "tow1abc"] {
            let given = GivenCode::Text(Zeroizing::new(wrong.to_owned()));
            let fault = keyring(&dir, Some(given)).given_code().err().unwrap().to_string();
            assert!(fault.starts_with("the pairing code in TOW_PAIR: "), "{fault}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever the list holds: it is understood as it would be written again, or said safely not to be.
        #[test]
        fn f62_any_list_is_understood_or_safely_named(
            lines in proptest::collection::vec(
                ("[a-z\u{9b}\u{1b}:0-9#]{0,12}", "[ \t]{0,2}", proptest::option::of(any::<[u8; 32]>()), "\\PC{0,6}"),
                0..5,
            ),
        ) {
            let text = lines.iter().map(|(address, blank, key, rest)| {
                let key = key.map(|key| KeyHash(key).to_string()).unwrap_or_default();
                format!("{address}{blank}{key}{rest}\n")
            });
            let dir = tempfile::tempdir().unwrap();
            let folder = PrivateFolder::open(&dir.path().join("client")).unwrap();
            folder.lock().unwrap().write(KNOWN_SERVERS_FILE, text.collect::<String>().as_bytes()).unwrap();
            match KnownServers::load(&folder) {
                Ok(known) => {
                    folder.lock().unwrap().write(KNOWN_SERVERS_FILE, known.text().as_bytes()).unwrap();
                    prop_assert_eq!(KnownServers::load(&folder).unwrap(), known);
                }
                Err(fault) => prop_assert!(!fault.to_string().chars().any(char::is_control)),
            }
        }
    }
}
