//! TCP, encrypted: to a server that is known by its key, or that a pairing code names. Before its key is checked the server learns
//! nothing about this client. A server that is met for the first time is remembered once it has let us in.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use towpath_protocol::display::PeerText;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::pairing::{KeyHash, Pairing, PairingCode, Pin, ProofBinding};
use towpath_secure::{Identity, SecureFault, connect, probe};
use towpath_tcp::Line;

use super::DialFault;
use super::reach::reach;
use crate::link::connection::{Asks, Further, GreetingFault, LastWords};
use crate::link::keyring::{Keyring, KeyringFault, address};
use crate::link::{BEGIN_TIME, Link};

/// After so much silence the system asks whether the other side is still there. A session's further streams say nothing while nothing is
/// to be moved: so the way stays open, and its end is noticed.
const SILENCE: Duration = Duration::from_secs(15);

/// One server as it was typed.
struct Dialled<'a> {
    host: &'a str,
    port: u16,
    /// As the keyring knows it.
    address: String,
    keyring: &'a Arc<Keyring>,
}

/// `code` is one that a person has just typed; without it one that was given beforehand is taken where one is needed.
pub(super) async fn dial(
    host: &str,
    port: u16,
    keyring: &Arc<Keyring>,
    code: Option<PairingCode>,
) -> Result<Link, DialFault> {
    let dialled = Dialled { host, port, address: address(host, port), keyring };
    let (stream, deadline) = dialled.reach().await?;
    let address = dialled.address.clone();
    let (identity, known) = dialled
        .with_keyring(move |keyring| keyring.look_up(&address).map(|found| (found.identity, found.known)))
        .await?;
    let Some(known) = known else {
        let code = match dialled.code(code).await {
            Ok(code) => code,
            // A person is asked for a code, or told what is wrong with one, only of a towd.
            Err(fault) => {
                return Err(dialled.probe(stream, deadline, &identity).await.err().unwrap_or(fault));
            }
        };
        let (link, key) = dialled.begin(stream, deadline, &identity, code.pin(), Some(&code)).await?;
        let address = dialled.address.clone();
        dialled.with_keyring(move |keyring| keyring.remember(&address, key)).await?;
        return Ok(link);
    };
    // A code that was typed is for a server that has forgotten us, or not: it decides in any case what this client may do there.
    let ready = code.as_ref().filter(|code| code.pin().fits(&known));
    // A code that was given beforehand may be an old one, in a script: only one that is wanted is shown to the server.
    match dialled.begin(stream, deadline, &identity, Pin::Known(known), ready).await {
        // It has forgotten us: another code is needed, of the same server.
        Err(DialFault::Greeting(GreetingFault::Refused(fault))) if fault.code == FaultCode::NotPaired => {
            let code = dialled.code(code).await?;
            if !code.pin().fits(&known) {
                return Err(DialFault::CodeOfAnother { found: known });
            }
            let (stream, deadline) = dialled.reach().await?;
            let begun = dialled.begin(stream, deadline, &identity, Pin::Known(known), Some(&code)).await;
            begun.map(|(link, _)| link)
        }
        begun => begun.map(|(link, _)| link),
    }
}

impl Dialled<'_> {
    async fn reach(&self) -> Result<(Line, Instant), DialFault> {
        let deadline = Instant::now() + BEGIN_TIME;
        let stream = timeout_at(deadline, reach(self.host, self.port)).await;
        let stream = stream.map_err(|_elapsed| DialFault::TimedOut)??;
        Ok((Line::new(stream, SILENCE), deadline))
    }

    /// Off the runtime's threads: it looks at files.
    async fn with_keyring<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Keyring) -> Result<T, KeyringFault> + Send + 'static,
    ) -> Result<T, DialFault> {
        let keyring = self.keyring.clone();
        let asked = tokio::task::spawn_blocking(move || ask(&keyring)).await;
        Ok(asked.unwrap_or(Err(KeyringFault::Panicked))?)
    }

    async fn code(&self, typed: Option<PairingCode>) -> Result<PairingCode, DialFault> {
        if let Some(code) = typed {
            return Ok(code);
        }
        self.with_keyring(Keyring::given_code).await?.ok_or(DialFault::CodeWanted)
    }

    /// Looks whether a towd answers, which learns nothing about this client.
    async fn probe(&self, stream: Line, deadline: Instant, identity: &Identity) -> Result<(), DialFault> {
        let probed = timeout_at(deadline, probe(stream, identity)).await;
        probed.map_err(|_elapsed| DialFault::TimedOut)?.map(drop).map_err(|fault| self.told(fault))
    }

    /// Handshake and greeting. Returns the server's key as well.
    async fn begin(
        &self,
        stream: Line,
        deadline: Instant,
        identity: &Identity,
        pin: Pin,
        code: Option<&PairingCode>,
    ) -> Result<(Link, KeyHash), DialFault> {
        let secure = timeout_at(deadline, connect(stream, identity, pin)).await;
        let secure = secure.map_err(|_elapsed| DialFault::TimedOut)?.map_err(|fault| self.told(fault))?;
        let key = secure.peer;
        let pairing = match code {
            Some(code) => {
                let name = PeerText::from(self.with_keyring(|keyring| Ok(keyring.name())).await?);
                let (client, channel) = (identity.hash(), &secure.channel);
                let bound = ProofBinding { channel, client: &client, server: &key, name: name.as_bytes() };
                let proof = code.secret.proof(&bound);
                Some(Pairing { name, proof })
            }
            None => None,
        };
        let (reader, writer) = tokio::io::split(secure.stream);
        let address = self.address.clone();
        let note = match code {
            None => self.with_keyring(move |keyring| Ok(keyring.unused_code(&address))).await?,
            Some(_) => None,
        };
        let asks = Asks { pairing, wire: self.keyring.wire(), join: None, note };
        let further = self.further(identity, key);
        let begun = Link::begin(reader, writer, deadline, LastWords::none(), asks, Some(further)).await;
        if let (Ok(_), Some(code)) = (&begun, code) {
            let (address, code) = (self.address.clone(), code.clone());
            // If the note cannot be written, a later command reports the code as unused; nothing else is lost.
            let _ = self.with_keyring(move |keyring| keyring.note_used(&address, &code)).await;
        }
        begun.map(|link| (link, key)).map_err(|fault| match fault {
            GreetingFault::Refused(fault) if fault.code == FaultCode::PairingFailed => {
                if fault.detail.is_empty() { DialFault::WrongCode } else { DialFault::NoTries(fault.detail) }
            }
            fault => fault.into(),
        })
    }

    /// Further connections to the server that has this key.
    fn further(&self, identity: &Identity, key: KeyHash) -> Further {
        let (host, port, identity) = (self.host.to_owned(), self.port, identity.clone());
        Further::of(self.keyring.wire(), move || {
            let (host, identity) = (host.clone(), identity.clone());
            async move {
                let reaching = async {
                    let stream = Line::new(reach(&host, port).await?, SILENCE);
                    connect(stream, &identity, Pin::Known(key)).await.map_err(DialFault::NoHandshake)
                };
                let secure =
                    timeout(BEGIN_TIME, reaching).await.map_err(|_elapsed| DialFault::TimedOut)??;
                Ok(tokio::io::split(secure.stream))
            }
        })
    }

    fn told(&self, fault: SecureFault) -> DialFault {
        match fault {
            SecureFault::OtherKey { known: Pin::Known(known), found } => {
                DialFault::KeyChanged { known, found, address: self.address.clone() }
            }
            SecureFault::OtherKey { known: Pin::FromCode(_), found } => DialFault::CodeOfAnother { found },
            SecureFault::NotTls { said } => GreetingFault::instead_of_tls(said).into(),
            SecureFault::Closed => GreetingFault::ClosedAtOnce.into(),
            fault => DialFault::NoHandshake(fault),
        }
    }
}
