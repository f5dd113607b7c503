//! A handshake over any byte stream, by either side; and in words why there was none. It sets no deadline: who calls does.

use std::io;
use std::sync::Arc;

use rustls::pki_types::{DnsName, ServerName};
use rustls::{AlertDescription, ClientConfig, Error, PeerIncompatible, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};
use towpath_protocol::pairing::{KeyHash, Pin};
use zeroize::Zeroizing;

use crate::encrypted::Encrypted;
use crate::identity::{Identity, key_hash};
use crate::read_ahead::ReadAhead;
use crate::settings;

/// RFC 9266: what both ends of this one connection know, and nobody else.
const CHANNEL_BINDING: &[u8] = b"EXPORTER-Channel-Binding";
/// What every TLS client says first: the content type of a handshake.
const HANDSHAKE: u8 = 22;
/// What a TLS server says first: a handshake, or an alert.
const ALERT: u8 = 21;
/// What somebody who does not speak TLS is told. It fits whatever they speak: they will show it.
const TURNED_AWAY: &[u8] = b"This is towd. It speaks TLS 1.3 with tow, and nothing else.\n";
/// Most bytes that are taken in from somebody who is turned away, so that the words are not lost in a reset.
const LINGER_BYTES_MAX: u64 = 64 * 1024;

/// An encrypted stream to a peer whose key is proven. Its end must be explicit: a stream that stops without `close_notify` gives an
/// `UnexpectedEof` error.
#[derive(Debug)]
pub struct Secure<S> {
    pub stream: Encrypted<S>,
    /// The peer's key.
    pub peer: KeyHash,
    /// Differs in every connection, and is the same at both ends of it.
    pub channel: Zeroizing<[u8; 32]>,
}

/// Why there is no encrypted stream. Safe for a terminal.
#[derive(Debug, thiserror::Error)]
pub enum SecureFault {
    /// Nothing was said to it that it did not know before.
    #[error("the server's key is not the one that is known (known {known}, found {found})")]
    OtherKey { known: Pin, found: KeyHash },
    /// What it said instead, its first bytes.
    #[error("it does not speak TLS")]
    NotTls { said: Vec<u8> },
    #[error("it speaks another version of TLS than 1.3")]
    OtherTls,
    #[error("it does not speak this version of the protocol")]
    OtherProtocol,
    /// Without a word.
    #[error("it closed the connection")]
    Closed,
    /// A client that does not know this server yet looked who it is ([`probe`]).
    #[error("it does not know this server's key yet")]
    Probed,
    #[error("the handshake failed ({0})")]
    Failed(Error),
    #[error(transparent)]
    Lost(io::Error),
}

/// A server's side, once for all its connections. Cheap to clone.
#[derive(Clone)]
pub struct Acceptor(Arc<ServerConfig>);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

impl Acceptor {
    pub fn new(identity: &Identity) -> Result<Self, SecureFault> {
        let config = settings::server(identity).map_err(SecureFault::Failed)?;
        Ok(Self(Arc::new(config)))
    }

    /// The handshake. Somebody who does not speak TLS is told what this is.
    pub async fn accept<S>(&self, stream: S) -> Result<Secure<S>, SecureFault>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.accept_telling(stream, || ()).await
    }

    /// As [`accept`](Self::accept); `asked` is called once the client has said all that a handshake begins with.
    pub async fn accept_telling<S>(&self, stream: S, asked: impl FnOnce()) -> Result<Secure<S>, SecureFault>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = ReadAhead::of(stream);
        match stream.peek().await.map_err(SecureFault::Lost)? {
            [HANDSHAKE, ..] => {}
            [] => return Err(SecureFault::Closed),
            said => {
                let said = said.to_vec();
                turn_away(stream).await;
                return Err(SecureFault::NotTls { said });
            }
        }
        let hello =
            LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await.map_err(fault)?;
        asked();
        let accepted = hello.into_stream(self.0.clone()).into_fallible().await;
        secured(Encrypted::server(accepted.map_err(|(error, _)| fault(error))?))
    }
}

/// The handshake, with the server that the pin names and no other. Nothing about this side is said before the server's key is checked.
pub async fn connect<S>(stream: S, identity: &Identity, pin: Pin) -> Result<Secure<S>, SecureFault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (config, other) = settings::client(identity, Some(pin)).map_err(SecureFault::Failed)?;
    let stream = handshake(stream, config).await.map_err(|fault| match other.get() {
        Some(found) => SecureFault::OtherKey { known: pin, found: *found },
        None => fault,
    })?;
    secured(Encrypted::client(stream))
}

/// Looks whether a server of this protocol answers, and returns its key. The handshake ends there: the server learns nothing about this
/// side, and must not be trusted for what it showed.
pub async fn probe<S>(stream: S, identity: &Identity) -> Result<KeyHash, SecureFault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (config, found) = settings::client(identity, None).map_err(SecureFault::Failed)?;
    let ended = handshake(stream, config).await;
    match (found.get(), ended) {
        (Some(found), _) => Ok(*found),
        (None, Err(fault)) => Err(fault),
        (None, Ok(_)) => Err(SecureFault::OtherProtocol),
    }
}

async fn handshake<S>(stream: S, config: ClientConfig) -> Result<TlsStream<ReadAhead<S>>, SecureFault>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connector = TlsConnector::from(Arc::new(config));
    let connected = connector.connect(nobody()?, ReadAhead::of(stream)).into_fallible().await;
    connected.map_err(|(error, stream)| match stream.heard() {
        [] if error.kind() == io::ErrorKind::UnexpectedEof => SecureFault::Closed,
        [] | [HANDSHAKE | ALERT, ..] => fault(error),
        said => SecureFault::NotTls { said: said.to_vec() },
    })
}

/// rustls wants to know a name, which is neither sent nor looked at.
fn nobody() -> Result<ServerName<'static>, SecureFault> {
    let name = DnsName::try_from_str("towd").map_err(|_| SecureFault::Failed(Error::UnsupportedNameType))?;
    Ok(ServerName::DnsName(name.to_owned()))
}

/// A peer that agreed on everything, also where TLS itself would do without.
fn secured<S>(stream: Encrypted<S>) -> Result<Secure<S>, SecureFault> {
    let session = stream.session();
    if session.alpn_protocol() != Some(settings::alpn().as_slice()) {
        return Err(SecureFault::OtherProtocol);
    }
    let Some([key]) = session.peer_certificates() else {
        return Err(SecureFault::Failed(Error::NoCertificatesPresented));
    };
    let peer = key_hash(key);
    let mut channel = Zeroizing::new([0; 32]);
    stream.export(&mut channel[..], CHANNEL_BINDING).map_err(SecureFault::Failed)?;
    Ok(Secure { stream, peer, channel })
}

fn fault(error: io::Error) -> SecureFault {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).cloned();
    match inner {
        None => SecureFault::Lost(error),
        Some(
            Error::AlertReceived(AlertDescription::ProtocolVersion)
            | Error::PeerIncompatible(
                PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOfferedOrEnabled,
            ),
        ) => SecureFault::OtherTls,
        Some(
            Error::NoApplicationProtocol | Error::AlertReceived(AlertDescription::NoApplicationProtocol),
        ) => SecureFault::OtherProtocol,
        Some(Error::AlertReceived(AlertDescription::UnknownCA)) => SecureFault::Probed,
        Some(error) => SecureFault::Failed(error),
    }
}

async fn turn_away<S: AsyncRead + AsyncWrite + Unpin>(mut stream: ReadAhead<S>) {
    let told = async {
        stream.write_all(TURNED_AWAY).await?;
        stream.shutdown().await
    };
    if told.await.is_ok() {
        let _ = tokio::io::copy(&mut stream.take(LINGER_BYTES_MAX), &mut tokio::io::sink()).await;
    }
}
