//! The service: one root, and the only `match` over requests. One line a kind, no logic.

mod allowance;
mod aside;
mod beside;
mod blocking_pool;
mod blocks;
mod buffers;
mod change;
mod copy;
mod credit;
mod flushing;
mod grant;
mod ledger;
mod leftovers;
mod list;
mod lot;
mod make;
mod measure;
mod metadata;
mod open_files;
mod outcomes;
mod outlet;
mod read;
mod remove;
mod rename;
mod room;
mod stat;
mod tally;
mod tree;
mod turns;
mod upload;
mod walk;
mod write;

use std::future::poll_fn;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use towpath_protocol::display::DisplayName;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::{Access, Capability, Limits, NameCase, PROTOCOL_VERSION, RootKind, Welcome};
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::permissions::{Permission, Permissions};

pub use allowance::StoreLimits;
pub use blocking_pool::THREADS_MAX as BLOCKING_THREADS_MAX;
pub use grant::{ClientId, Grant};

use crate::asides::Asides;
use crate::disk::{self, FolderReader, parts};
use crate::exchange::Exchange;
use crate::fair::Share;
use crate::machine;
use crate::memory::{ClientMemory, Memory};
use crate::private_files::{PrivateFault, PrivateFolder};
use crate::root::{Root, RootError, RootSpec};
use blocking_pool::{BlockingPool, Owner};

/// Answers requests beneath one root.
#[derive(Debug, Clone)]
pub struct Service {
    welcome: Welcome,
    root: Arc<Root>,
    client: ClientId,
    /// Whose share of threads it works with.
    owner: Owner,
    client_memory: ClientMemory,
    /// Whose part of the asynchronous threads its tasks have.
    share: Share,
    /// The memory of this session.
    memory: Memory,
    allowance: Arc<allowance::Allowance>,
    outcomes: Arc<outcomes::Outcomes>,
    leftovers: Arc<leftovers::Leftovers>,
    pool: BlockingPool,
    buffers: buffers::Buffers,
    room: room::Room,
    flushing: flushing::Flushing,
    asides: Asides,
    open_files: open_files::OpenFiles,
}

type Dispatched = Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>>;

/// What a service is to serve, and how.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    pub root: RootSpec,
    pub access: Access,
    /// Where a session begins, below the root.
    pub home: WirePath,
}

impl Service {
    /// Opens the root, for a client that may store what the disk holds.
    pub fn new(config: ServiceConfig) -> Result<Self, RootError> {
        Self::with_limits(config, StoreLimits::default())
    }

    /// Removes unfinished files that nobody has come back for; whoever looks at a folder meets them.
    fn sweep(&self, folder: &FolderReader) {
        let may = self.welcome.access == Access::ReadWrite && self.welcome.may.allow(Permission::Write);
        let Ok(open) = folder.folder() else { return };
        for name in folder.parts().iter().filter(|_| may) {
            let found = disk::stat(open, name);
            if parts::sweep(open, name, self.allowance.limits().parts_kept).is_some()
                && let Ok(found) = found
            {
                self.allowance.ledger().gone(found.identity);
            }
        }
    }

    /// Opens the root.
    pub fn with_limits(config: ServiceConfig, limits: StoreLimits) -> Result<Self, RootError> {
        let root = Root::open(&config.root)?;
        let (root_name, root_kind) = match &config.root {
            RootSpec::Whole => ("/".to_owned(), RootKind::Whole),
            RootSpec::Jailed(path) => {
                (DisplayName::new(path.as_os_str().as_bytes()).to_string(), RootKind::Jailed)
            }
        };
        let welcome = Welcome {
            protocol: PROTOCOL_VERSION,
            agent: concat!("towpath/", env!("CARGO_PKG_VERSION")).into(),
            capabilities: [
                Capability::BLOCKS,
                Capability::HOLES,
                Capability::METADATA,
                Capability::ATTRIBUTES,
                Capability::ASIDE,
            ]
            .map(Capability::new)
            .to_vec(),
            limits: Limits::OURS,
            root_name: root_name.into(),
            root_kind,
            access: config.access,
            may: match root_kind {
                RootKind::Whole => Permissions::ALL.with(Permission::Owner),
                RootKind::Jailed => Permissions::ALL,
            },
            name_case: if cfg!(target_os = "macos") { NameCase::Insensitive } else { NameCase::Sensitive },
            home: config.home,
            machine: machine::of_root(root.folder()),
            ticket: None,
        };
        let client_memory = ClientMemory::of_server(limits.memory_bytes);
        // Found out now: later a wall may stand between us and what tells it.
        disk::mode::learn_umask();
        Ok(Self {
            welcome,
            root: Arc::new(root),
            client: ClientId::NOBODY,
            owner: Owner::Session(0),
            memory: client_memory.session(),
            client_memory,
            share: Share::of_server(),
            allowance: Arc::new(allowance::Allowance::new(
                limits,
                ledger::Ledger::default(),
                ClientId::NOBODY,
                None,
            )),
            outcomes: Arc::default(),
            leftovers: Arc::default(),
            pool: BlockingPool::default(),
            buffers: buffers::Buffers::default(),
            room: room::Room::new(limits.room_bytes, limits.credit_bytes),
            flushing: flushing::Flushing::default(),
            asides: Asides::default(),
            open_files: open_files::OpenFiles::new(limits.open_files_max),
        })
    }

    /// Keeps a file or folder from all clients, wherever it lies and even while it is absent: no client may read it, look into it, make it,
    /// or change what leads there.
    pub fn keep_from_clients(&mut self, path: &Path) -> Result<(), RootError> {
        self.root_of_nobody(path)?.keep(path)
    }

    /// Like [`keep_from_clients`](Self::keep_from_clients), for a log that is rotated to `NAME.1`, `NAME.2` and so on.
    pub fn keep_log_from_clients(&mut self, path: &Path) -> Result<(), RootError> {
        self.root_of_nobody(path)?.keep_log(path)
    }

    /// Lets clients ask also for what they may not do: what is refused is written down here.
    pub fn write_refusals_down(&mut self) {
        self.welcome.capabilities.push(Capability::new(Capability::REFUSALS));
    }

    /// Before serving: sets the protected paths.
    fn root_of_nobody(&mut self, path: &Path) -> Result<&mut Root, RootError> {
        let served =
            || RootError::Other(path.to_owned(), std::io::Error::other("it is being served already"));
        Arc::get_mut(&mut self.root).ok_or_else(served)
    }

    /// The service as one session sees it. Sessions that the system let in have a share of threads and memory each; those of a paired client
    /// have one together.
    pub(crate) fn for_session(self: Arc<Self>) -> Arc<Self> {
        static SESSIONS: AtomicU64 = AtomicU64::new(1);
        let (owner, client_memory, share) = match self.owner {
            Owner::Client(_) => (self.owner, self.client_memory.clone(), self.share.clone()),
            Owner::Session(_) => {
                let owner = Owner::Session(SESSIONS.fetch_add(1, Ordering::Relaxed));
                (owner, self.client_memory.of_another(), self.share.of_another())
            }
        };
        let memory = client_memory.session();
        Arc::new(Self { owner, client_memory, share, memory, ..(*self).clone() })
    }

    pub(crate) fn share(&self) -> Share {
        self.share.clone()
    }

    pub(crate) fn memory(&self) -> Memory {
        self.memory.clone()
    }

    /// The journal of files set aside.
    pub fn write_asides_down(&mut self, asides: Asides) {
        self.asides = asides;
    }

    /// Writes down in `folder` who stored what, and goes on from what is there: a client's things and what it has stored outlive a restart.
    /// To be called before there are clients. Returns warnings for the owner.
    pub fn remember_in(&mut self, folder: PrivateFolder) -> Result<Vec<String>, PrivateFault> {
        let Ok(home) = disk::Home::of(self.root.folder()) else { return Ok(Vec::new()) };
        self.allowance.ledger().keep(ledger::Journal::new(folder, &self.welcome.root_name.to_string(), home))
    }

    /// Writes down who stored what, where that failed before. To be called when the clients are gone. Blocks.
    pub fn finish_remembering(&self) {
        self.allowance.ledger().finish();
    }

    /// What a session's Hello is answered with: root, access, limits, capabilities.
    pub const fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Serves one request to its end. Sends exactly one final answer, whatever happens.
    pub async fn serve(self: Arc<Self>, request: Request, exchange: Exchange) {
        let answers = exchange.answers.clone();
        let cancel = exchange.cancel.clone();
        let work = caught(Box::pin(self.once(request, exchange)));
        let outcome = turns::cancelled_by(cancel, work).await;
        let _ = answers.send(outcome.unwrap_or_else(Answer::Fault)).await;
    }

    /// Does nothing that this client may not do, and nothing that changes something twice.
    async fn once(self: Arc<Self>, request: Request, exchange: Exchange) -> Result<Answer, Fault> {
        if let Some(refusal) = self.welcome.refusal(&request) {
            return Err(refusal);
        }
        let Some(operation) = request.operation() else { return self.dispatch(request, exchange).await };
        let cancel = exchange.cancel.clone();
        let work = async {
            if self.allowance.is_count_due() {
                // Boxed, since it is large and hardly ever needed.
                Box::pin(self.clone().count_again()).await?;
            }
            self.clone().dispatch(request, exchange).await
        };
        self.outcomes.once((self.client, operation), &cancel, work).await
    }

    /// Looks for what this client stored and others took away, where the client was refused since.
    async fn count_again(self: Arc<Self>) -> Result<(), Fault> {
        let root = Location::through(&WirePath::root());
        let allowance = self.allowance.clone();
        allowance.count_again(|recount| measure::count_again(self, root, recount)).await
    }

    /// Each kind's work takes only the memory that it needs.
    fn dispatch(self: Arc<Self>, request: Request, exchange: Exchange) -> Dispatched {
        match request {
            Request::List(request) => Box::pin(list::list(self, request, exchange)),
            Request::Walk(request) => Box::pin(walk::walk(self, request, exchange)),
            Request::Stat(request) => Box::pin(stat::stat(self, request, exchange)),
            Request::Read(request) => Box::pin(read::read(self, request, exchange)),
            Request::Blocks(request) => Box::pin(blocks::blocks(self, request, exchange)),
            Request::Space(request) => Box::pin(measure::space(self, request)),
            Request::Measure(request) => Box::pin(measure::measure(self, request, exchange)),
            Request::Put(request) => Box::pin(write::put(self, request)),
            Request::BeginUpload(request) => Box::pin(upload::upload(self, request, exchange)),
            Request::MakeFolder(request) => Box::pin(make::folder(self, request)),
            Request::MakeLink(request) => Box::pin(make::link(self, request)),
            Request::SetMode(request) => Box::pin(make::set_mode(self, request)),
            Request::SetTimes(request) => Box::pin(make::set_times(self, request)),
            Request::Rename(request) => Box::pin(rename::rename(self, request)),
            Request::Copy(request) => Box::pin(copy::copy(self, request, exchange)),
            Request::Remove(request) => Box::pin(remove::remove(self, request, exchange)),
            Request::Flush(request) => Box::pin(flushing::flush(self, request)),
            Request::ReadMetadata(request) => Box::pin(metadata::read(self, request, exchange)),
            Request::SetMetadata(request) => Box::pin(metadata::set(self, request)),
        }
    }
}

/// A panic in one request is that request's fault, and nobody else's.
async fn caught<T>(mut work: impl Future<Output = Result<T, Fault>> + Unpin) -> Result<T, Fault> {
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut work).poll(context)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(FaultCode::Internal.into())))
    })
    .await
}

/// Names what a fault is about, where nobody has.
fn at(location: &Location) -> impl FnOnce(Fault) -> Fault {
    move |fault| match location.whole() {
        Ok(path) if fault.path.is_none() => fault.at(path),
        _ => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_the_fault_of_its_request_alone() {
        let outcome = caught(Box::pin(async {
            tokio::task::yield_now().await;
            assert!(std::hint::black_box(false), "a fault of the program");
            Ok(())
        }));
        assert_eq!(outcome.await, Err(FaultCode::Internal.into()));
    }
}
