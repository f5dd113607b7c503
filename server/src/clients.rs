//! The list of clients that may come in: who they are by their keys, their names, and what they may do. It knows no sockets and no
//! codes.

use serde::{Deserialize, Serialize};
use towpath_files::private_files::{Locked, PrivateFault, PrivateFolder};
use towpath_protocol::display::PeerText;
use towpath_protocol::limits::CLIENT_NAME_BYTES_MAX;
use towpath_protocol::pairing::KeyHash;

use crate::rights::Rights;

/// The file in the private folder.
pub(crate) const CLIENTS_FILE: &str = "clients.json";
/// Clients that may be paired at a time.
const CLIENTS_MAX: usize = 1000;

/// All of them, in the order of their pairing. A field that this version does not know is an error: it may take something away.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clients {
    /// Numbers are not given twice.
    last_id: u32,
    clients: Vec<Client>,
}

/// A client's name: given by the owner of the server, else what the client calls itself.
pub(crate) type ClientName = PeerText<CLIENT_NAME_BYTES_MAX>;

/// Parses a name that is given on the command line. Refuses what would print escaped or cut in a listing.
pub(crate) fn given_name(text: &str) -> Result<ClientName, String> {
    if text.trim().is_empty() {
        return Err("a name is not empty".to_owned());
    }
    if text.len() > CLIENT_NAME_BYTES_MAX {
        return Err(format!("longer than {CLIENT_NAME_BYTES_MAX} bytes"));
    }
    let name = ClientName::new(text);
    // A peer's text prints other than what it holds if that has control characters.
    let printed = name.to_string();
    if text.trim() != text || printed != text {
        return Err("a name has no control or invisible characters, and no blanks at its ends".to_owned());
    }
    Ok(name)
}

/// One that was paired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    pub(crate) id: u32,
    name: ClientName,
    #[serde(with = "fingerprint")]
    pub(crate) key: KeyHash,
    /// Seconds since 1970.
    pub(crate) paired: u64,
    #[serde(default)]
    pub(crate) rights: Rights,
}

impl Client {
    /// Safe for a terminal.
    pub(crate) fn name(&self) -> String {
        self.name.to_string()
    }
}

impl Clients {
    /// None at all where there is no file.
    pub(crate) fn load(folder: &PrivateFolder) -> Result<Self, PrivateFault> {
        let Some(content) = folder.read(CLIENTS_FILE)? else { return Ok(Self::default()) };
        serde_json::from_slice(&content).map_err(|error| folder.not_understood(CLIENTS_FILE, error))
    }

    pub(crate) fn save(&self, locked: &Locked<'_>) -> Result<(), PrivateFault> {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        locked.write(CLIENTS_FILE, text.as_bytes())
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Names for people: of one or two clients each, else how many there are.
    pub(crate) fn summary(&self) -> String {
        match self.clients.as_slice() {
            [] => "no client".to_owned(),
            [one] => one.name(),
            [one, other] => format!("{} and {}", one.name(), other.name()),
            all => format!("{} clients", all.len()),
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.clients.len()
    }

    /// Another client than `id` that has this name.
    pub(crate) fn has_name(&self, name: &ClientName, id: Option<u32>) -> Option<&Client> {
        self.clients.iter().find(|client| client.name == *name && Some(client.id) != id)
    }

    /// Gives a client another name. Returns the one that it had; `None` if no client has that number.
    pub(crate) fn rename(&mut self, id: u32, name: ClientName) -> Option<String> {
        let client = self.of_id(id)?;
        Some(std::mem::replace(&mut client.name, name).to_string())
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.clients.len() >= CLIENTS_MAX
    }

    pub(crate) fn of_key(&self, key: &KeyHash) -> Option<&Client> {
        self.clients.iter().find(|client| client.key == *key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Client> {
        self.clients.iter()
    }

    /// The one that was added.
    pub(crate) fn add(&mut self, key: KeyHash, name: &ClientName, now: u64, rights: Rights) -> Client {
        self.last_id += 1;
        let client = Client { id: self.last_id, name: name.clone(), key, paired: now, rights };
        self.clients.push(client.clone());
        client
    }

    /// Gives a client on the list the rights of a code that it has used, and the code's name if it has one. `None` if no client has this key.
    pub(crate) fn take_offer(
        &mut self,
        key: &KeyHash,
        name: Option<&ClientName>,
        rights: &Rights,
    ) -> Option<Client> {
        let client = self.clients.iter_mut().find(|client| client.key == *key)?;
        client.rights = rights.clone();
        if let Some(name) = name {
            client.name = name.clone();
        }
        Some(client.clone())
    }

    /// The client whose rights are to change; none where there is none of that number.
    pub(crate) fn of_id(&mut self, id: u32) -> Option<&mut Client> {
        self.clients.iter_mut().find(|client| client.id == id)
    }

    /// The client that is gone; none where there was none of that number.
    pub(crate) fn remove(&mut self, id: u32) -> Option<Client> {
        let at = self.clients.iter().position(|client| client.id == id)?;
        Some(self.clients.remove(at))
    }
}

/// A key's hash as people read it.
mod fingerprint {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use towpath_protocol::pairing::KeyHash;

    pub(super) fn serialize<S: Serializer>(key: &KeyHash, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(key)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KeyHash, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_not_given_twice() {
        let dir = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open(&dir.path().join("state")).unwrap();
        let mut clients = Clients::load(&folder).unwrap();
        assert!(clients.is_empty());
        clients.add(KeyHash([1; 32]), &"ann@box".into(), 5, Rights::default());
        clients.add(KeyHash([2; 32]), &"bob\x1b[2J".into(), 6, Rights::default());
        assert_eq!(clients.remove(2).unwrap().name(), "bob\\x1b[2J");
        assert_eq!(clients.remove(2), None);
        clients.save(&folder.lock().unwrap()).unwrap();
        let mut clients = Clients::load(&folder).unwrap();
        clients.add(KeyHash([3; 32]), &"eve".into(), 7, Rights::default());
        let ids: Vec<_> = clients.iter().map(|client| client.id).collect();
        assert_eq!(ids, [1, 3]);
        assert_eq!(clients.of_key(&KeyHash([1; 32])).unwrap().name(), "ann@box");
        assert_eq!(clients.of_key(&KeyHash([2; 32])), None);
    }

    #[test]
    fn a_given_name_prints_as_it_was_typed() {
        for name in ["ann's laptop", "büro", "日本", &"x".repeat(CLIENT_NAME_BYTES_MAX)] {
            assert_eq!(given_name(name).unwrap().to_string(), name);
        }
        let long = "x".repeat(CLIENT_NAME_BYTES_MAX + 1);
        for name in ["", " ", "ann ", " ann", "a\tb", "a\u{202e}b", "\x1b[2J", long.as_str()] {
            assert!(given_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn f62_a_list_that_cannot_be_understood_is_no_empty_list() {
        let dir = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open(&dir.path().join("state")).unwrap();
        for content in [
            "",
            "{}",
            "[]",
            r#"{"last_id":0,"clients":[],"more":1}"#,
            r#"{"last_id":1,"clients":[{"id":1,
            "name":"x","key":"SHA256:short","paired":0}]}"#,
        ] {
            folder.lock().unwrap().write(CLIENTS_FILE, content.as_bytes()).unwrap();
            let fault = Clients::load(&folder).unwrap_err().to_string();
            assert!(fault.contains("clients.json: cannot be understood"), "{fault}");
        }
    }
}
