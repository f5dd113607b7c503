//! The first exchange of a session: preambles, Hello, Welcome, all before one absolute deadline and under the small frame
//! limit. It may not know anything of requests.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout_at;
use towpath_protocol::display::PeerText;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::frame::{Decoder, Incoming, Undecodable, encode_answer};
use towpath_protocol::hello::{Capability, Hello, PREAMBLE, PROTOCOL_VERSION, Ticket, Welcome};
use towpath_protocol::message::{Answer, RequestId, Session, ToServer};

use super::streams::{BulkSender, Streams};
use super::tickets::Offer;
use super::{Door, Serve, SessionEnd, SessionOptions};

/// Bytes read at a time before Hello is answered.
const READ_BYTES: usize = 4 * 1024;

/// What was agreed.
pub(super) enum Opened<S> {
    Session(Begun<S>),
    /// A further stream of a session that is open.
    Stream(Arc<Streams>),
}

pub(super) struct Begun<S> {
    pub(super) service: Arc<S>,
    pub(super) agent: PeerText,
    pub(super) streams: Arc<Streams>,
    pub(super) bulk: BulkSender,
    /// Where further streams may join, for as long as this lives.
    pub(super) offer: Option<Offer>,
}

/// Greets and is greeted. Afterwards `decoder` holds what came behind the Hello, and allows frames as agreed.
pub(super) async fn open<S, R, W>(
    reader: &mut R,
    writer: &mut W,
    decoder: &mut Decoder,
    door: Door<S>,
    options: &SessionOptions,
) -> Result<Opened<S>, SessionEnd>
where
    S: Serve,
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let opening = async {
        writer.write_all(PREAMBLE).await.map_err(lost)?;
        writer.flush().await.map_err(lost)?;
        read_preamble(reader).await?;
        let (id, hello) = match read_hello(reader, decoder).await? {
            Ok(hello) => hello,
            Err((id, fault)) => return refuse(writer, id, fault).await,
        };
        let opened = match hello.join {
            Some(ticket) => join(&ticket, &door, options),
            None => begin(hello, door, options).await,
        };
        let (opened, welcome) = match opened {
            Ok(opened) => opened,
            Err(fault) => return refuse(writer, id, fault).await,
        };
        decoder.allow_frames_up_to(welcome.limits.frame_bytes as usize);
        say(writer, id, &welcome.into()).await.map_err(lost)?;
        Ok(opened)
    };
    let drained = async {
        options.drain.cancelled().await;
        SessionEnd::Refused(FaultCode::ShuttingDown.into())
    };
    tokio::select! {
        opened = timeout_at(options.hello_deadline, opening) => {
            opened.unwrap_or(Err(SessionEnd::HelloLate))
        }
        end = drained => Err(end),
    }
}

/// A session for whoever the door lets in.
async fn begin<S: Serve>(
    hello: Hello,
    door: Door<S>,
    options: &SessionOptions,
) -> Result<(Opened<S>, Welcome), Fault> {
    let (agent, limits) = (hello.agent.clone(), options.limits.lowered_by(hello.limits));
    let packs = hello.has(Capability::ZSTD);
    let has_streams = hello.has(Capability::STREAMS);
    let narrows = !hello.has(Capability::ATTRIBUTES);
    let service = door.admit(hello).await?.for_session();
    let mut welcome = Welcome { protocol: PROTOCOL_VERSION, limits, ..service.welcome().clone() };
    if packs {
        welcome.capabilities.push(Capability::new(Capability::ZSTD));
    }
    let (streams, bulk) =
        Streams::new(welcome.clone(), narrows, (service.memory(), service.share()), options);
    let joining = options.joining.as_ref().filter(|_| has_streams);
    let offer = joining.and_then(|joining| joining.offer(streams.clone()));
    if let Some(offer) = &offer {
        welcome.capabilities.push(Capability::new(Capability::STREAMS));
        welcome.ticket = Some(offer.ticket);
    }
    Ok((Opened::Session(Begun { service, agent, streams, bulk, offer }), welcome))
}

/// A stream more for the session of this ticket. Its client was let in when that began; nothing is asked again.
fn join<S: Serve>(
    ticket: &Ticket,
    door: &Door<S>,
    options: &SessionOptions,
) -> Result<(Opened<S>, Welcome), Fault> {
    if let Door::Shut(fault) = door {
        return Err(fault.clone());
    }
    let Some(joining) = &options.joining else {
        return Err(Fault::new(FaultCode::Unsupported).because("no session here takes further streams"));
    };
    let streams = joining.join(ticket)?;
    let welcome = streams.welcome.clone();
    Ok((Opened::Stream(streams), welcome))
}

/// Judges each byte as it comes, so that a browser or a shell is told at its first line.
async fn read_preamble(reader: &mut (impl AsyncRead + Unpin)) -> Result<(), SessionEnd> {
    let mut said = [0; PREAMBLE.len()];
    let mut len = 0;
    while len < said.len() {
        match reader.read(&mut said[len..]).await.map_err(lost)? {
            0 if len == 0 => return Err(SessionEnd::Silent),
            0 => return Err(SessionEnd::NotTowpath { said: said[..len].to_vec() }),
            read => len += read,
        }
        if !PREAMBLE.starts_with(&said[..len]) {
            return Err(SessionEnd::NotTowpath { said: said[..len].to_vec() });
        }
    }
    Ok(())
}

/// The Hello, or the fault that the first message is answered with.
async fn read_hello(
    reader: &mut (impl AsyncRead + Unpin),
    decoder: &mut Decoder,
) -> Result<Result<(RequestId, Hello), (RequestId, Fault)>, SessionEnd> {
    loop {
        match decoder.next_to_server() {
            Ok(Some(first)) => return Ok(judge(first)),
            Ok(None) => {}
            Err(error) => {
                let fault = Fault::new(FaultCode::Malformed).because(error.to_string());
                return Ok(Err((RequestId::NONE, fault)));
            }
        }
        let mut space = bytes::BufMut::limit(decoder.space(READ_BYTES, READ_BYTES), READ_BYTES);
        if reader.read_buf(&mut space).await.map_err(lost)? == 0 {
            return Err(SessionEnd::Lost(None));
        }
    }
}

fn judge(first: Incoming<ToServer>) -> Result<(RequestId, Hello), (RequestId, Fault)> {
    let fault = match first.message {
        Ok(ToServer::Session(Session::Hello(hello))) if hello.protocol == PROTOCOL_VERSION => {
            return Ok((first.id, hello));
        }
        Ok(ToServer::Session(Session::Hello(hello))) => Fault::new(FaultCode::Unsupported).because(format!(
            "this server speaks protocol {PROTOCOL_VERSION}, the client {}: use versions that match",
            hello.protocol
        )),
        Ok(_) => Fault::new(FaultCode::OutOfOrder).because("the first message must be Hello"),
        Err(Undecodable::UnknownKind(_)) => {
            Fault::new(FaultCode::Unsupported).because("the first message must be Hello")
        }
        Err(Undecodable::BadBody(_)) => Fault::new(FaultCode::Malformed).because("in the first message"),
    };
    Err((first.id, fault))
}

async fn refuse<S, W: AsyncWrite + Unpin>(
    writer: &mut W,
    id: RequestId,
    fault: Fault,
) -> Result<Opened<S>, SessionEnd> {
    say(writer, id, &Answer::Fault(fault.clone())).await.map_err(lost)?;
    Err(SessionEnd::Refused(fault))
}

async fn say(writer: &mut (impl AsyncWrite + Unpin), id: RequestId, answer: &Answer) -> io::Result<()> {
    let encoded = encode_answer(id, answer).map_err(io::Error::other)?;
    writer.write_all(&encoded.head).await?;
    writer.flush().await
}

fn lost(error: io::Error) -> SessionEnd {
    SessionEnd::Lost(Some(error))
}
