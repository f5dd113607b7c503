//! The first exchange: who speaks, which version, what each side can do and allows.

use serde::{Deserialize, Serialize};

use crate::display::PeerText;
use crate::limits::{
    self, CAPABILITIES_MAX, CAPABILITY_BYTES_MAX, FRAME_BYTES_LEAST, FRAME_BYTES_MAX, PATH_COMPONENTS_MAX,
    REQUESTS_IN_FLIGHT_MAX, UPLOAD_CREDIT_BYTES_MAX,
};
use crate::pairing::Pairing;
use crate::path::WirePath;
use crate::permissions::Permissions;
use crate::wire::{bounded, bounded_text, fixed_bytes, numbered};

/// What each side sends before its first frame. A client may skip up to [`PREAMBLE_NOISE_BYTES_MAX`] bytes before it (a
/// login shell's chatter); a server does not.
pub const PREAMBLE: &[u8; 8] = b"TOWPATH1";
/// Most bytes of noise before the preamble that a client skips.
pub const PREAMBLE_NOISE_BYTES_MAX: usize = 8 * 1024;
/// The protocol version that this crate speaks. Another one is refused in Hello's answer.
pub const PROTOCOL_VERSION: u16 = 1;

/// A feature that a peer may or may not have. Unknown names are kept and ignored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Capability(String);

impl Capability {
    /// A session may have several streams. Said by both sides.
    pub const STREAMS: &str = "streams";
    /// Frames may be packed. Said by both sides.
    pub const ZSTD: &str = "zstd";
    /// `name` cut to 64 bytes.
    pub fn new(name: &str) -> Self {
        Self(name[..name.floor_char_boundary(CAPABILITY_BYTES_MAX)].to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Hashes of blocks are told, and an upload may take over parts of what it replaces.
    pub const BLOCKS: &str = "blocks";
    /// Holes are told by a Read and taken by an upload, in place of their zeros.
    pub const HOLES: &str = "holes";
    /// Times beyond an i64 of nanoseconds, and attributes that are not known, are told as such. Said by both sides.
    pub const ATTRIBUTES: &str = "attributes";
    /// Metadata is read and set on request.
    pub const METADATA: &str = "metadata";
    /// A Remove may set a file aside first, and a Flush may be of one file.
    pub const ASIDE: &str = "aside";
    /// The server writes down what it refuses: a client asks it also for what Welcome says that it may not do.
    pub const REFUSALS: &str = "refusals";
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded_text::<_, CAPABILITY_BYTES_MAX>(deserializer).map(Self)
    }
}

/// What a side allows its peer. The lower of both sides' numbers holds; a peer's zero, or more than the protocol's own
/// bound, is read as that bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub frame_bytes: u32,
    pub requests_in_flight: u32,
    pub upload_credit_bytes: u64,
}

impl Limits {
    /// The protocol's own bounds.
    pub const OURS: Self = Self {
        frame_bytes: FRAME_BYTES_MAX as u32,
        requests_in_flight: REQUESTS_IN_FLIGHT_MAX as u32,
        upload_credit_bytes: UPLOAD_CREDIT_BYTES_MAX,
    };

    /// The lower of each pair. A peer's zero, and what is more than ours, is ours; a peer's number below what the protocol
    /// needs to work ([`FRAME_BYTES_LEAST`], 4 requests, one range) is that. So both sides can compute the same result, in either order.
    #[must_use]
    pub fn lowered_by(self, peer: Self) -> Self {
        fn lower<T: Ord + Default>(ours: T, theirs: T, least: T) -> T {
            if theirs == T::default() { ours } else { ours.min(theirs.max(least)) }
        }
        Self {
            frame_bytes: lower(self.frame_bytes, peer.frame_bytes, FRAME_BYTES_LEAST as u32),
            requests_in_flight: lower(
                self.requests_in_flight,
                peer.requests_in_flight,
                REQUESTS_IN_FLIGHT_LEAST,
            ),
            upload_credit_bytes: lower(
                self.upload_credit_bytes,
                peer.upload_credit_bytes,
                limits::RANGE_BYTES,
            ),
        }
    }
}

/// The fewest requests in flight that a peer can ask for.
const REQUESTS_IN_FLIGHT_LEAST: u32 = 4;

/// The client's first message. Answered by [`Welcome`] or a Fault, after which the server closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u16,
    /// Program and version, for the other side's log.
    pub agent: PeerText,
    #[serde(default, deserialize_with = "bounded::<_, _, CAPABILITIES_MAX>")]
    pub capabilities: Vec<Capability>,
    pub limits: Limits,
    /// From a client that the server does not know yet; looked at in encrypted sessions only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairing: Option<Pairing>,
    /// Of the session that this stream is to be a further one of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<Ticket>,
}

impl Hello {
    /// Whether the client has a capability of this name.
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|known| known.as_str() == capability)
    }
}

numbered! {
    /// How paths resolve beneath a root.
    pub enum RootKind: u8 {
        /// The whole file system as the server's user sees it; links resolve as the system would.
        Whole = 0,
        /// One folder; nothing leads out of it.
        Jailed = 1,
    }
}

numbered! {
    /// Whether the session may change anything.
    pub enum Access: u8 {
        ReadWrite = 0,
        ReadOnly = 1,
    }
}

numbered! {
    /// Whether names that differ only in case are different.
    pub enum NameCase: u8 {
        Sensitive = 0,
        Insensitive = 1,
    }
}

fixed_bytes! {
    /// The same for all services of one running system, and for no other. Says nothing about the system beyond that.
    pub struct MachineId([u8; 16]);
}

fixed_bytes! {
    /// Lets a further stream join the session that it was given for. Chosen by the server at random, and a secret between both sides.
    pub struct Ticket([u8; 16]);
}

/// Which system a service runs on, and where its root is there. Two services of one machine give a thing that both can see the same
/// identity, so that a client notices when it is about to copy something onto or into itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub id: MachineId,
    /// Identities of the folders above the root, the nearest first, as far up as the server may look.
    #[serde(default, deserialize_with = "bounded::<_, _, PATH_COMPONENTS_MAX>")]
    pub above: Vec<u64>,
}

/// The server's answer to [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub protocol: u16,
    pub agent: PeerText,
    #[serde(default, deserialize_with = "bounded::<_, _, CAPABILITIES_MAX>")]
    pub capabilities: Vec<Capability>,
    /// The limits of this session: the lower of both sides'.
    pub limits: Limits,
    /// The root's name for people, as the server writes it (`/srv/files`).
    pub root_name: PeerText,
    pub root_kind: RootKind,
    pub access: Access,
    /// What this client may do, where that is not everything.
    #[serde(default, skip_serializing_if = "Permissions::are_all")]
    pub may: Permissions,
    pub name_case: NameCase,
    /// Where a session begins, below the root: empty for a jailed root, the user's home for a whole one.
    pub home: WirePath,
    /// None where the system has no way to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// For further streams of this session; none where it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
}

impl Welcome {
    /// Whether the server has a capability of this name.
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|known| known.as_str() == capability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(frame_bytes: u32, requests_in_flight: u32, upload_credit_bytes: u64) -> Limits {
        Limits { frame_bytes, requests_in_flight, upload_credit_bytes }
    }

    #[test]
    fn a_peer_lowers_limits_and_never_raises_them() {
        let ours = Limits::OURS;
        let cases = [
            ("as you like", limits(0, 0, 0), ours),
            ("more than ours", limits(u32::MAX, u32::MAX, u64::MAX), ours),
            ("less", limits(600_000, 64, 2 << 20), limits(600_000, 64, 2 << 20)),
            ("less than can work", limits(1, 1, 1), limits(512 * 1024, 4, 1 << 20)),
            ("one of them", limits(0, 8, 0), Limits { requests_in_flight: 8, ..ours }),
        ];
        for (name, peer, expected) in cases {
            let session = ours.lowered_by(peer);
            assert_eq!(session, expected, "{name}");
            assert_eq!(ours.lowered_by(session), session, "{name}: said back, it stays");
        }
    }

    #[test]
    fn a_capability_is_cut_at_a_character() {
        assert_eq!(Capability::new("resume").as_str(), "resume");
        let long = format!("{}é", "x".repeat(63));
        assert_eq!(Capability::new(&long).as_str(), "x".repeat(63));
    }
}
