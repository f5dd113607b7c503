//! The first exchange of a connection: preambles, Hello, Welcome. It finds out whether the other side speaks this protocol at all,
//! and if not says in words what was met instead.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};
use towpath_protocol::display::DisplayName;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::frame::{Decoder, FrameError, HEADER_BYTES, Incoming, encode_to_server};
use towpath_protocol::hello::{
    Capability, Hello, Limits, PREAMBLE, PREAMBLE_NOISE_BYTES_MAX, PROTOCOL_VERSION, Ticket, Welcome,
};
use towpath_protocol::limits::FRAME_BYTES_MAX_BEFORE_HELLO;
use towpath_protocol::message::{Answer, RequestId, Session, ToServer};
use towpath_protocol::pairing::Pairing;

use crate::model::wire::Wire;

/// Bytes of what the other side said that an error shows.
const SHOWN_BYTES: usize = 80;
/// The id of the Hello.
const HELLO: RequestId = RequestId(1);

/// Why no session began.
#[derive(Debug, thiserror::Error)]
pub enum GreetingFault {
    #[error("it said nothing for {seconds} seconds; is that towd?")]
    Silent { seconds: u64 },
    #[error("it closed the connection at once; is that towd?")]
    ClosedAtOnce,
    #[error("a web server answers there, not towd")]
    WebServer,
    #[error("an SSH server answers there, not towd")]
    SshServer,
    #[error("a TLS server answers there, not towd")]
    TlsServer,
    #[error("towd answers there without encryption: it is older than this tow; use versions that match")]
    NotEncrypted,
    #[error("something else than towd answers there: '{}'", shown(.said))]
    NotTowpath { said: Vec<u8> },
    #[error("towd there speaks another version of the protocol: use versions that match ({detail})")]
    Version { detail: String },
    #[error("towd refused the session: {0}")]
    Refused(Fault),
    #[error("towd broke the protocol in its greeting: {0}")]
    Broken(String),
    #[error("the connection was lost in the greeting: {0}")]
    Lost(#[from] io::Error),
}

impl GreetingFault {
    /// What speaks where TLS was expected.
    pub(in crate::link) fn instead_of_tls(said: Vec<u8>) -> Self {
        if said.starts_with(PREAMBLE) { Self::NotEncrypted } else { judge(said) }
    }
}

impl From<FrameError> for GreetingFault {
    fn from(error: FrameError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// What a client asks for besides a session.
#[derive(Debug, Default)]
pub(in crate::link) struct Asks {
    /// To be let in from now on.
    pub(in crate::link) pairing: Option<Pairing>,
    /// To use the line like this.
    pub(in crate::link) wire: Wire,
    /// Not a session of its own, but a further stream of this one.
    pub(in crate::link) join: Option<Ticket>,
    /// To be told to the user once the session stands; [`Link::note`](crate::link::Link::note) has it.
    pub(in crate::link) note: Option<String>,
}

/// A session that has begun.
#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) welcome: Welcome,
    /// The beginning of what came before the preamble.
    pub(super) noise: Option<String>,
    /// Holds what came behind the Welcome.
    pub(super) decoder: Decoder,
    /// From Hello to Welcome.
    pub(super) round_trip: Duration,
}

/// Greets until `deadline`.
pub(super) async fn greet<R, W>(
    reader: &mut R,
    writer: &mut W,
    deadline: Instant,
    asks: Asks,
) -> Result<Greeted, GreetingFault>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let began = Instant::now();
    let mut said = Vec::new();
    let greeting = async {
        // A peer that is no towd may close before it has read all; what it said is worth more than that.
        let sent = say_hello(writer, asks).await;
        let rest = match read_preamble(reader, &mut said).await {
            Err(GreetingFault::Lost(_) | GreetingFault::ClosedAtOnce) if sent.is_err() => {
                return Err(GreetingFault::ClosedAtOnce);
            }
            rest => rest?,
        };
        sent?;
        let mut decoder = Decoder::new();
        decoder.push(&rest);
        let welcome = read_welcome(reader, &mut decoder).await?;
        decoder.allow_frames_up_to(welcome.limits.frame_bytes as usize);
        let noise = (!said.trim_ascii().is_empty()).then(|| shown(&said));
        Ok(Greeted { welcome, noise, decoder, round_trip: began.elapsed() })
    };
    let greeted = timeout_at(deadline, greeting).await;
    greeted.unwrap_or_else(|_elapsed| {
        let seconds = began.elapsed().as_secs();
        Err(if said.is_empty() { GreetingFault::Silent { seconds } } else { judge(said) })
    })
}

/// Preamble and Hello in one: nothing in them is a secret, and it saves a round trip.
async fn say_hello(
    writer: &mut (impl AsyncWrite + Unpin),
    Asks { pairing, wire, join, note: _ }: Asks,
) -> io::Result<()> {
    let mut capabilities = [Capability::STREAMS, Capability::ATTRIBUTES].map(Capability::new).to_vec();
    if wire.compresses {
        capabilities.push(Capability::new(Capability::ZSTD));
    }
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        agent: concat!("tow/", env!("CARGO_PKG_VERSION")).into(),
        capabilities,
        limits: Limits::OURS,
        pairing,
        join,
    };
    let hello =
        encode_to_server(HELLO, &ToServer::Session(Session::Hello(hello))).map_err(io::Error::other)?;
    writer.write_all(&[&PREAMBLE[..], &hello.head].concat()).await?;
    writer.flush().await
}

/// Skips what a login shell may have said before the server's preamble. Returns what came behind it; what came before stays in
/// `said`.
async fn read_preamble(
    reader: &mut (impl AsyncRead + Unpin),
    said: &mut Vec<u8>,
) -> Result<Vec<u8>, GreetingFault> {
    loop {
        let read = reader.read_buf(said).await;
        let is_end = match read {
            Ok(read) => read == 0,
            Err(_) if !said.is_empty() => true,
            Err(error) => return Err(error.into()),
        };
        if let Some(at) = said.windows(PREAMBLE.len()).position(|window| window == PREAMBLE) {
            let rest = said.split_off(at + PREAMBLE.len());
            said.truncate(at);
            if !said.is_empty() {
                tracing::info!(said = %shown(said), "the server's shell talks before towd does");
            }
            return Ok(rest);
        }
        if is_end && said.is_empty() {
            return Err(GreetingFault::ClosedAtOnce);
        }
        if is_end || said.len() > PREAMBLE_NOISE_BYTES_MAX + PREAMBLE.len() || is_other_server(said) {
            return Err(judge(std::mem::take(said)));
        }
    }
}

async fn read_welcome(
    reader: &mut (impl AsyncRead + Unpin),
    decoder: &mut Decoder,
) -> Result<Welcome, GreetingFault> {
    loop {
        if let Some(incoming) = decoder.next_answer()? {
            return judge_welcome(incoming);
        }
        let room = HEADER_BYTES + FRAME_BYTES_MAX_BEFORE_HELLO;
        let space = decoder.space(room, room);
        if reader.read_buf(space).await? == 0 {
            return Err(GreetingFault::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

fn judge_welcome(incoming: Incoming<Answer>) -> Result<Welcome, GreetingFault> {
    match incoming.message {
        Ok(Answer::Welcome(welcome)) if welcome.protocol == PROTOCOL_VERSION => {
            // A server may lower our limits, never raise them.
            let limits = Limits::OURS.lowered_by(welcome.limits);
            Ok(Welcome { limits, ..welcome })
        }
        Ok(Answer::Welcome(welcome)) => Err(GreetingFault::Version {
            detail: format!("ours is {PROTOCOL_VERSION}, towd's is {}", welcome.protocol),
        }),
        Ok(Answer::Fault(fault)) if fault.code == FaultCode::Unsupported => {
            Err(GreetingFault::Version { detail: fault.detail.to_string() })
        }
        Ok(Answer::Fault(fault)) => Err(GreetingFault::Refused(fault)),
        Ok(answer) => Err(GreetingFault::Broken(format!("{} instead of Welcome", answer.name()))),
        Err(_) => Err(GreetingFault::Broken("its Welcome cannot be read".to_owned())),
    }
}

/// Whether the first bytes are some other protocol's for certain, so that nobody has to wait for more.
fn is_other_server(said: &[u8]) -> bool {
    !matches!(judge(said.to_vec()), GreetingFault::NotTowpath { .. })
}

/// What speaks there, if not this protocol.
fn judge(said: Vec<u8>) -> GreetingFault {
    let version = said.windows(PREAMBLE.len()).find(|window| {
        window.starts_with(&PREAMBLE[..PREAMBLE.len() - 1]) && window.last().is_some_and(u8::is_ascii_digit)
    });
    if let Some(preamble) = version {
        return GreetingFault::Version { detail: format!("it says {}", shown(preamble)) };
    }
    match said.as_slice() {
        [b'H', b'T', b'T', b'P', b'/', ..] => GreetingFault::WebServer,
        [b'S', b'S', b'H', b'-', ..] => GreetingFault::SshServer,
        // A TLS record: an alert or a handshake, version 3.x.
        [0x15 | 0x16, 3, 0..=4, ..] => GreetingFault::TlsServer,
        _ => GreetingFault::NotTowpath { said },
    }
}

/// Its beginning, in one line and safe for a terminal.
fn shown(said: &[u8]) -> String {
    let end = said.len().min(SHOWN_BYTES);
    let text = DisplayName::new(said[..end].trim_ascii()).to_string();
    if end < said.len() { text + "…" } else { text }
}
