//! What one client may do: in which folder, which verbs, and how much it may store. Kept with the client on the list, and with a pairing
//! code for the client that will use it. It knows no list, no code and no session.

use clap::Args;
use serde::{Deserialize, Serialize};
use towpath_files::service::{ClientId, Grant};
use towpath_protocol::path::WirePath;
use towpath_protocol::permissions::Permissions;

use crate::limits;

/// As written in towd's own files: what is left out is not restricted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rights {
    /// Below the served folder; empty for all of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    folder: String,
    #[serde(default, with = "words", skip_serializing_if = "Permissions::are_all")]
    may: Permissions,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quota_bytes: Option<u64>,
}

/// What a client is to have. What is not named stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub(crate) struct RightsArgs {
    /// The folder that the client sees as its root, below the served one; / for all of it
    #[arg(long, value_name = "SUB", value_parser = folder)]
    folder: Option<String>,
    /// What it may do, of list, read, write, delete and owner: write adds what is new, delete removes, renames and
    /// replaces what is there, owner lets it give what it writes another owner and setuid bits; without --allow, pair allows all but owner and set keeps what is allowed
    #[arg(long, value_name = "list,read,…")]
    allow: Option<Permissions>,
    /// As --allow list,read
    #[arg(long, conflicts_with = "allow")]
    read_only: bool,
    /// What it may store, as 10GiB; none for as much as everybody
    #[arg(long, value_name = "SIZE", value_parser = quota)]
    quota: Option<u64>,
}

fn folder(text: &str) -> Result<String, String> {
    let path = WirePath::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    let shown = path.names().iter().map(|name| String::from_utf8_lossy(name.as_bytes()));
    Ok(shown.collect::<Vec<_>>().join("/"))
}

fn quota(text: &str) -> Result<u64, String> {
    limits::quantity(text).ok_or_else(|| "not a size such as 500MiB or 10GiB, nor none".to_owned())
}

impl RightsArgs {
    pub(crate) const fn names_folder(&self) -> bool {
        self.folder.is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What becomes of `rights`.
    pub(crate) fn applied_to(self, rights: &Rights) -> Rights {
        let named = self.allow.or_else(|| self.read_only.then_some(Permissions::READ_ONLY));
        Rights {
            folder: self.folder.unwrap_or_else(|| rights.folder.clone()),
            may: named.unwrap_or(rights.may),
            quota_bytes: match self.quota {
                Some(u64::MAX) => None,
                Some(bytes) => Some(bytes),
                None => rights.quota_bytes,
            },
        }
    }
}

impl Rights {
    /// None where the folder is no path that can be said: then nobody gets in.
    pub(crate) fn grant(&self, client: u32, quota_bytes: Option<u64>) -> Option<Grant> {
        let folder = WirePath::parse(self.folder.as_bytes()).ok()?;
        let quota_bytes = self.quota_bytes.or(quota_bytes);
        Some(Grant { client: ClientId(client), folder, may: self.may, quota_bytes })
    }

    /// The folder, for people.
    pub(crate) fn folder(&self) -> String {
        towpath_protocol::display::DisplayName::new(format!("/{}", self.folder).as_bytes()).to_string()
    }

    pub(crate) const fn may(&self) -> Permissions {
        self.may
    }

    /// For people.
    pub(crate) fn quota(&self) -> String {
        self.quota_bytes.map_or_else(|| "-".to_owned(), limits::shown)
    }
}

/// Permissions as people write them.
mod words {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use towpath_protocol::permissions::Permissions;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(may: &Permissions, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(may)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Permissions, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_restricted_is_not_written() {
        assert_eq!(serde_json::to_string(&Rights::default()).unwrap(), "{}");
        let args = RightsArgs {
            folder: Some(folder("/a//b/").unwrap()),
            allow: Some(Permissions::READ_ONLY),
            read_only: false,
            quota: Some(1024),
        };
        let rights = args.applied_to(&Rights::default());
        let text = serde_json::to_string(&rights).unwrap();
        assert_eq!(text, r#"{"folder":"a/b","may":"list,read","quota_bytes":1024}"#);
        assert_eq!(serde_json::from_str::<Rights>(&text).unwrap(), rights);
        let undone = RightsArgs { quota: Some(u64::MAX), ..RightsArgs::default() };
        assert_eq!(undone.applied_to(&rights).quota_bytes, None);
    }

    #[test]
    fn f62_rights_that_cannot_be_understood_are_no_rights() {
        for text in [r#"{"may":"everything"}"#, r#"{"may":""}"#, r#"{"more":1}"#, r#"{"folder":7}"#] {
            assert!(serde_json::from_str::<Rights>(text).is_err(), "{text}");
        }
        let rights: Rights = serde_json::from_str(r#"{"folder":"../up"}"#).unwrap();
        assert_eq!(rights.grant(1, None), None);
        assert!(folder("../up").is_err());
    }
}
