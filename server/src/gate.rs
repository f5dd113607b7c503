//! Who gets in over TCP: the handshake that proves a client's key, the list that says whether it may come in, the code by which it
//! gets onto the list, and the end of its sessions once it is off again. It knows no files but towd's own, and no requests.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use towpath_files::private_files::{FileStamp, PrivateFault, PrivateFolder, Why};
use towpath_files::session::{Admission, Doorkeeper};
use towpath_protocol::display::DisplayName;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Hello;
use towpath_protocol::pairing::{KeyHash, Pairing, PairingCode, ProofBinding};
use towpath_secure::{Acceptor, Identity, Secure, SecureFault};
use zeroize::Zeroizing;

use crate::clients::{CLIENTS_FILE, Client, Clients};
use crate::log::Log;
use crate::pairing::{self, Tried};

/// towd's own files, below the state folder; the client's lie beside it.
const FOLDER: &str = "server";
/// How often the list of clients is looked at for those who are gone.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The state folder's key, list and code.
#[derive(Debug)]
pub(crate) struct Gate {
    folder: PrivateFolder,
    identity: Identity,
    acceptor: Acceptor,
    log: Log,
    /// Sessions of clients on the list, to be ended with their right.
    live: Mutex<HashMap<u64, (KeyHash, CancellationToken)>>,
    last_session: AtomicU64,
}

/// Opens towd's own folder below the state folder.
pub(crate) fn open_folder(state: &Path) -> Result<PrivateFolder, PrivateFault> {
    PrivateFolder::open(&state.join(FOLDER))
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Gate {
    /// With the folder's own key, made where there is none yet.
    pub(crate) fn open(state: &Path, log: Log) -> anyhow::Result<Self> {
        let folder = open_folder(state)?;
        let identity = Identity::load_or_make(&folder)?;
        let acceptor = Acceptor::new(&identity)?;
        // A list that cannot be read is told now, not when the first client comes.
        Clients::load(&folder)?;
        Ok(Self { folder, identity, acceptor, log, live: Mutex::default(), last_session: AtomicU64::new(0) })
    }

    pub(crate) const fn fingerprint(&self) -> KeyHash {
        self.identity.hash()
    }

    /// A new code where nobody is paired yet.
    pub(crate) fn first_code(&self) -> anyhow::Result<Option<PairingCode>> {
        if !Clients::load(&self.folder)?.is_empty() {
            return Ok(None);
        }
        pairing::open(&self.folder.lock()?, &self.fingerprint(), now()).map(Some)
    }

    /// The handshake, and the one who keeps the door for this connection.
    pub(crate) async fn enter<S>(
        self: &Arc<Self>,
        stream: S,
        address: String,
    ) -> Result<(Secure<S>, Arc<Visitor>), SecureFault>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let secure = self.acceptor.accept(stream).await?;
        let visitor = Arc::new(Visitor {
            gate: self.clone(),
            address,
            key: secure.peer,
            channel: secure.channel.clone(),
            session: self.last_session.fetch_add(1, Ordering::Relaxed),
            revoked: CancellationToken::new(),
        });
        Ok((secure, visitor))
    }

    /// Until the server leaves: ends the sessions of clients that were removed from the list.
    pub(crate) async fn watch(self: Arc<Self>, leaving: CancellationToken) {
        let mut seen = None;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = leaving.cancelled() => return,
                _ = looks.tick() => {}
            }
            let gate = self.clone();
            let looked = tokio::task::spawn_blocking(move || gate.look(seen)).await;
            seen = looked.unwrap_or(seen);
        }
    }

    /// Looks at the list where it is not the one that was seen. Returns which one was.
    fn look(&self, seen: Option<FileStamp>) -> Option<FileStamp> {
        let stamp = self.folder.stamp(CLIENTS_FILE);
        if stamp == seen {
            return seen;
        }
        let clients = match Clients::load(&self.folder) {
            Ok(clients) => clients,
            // The system may have a bad moment (too many open files): the next look tells.
            Err(PrivateFault { why: Why::System(_), .. }) => return seen,
            Err(fault) => {
                self.log.error(&format!("nobody is let in over TCP: {fault}"));
                Clients::default()
            }
        };
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, revoked) in live.values() {
            if clients.of_key(key).is_none() {
                revoked.cancel();
            }
        }
        stamp
    }
}

/// Somebody whose key is proven, for as long as the connection lasts.
#[derive(Debug)]
pub(crate) struct Visitor {
    gate: Arc<Gate>,
    address: String,
    key: KeyHash,
    channel: Zeroizing<[u8; 32]>,
    session: u64,
    /// Set when the client is off the list.
    pub(crate) revoked: CancellationToken,
}

impl Visitor {
    /// The client's name, if it is on the list; for the log.
    pub(crate) fn name(&self) -> Option<String> {
        Clients::load(&self.gate.folder).ok()?.of_key(&self.key).map(Client::name)
    }

    /// Whether the client is on the list, or gets onto it now.
    fn decide(&self, pairing: Option<&Pairing>, now: u64) -> Result<(), Fault> {
        let decided = self.may_enter().and_then(|may| match (may, pairing) {
            (true, _) => Ok(Ok(())),
            (false, None) => Ok(Err(FaultCode::NotPaired.into())),
            (false, Some(pairing)) => self.pair(pairing, now),
        });
        decided.unwrap_or_else(|fault| {
            self.gate.log.error(&format!("{} cannot be let in: {fault}", self.address));
            Err(Fault::new(FaultCode::Internal).because("the server cannot read its list of clients"))
        })
    }

    /// On the list. Its session is known before the list is read for the last time: a removal is seen here or by the watch.
    fn may_enter(&self) -> Result<bool, PrivateFault> {
        let is_listed = || Ok(Clients::load(&self.gate.folder)?.of_key(&self.key).is_some());
        if !is_listed()? {
            return Ok(false);
        }
        self.live().insert(self.session, (self.key, self.revoked.clone()));
        is_listed()
    }

    fn pair(&self, pairing: &Pairing, now: u64) -> Result<Result<(), Fault>, PrivateFault> {
        let Gate { folder, identity, log, .. } = &*self.gate;
        let server = identity.hash();
        let bound =
            ProofBinding { channel: &self.channel, client: &self.key, server: &server, name: &pairing.name };
        let locked = folder.lock()?;
        let mut clients = Clients::load(folder)?;
        if clients.is_full() {
            return Ok(Err(
                Fault::new(FaultCode::LimitExceeded).because("the server's list of clients is full")
            ));
        }
        match pairing::redeem(&locked, &pairing.proof, &bound, now)? {
            Tried::Proven => {}
            Tried::Wrong(left) => {
                log.warning(&format!("{} gave a wrong pairing code; {left} tries are left", self.address));
                return Ok(Err(FaultCode::PairingFailed.into()));
            }
            Tried::NoneOpen => {
                log.warning(&format!(
                    "{} gave a pairing code, and none is open; `towd pair` makes one",
                    self.address
                ));
                return Ok(Err(FaultCode::PairingFailed.into()));
            }
        }
        clients.add(self.key, &pairing.name, now);
        clients.save(&locked)?;
        self.live().insert(self.session, (self.key, self.revoked.clone()));
        let name = DisplayName::new(pairing.name.as_bytes());
        log.info(&format!("{} is paired as {name}, {}", self.address, self.key));
        Ok(Ok(()))
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashMap<u64, (KeyHash, CancellationToken)>> {
        self.gate.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.live().remove(&self.session);
    }
}

impl Doorkeeper for Visitor {
    fn admit(self: Arc<Self>, hello: Hello) -> Admission {
        Box::pin(async move {
            let decided =
                tokio::task::spawn_blocking(move || self.decide(hello.pairing.as_ref(), now())).await;
            decided.unwrap_or_else(|_panicked| Err(FaultCode::Internal.into()))
        })
    }
}
