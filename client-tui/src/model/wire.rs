//! How connections are to be used, as the person has set it.

use towpath_protocol::limits;

/// Streams that a session may have where nobody says otherwise.
pub const STREAMS_DEFAULT: u8 = limits::STREAMS_DEFAULT as u8;
/// Streams that a session may have at most, whatever is set.
pub const STREAMS_MAX: u8 = 16;

/// The same for all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// Connections that one session may have, 1 to [`STREAMS_MAX`]. More than one is opened only where it helps.
    pub streams: u8,
    /// Whether data is compressed where the line is slower than that.
    pub compresses: bool,
}

impl Default for Wire {
    fn default() -> Self {
        Self { streams: STREAMS_DEFAULT, compresses: true }
    }
}
