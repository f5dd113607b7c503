//! Who gets in over TCP: the handshake that proves a client's key, the list that says whether it may come in, the code by which it
//! gets onto the list, what it may do then, and the end of its sessions once that is over. It knows no files but towd's own, and no requests.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use towpath_files::private_files::{FileStamp, PrivateFault, PrivateFolder, Why};
use towpath_files::service::Service;
use towpath_files::session::{Admission, Doorkeeper, Revocation};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Hello;
use towpath_protocol::pairing::{KeyHash, Pairing, PairingCode, ProofBinding};
use towpath_secure::{Acceptor, Identity, Secure, SecureFault};
use zeroize::Zeroizing;

use crate::clients::{CLIENTS_FILE, Client, Clients};
use crate::limits::{Limit, Limits};
use crate::log::Log;
use crate::pairing::{self, Given, Opened, Tried};
use crate::penalties::{Penalties, Source};
use crate::rights::Rights;
use crate::served;

/// towd's own files, below the state folder; the client's lie beside it.
const FOLDER: &str = "server";
/// How often the list of clients is looked at for those who are gone.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The state folder's key, list and code.
#[derive(Debug)]
pub(crate) struct Gate {
    folder: PrivateFolder,
    identity: Identity,
    acceptor: Acceptor,
    /// What clients get a part of.
    service: Arc<Service>,
    limits: Limits,
    penalties: Penalties,
    log: Log,
    /// Sessions of clients on the list, to be ended with their right.
    live: Mutex<HashMap<u64, Live>>,
    last_session: AtomicU64,
}

/// A client's session.
#[derive(Debug)]
struct Live {
    key: KeyHash,
    rights: Rights,
    /// The client's view of the service, shared by its sessions; none before it is let in.
    service: Option<Arc<Service>>,
    revocation: Revocation,
}

/// Opens towd's own folder below the state folder.
pub(crate) fn open_folder(state: &Path) -> Result<PrivateFolder, PrivateFault> {
    PrivateFolder::open(&folder_in(state))
}

/// Where that is.
pub(crate) fn folder_in(state: &Path) -> PathBuf {
    state.join(FOLDER)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Gate {
    /// With the folder's own key, made where there is none yet.
    pub(crate) fn open(
        state: &Path,
        service: Arc<Service>,
        limits: Limits,
        log: Log,
    ) -> anyhow::Result<Self> {
        let folder = open_folder(state)?;
        let identity = Identity::load_or_make(&folder)?;
        let acceptor = Acceptor::new(&identity)?;
        // A list that cannot be read is told now, not when the first client comes.
        Clients::load(&folder)?;
        let penalties =
            Penalties::new(limits.of(Limit::PairingFailures), limits.seconds(Limit::PairingForgivenSeconds));
        let (live, last_session) = Default::default();
        Ok(Self { folder, identity, acceptor, service, limits, penalties, log, live, last_session })
    }

    pub(crate) const fn fingerprint(&self) -> KeyHash {
        self.identity.hash()
    }

    /// Writes down which folder is served, for commands that give a client a part of it.
    pub(crate) fn note_root(&self, root: &Path) -> Result<(), PrivateFault> {
        served::note(&self.folder, root)
    }

    /// The clients that are paired.
    pub(crate) fn clients(&self) -> Result<Clients, PrivateFault> {
        Clients::load(&self.folder)
    }

    /// A new code. `None` if a client is paired already.
    pub(crate) fn first_code(&self) -> anyhow::Result<Option<PairingCode>> {
        if !self.clients()?.is_empty() {
            return Ok(None);
        }
        let Opened { code, replaces } =
            pairing::open(&self.folder.lock()?, &self.fingerprint(), now(), Given::default())?;
        if replaces {
            self.log.info(pairing::REPLACED);
        }
        Ok(Some(code))
    }

    /// The handshake, and the one who keeps the door for this connection. `asked` is called once there is a whole `ClientHello`.
    pub(crate) async fn enter<S>(
        self: &Arc<Self>,
        stream: S,
        address: String,
        source: Source,
        asked: impl FnOnce(),
    ) -> Result<(Secure<S>, Arc<Visitor>), SecureFault>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let secure = self.acceptor.accept_telling(stream, asked).await?;
        let visitor = Arc::new(Visitor {
            gate: self.clone(),
            address,
            source,
            key: secure.peer,
            channel: secure.channel.clone(),
            session: self.last_session.fetch_add(1, Ordering::Relaxed),
            client: OnceLock::new(),
            revocation: Revocation::default(),
        });
        Ok((secure, visitor))
    }

    /// Until the server leaves: ends the sessions of clients that were removed from the list, or may do something else now. In a thread
    /// of its own: whatever clients do, they do not take it from it.
    pub(crate) fn watch(self: Arc<Self>, leaving: CancellationToken) -> std::io::Result<()> {
        let watching = move || {
            let mut seen = Seen::default();
            while !leaving.is_cancelled() {
                self.look(&mut seen);
                std::thread::sleep(LOOK_EVERY);
            }
        };
        std::thread::Builder::new().name("watch".to_owned()).spawn(watching).map(drop)
    }

    /// Looks at the list where it is not the one that was seen. A list that says nothing ends all sessions, and is no removal.
    fn look(&self, seen: &mut Seen) {
        let stamp = self.folder.stamp(CLIENTS_FILE);
        if stamp == seen.stamp {
            return;
        }
        let clients = match Clients::load(&self.folder) {
            Ok(clients) => Some(clients),
            // The system may have a bad moment (too many open files): the next look tells.
            Err(fault @ PrivateFault { why: Why::System(_), .. }) => {
                if !std::mem::replace(&mut seen.is_told, true) {
                    self.log
                        .error(&format!("open sessions stay as they are until this can be read: {fault}"));
                }
                return;
            }
            Err(fault) => {
                self.log.error(&format!("sessions over TCP end, and no client is let in: {fault}"));
                None
            }
        };
        *seen = Seen { stamp, is_told: false };
        for Live { key, rights, revocation, .. } in self.live().values() {
            let Some(clients) = &clients else {
                revocation.revoke(unreadable());
                continue;
            };
            match clients.of_key(key) {
                None => revocation
                    .revoke(Fault::new(FaultCode::NotPaired).because("the server has removed this client")),
                Some(client) if client.rights != *rights => revocation.revoke(
                    Fault::new(FaultCode::PermissionDenied)
                        .because("the server has changed what this client may do; connect again"),
                ),
                Some(_) => {}
            }
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<u64, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The list as the watch has seen it.
#[derive(Debug, Default)]
struct Seen {
    stamp: Option<FileStamp>,
    /// The log has said that it cannot be read.
    is_told: bool,
}

/// The server cannot know what its clients may do.
fn unreadable() -> Fault {
    Fault::new(FaultCode::Internal).because("the server cannot read its list of clients")
}

/// Somebody whose key is proven, for as long as the connection lasts.
#[derive(Debug)]
pub(crate) struct Visitor {
    gate: Arc<Gate>,
    address: String,
    source: Source,
    key: KeyHash,
    channel: Zeroizing<[u8; 32]>,
    session: u64,
    /// As it was when it was let in.
    client: OnceLock<Client>,
    /// Used when the client is off the list, or may do something else.
    pub(crate) revocation: Revocation,
}

/// What comes of a Hello; the outer error is the server's own.
type Decision<T> = Result<Result<T, Fault>, PrivateFault>;

impl Visitor {
    /// The client's name, if it is on the list; for the log.
    pub(crate) fn name(&self) -> Option<String> {
        Clients::load(&self.gate.folder).ok()?.of_key(&self.key).map(Client::name)
    }

    /// The key that was proven.
    pub(crate) const fn key(&self) -> &KeyHash {
        &self.key
    }

    /// The client, once it is let in.
    pub(crate) fn client(&self) -> Option<&Client> {
        self.client.get()
    }

    /// Whether the client is on the list, or gets onto it now; then its view of the service.
    fn decide(&self, pairing: Option<&Pairing>, now: u64) -> Result<Arc<Service>, Fault> {
        let decided = match pairing {
            // A code that a client on the list shows is used as well: it decides what the client may do from now on.
            Some(pairing) => self.pair(pairing, now),
            None => self.listed().map(|listed| listed.ok_or_else(|| FaultCode::NotPaired.into())),
        };
        let decided = decided.and_then(|client| match client {
            Ok(client) => self.enter(&client),
            Err(fault) => Ok(Err(fault)),
        });
        decided.unwrap_or_else(|fault| {
            self.gate.log.error(&format!("{} cannot be let in: {fault}", self.address));
            Err(unreadable())
        })
    }

    fn listed(&self) -> Result<Option<Client>, PrivateFault> {
        Ok(Clients::load(&self.gate.folder)?.of_key(&self.key).cloned())
    }

    /// A session for a client on the list. It is known before the list is read for the last time: what is changed there is seen here or
    /// by the watch.
    fn enter(&self, client: &Client) -> Decision<Arc<Service>> {
        {
            let mut live = self.gate.live();
            let sessions_max = self.gate.limits.count(Limit::SessionsPerClient);
            if live.values().filter(|live| live.key == self.key).count() >= sessions_max {
                let sessions = if sessions_max == 1 { "session" } else { "sessions" };
                let detail = format!("this client has {sessions_max} {sessions}, and may not have more");
                return Ok(Err(Fault::new(FaultCode::LimitExceeded).because(detail)));
            }
            let revocation = self.revocation.clone();
            live.insert(
                self.session,
                Live { key: self.key, rights: client.rights.clone(), service: None, revocation },
            );
        }
        match self.listed()? {
            Some(now) if now.rights == client.rights => {
                let _ = self.client.set(now);
                Ok(self.view(client))
            }
            Some(_) => Ok(Err(Fault::new(FaultCode::PermissionDenied)
                .because("what this client may do is being changed; connect again"))),
            None => Ok(Err(FaultCode::NotPaired.into())),
        }
    }

    /// The service as the client sees it: that of its other sessions, or a new one.
    fn view(&self, client: &Client) -> Result<Arc<Service>, Fault> {
        let others = |live: &HashMap<u64, Live>| {
            let mut same = live.values().filter(|live| live.key == self.key && live.rights == client.rights);
            same.find_map(|live| live.service.clone())
        };
        let shared = others(&self.gate.live());
        // The disk may take its time: meanwhile others come in, and one of them may be faster.
        let service = shared.map_or_else(|| self.open_view(client), Ok)?;
        let mut live = self.gate.live();
        let service = others(&live).unwrap_or(service);
        if let Some(ours) = live.get_mut(&self.session) {
            ours.service = Some(service.clone());
        }
        Ok(service)
    }

    fn open_view(&self, client: &Client) -> Result<Arc<Service>, Fault> {
        let grant = client.rights.grant(client.id, self.gate.limits.quota_bytes());
        let grant = grant.ok_or_else(|| {
            Fault::new(FaultCode::Internal).because("the server's list names no folder for this client")
        })?;
        let service = self.gate.service.for_client(&grant);
        service.map(Arc::new).map_err(|fault| {
            let what = "the folder that the server keeps for this client cannot be opened";
            let why = fault.detail.to_string();
            if why.is_empty() { fault.because(what) } else { fault.because(format!("{what}: {why}")) }
        })
    }

    /// The client that is on the list from now on, with what the code gives.
    fn pair(&self, pairing: &Pairing, now: u64) -> Decision<Client> {
        let Gate { folder, identity, penalties, log, .. } = &*self.gate;
        if let Some(wait) = penalties.wait(self.source, Instant::now()) {
            let seconds = wait.as_secs() + 1;
            log.warning(&format!(
                "{} is not asked for a code for {seconds} s: too many were wrong",
                self.address
            ));
            let detail = format!("too many wrong codes came from there; try again in {seconds} seconds");
            return Ok(Err(Fault::new(FaultCode::PairingFailed).because(detail)));
        }
        let server = identity.hash();
        let bound = ProofBinding {
            channel: &self.channel,
            client: &self.key,
            server: &server,
            name: pairing.name.as_bytes(),
        };
        let locked = folder.lock()?;
        let mut clients = Clients::load(folder)?;
        let listed = clients.of_key(&self.key).cloned();
        if listed.is_none() && clients.is_full() {
            return Ok(Err(
                Fault::new(FaultCode::LimitExceeded).because("the server's list of clients is full")
            ));
        }
        let Given { rights, name } =
            match (pairing::redeem(&locked, &pairing.proof, &bound, listed.is_some(), now)?, &listed) {
                (Tried::Proven(given), _) => given,
                (Tried::Again, Some(client)) => return Ok(Ok(client.clone())),
                (failed, _) => {
                    penalties.failed(self.source, Instant::now());
                    log.warning(&format!("{} {}", self.address, in_words(&failed)));
                    return Ok(Err(FaultCode::PairingFailed.into()));
                }
            };
        let taken = clients.take_offer(&self.key, name.as_ref(), &rights);
        let (client, how) = if let Some(client) = taken {
            (client, "has used another code and is")
        } else {
            let name = name.as_ref().unwrap_or(&pairing.name);
            (clients.add(self.key, name, now, rights), "is paired as")
        };
        clients.save(&locked)?;
        let (name, may, folder) = (client.name(), client.rights.may(), client.rights.folder());
        log.info(&format!("{} {how} {name}, {}; it may {may} in {folder}", self.address, self.key));
        Ok(Ok(client))
    }
}

/// What somebody did whose code was not taken.
fn in_words(failed: &Tried) -> String {
    match failed {
        Tried::Wrong(1) => "gave a wrong pairing code; 1 try is left".to_owned(),
        Tried::Wrong(left) => format!("gave a wrong pairing code; {left} tries are left"),
        Tried::NoneOpen | Tried::Proven(_) | Tried::Again => {
            "gave a pairing code, and none is open; `towd pair` makes one".to_owned()
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.gate.live().remove(&self.session);
    }
}

impl Doorkeeper<Service> for Visitor {
    fn admit(self: Arc<Self>, hello: Hello) -> Admission<Service> {
        Box::pin(async move {
            let decided =
                tokio::task::spawn_blocking(move || self.decide(hello.pairing.as_ref(), now())).await;
            decided.unwrap_or_else(|_panicked| Err(FaultCode::Internal.into()))
        })
    }
}
