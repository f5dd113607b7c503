//! How a session ended, in words for a log.

use std::fmt;
use std::io;

use towpath_protocol::display::DisplayName;
use towpath_protocol::fault::Fault;
use towpath_protocol::frame::FrameError;

/// How a session ended.
#[derive(Debug)]
pub enum SessionEnd {
    /// The client said Bye and was answered.
    Bye,
    /// The server is leaving; what was running had its time, and the client was told Bye.
    Drained,
    /// Nothing was said and nothing asked for longer than allowed.
    Idle,
    /// The connection ended without a Bye, for this reason if the system gave one.
    Lost(Option<io::Error>),
    /// The connection ended before its first byte: a look at the port, and no client.
    Silent,
    /// The client takes no bytes although there are some for it.
    Stalled,
    /// One of the session's streams did not bring, for so long, what came before that of others; and the client was told so.
    Hanging { seconds: u64 },
    /// The peer's first bytes are not Towpath's preamble: what it said, 8 bytes at most.
    NotTowpath { said: Vec<u8> },
    /// Hello did not come in time.
    HelloLate,
    /// The stream was a further one of a session, and has ended with it.
    Joined,
    /// The first message was answered with this fault.
    Refused(Fault),
    /// The bytes are not frames.
    Broken(FrameError),
    /// The client has lost the right to be here, and was told why.
    Revoked(Fault),
    /// The client broke the rules of the protocol, and was told this.
    Violation(Fault),
}

/// Lower case, without a full stop, safe for a terminal.
impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bye => f.write_str("said goodbye"),
            Self::Drained => f.write_str("the server is shutting down"),
            Self::Idle => f.write_str("nothing was said for too long"),
            Self::Lost(None) => f.write_str("the connection was lost"),
            Self::Lost(Some(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("the connection was cut")
            }
            Self::Lost(Some(error)) => write!(f, "the connection was lost: {error}"),
            Self::Silent => f.write_str("it closed without a word"),
            Self::Stalled => f.write_str("the client takes no data"),
            Self::Hanging { seconds } => {
                write!(f, "one of its streams has brought nothing for {seconds} seconds")
            }
            Self::NotTowpath { said } => {
                write!(f, "not a Towpath client: it began with '{}'", DisplayName::new(said))
            }
            Self::Joined => f.write_str("its session has ended"),
            Self::HelloLate => f.write_str("no greeting in time"),
            Self::Refused(fault) | Self::Violation(fault) | Self::Revoked(fault) => write!(f, "{fault}"),
            Self::Broken(error) => write!(f, "not valid frames: {error}"),
        }
    }
}
