//! Towpath's encrypted streams: who a machine is, and TLS 1.3 between two that know each other's keys.
//!
//! Each side has an Ed25519 key of its own ([`Identity`], kept in a private folder) and shows it as a raw public key (RFC 7250): there
//! are no certificates, no names in them, no authorities and no dates. The client pins the server's key
//! ([`Pin`](towpath_protocol::pairing::Pin)) and checks it in the handshake, before it says anything about itself; the server learns the
//! client's key and leaves it to its own list what that key may do. PROTOCOL.md, chapter 15, is the contract.
//!
//! | module | |
//! | --- | --- |
//! | [`identity`] | a machine's own key |
//! | [`settings`](self) | what both sides agree on: TLS 1.3 alone, one group, ALPN, no tickets, no early data; the two verifiers |
//! | [`stream`] | a handshake over any byte stream, and in words why there was none |
//! | [`encrypted`](self) | the stream after it: many records a read |
//! | [`beginning`](self) | a stream's first bytes, kept to tell who speaks there |
//! | [`read_ahead`](self) | beneath it all: few reads from the system |
//!
//! It knows no socket, no clock and no list of peers. Whoever calls sets the deadline.

mod encrypted;
pub mod identity;
mod large;
mod read_ahead;
mod settings;
pub mod stream;

pub use encrypted::Encrypted;
pub use identity::Identity;
pub use stream::{Acceptor, Secure, SecureFault, connect, probe};
