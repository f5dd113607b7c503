//! The service: one root, and the only `match` over requests. One line a kind, no logic.

mod allowance;
mod beside;
mod blocks;
mod buffers;
mod copy;
mod credit;
mod flushing;
mod grant;
mod hands;
mod list;
mod lot;
mod make;
mod measure;
mod metadata;
mod outcomes;
mod read;
mod remove;
mod rename;
mod room;
mod stat;
mod tally;
mod tree;
mod upload;
mod walk;
mod write;

use std::future::poll_fn;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use towpath_protocol::display::DisplayName;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::{Access, Capability, Limits, NameCase, PROTOCOL_VERSION, RootKind, Welcome};
use towpath_protocol::limits::TEXT_BYTES_MAX;
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::permissions::{Permission, Permissions};

pub use allowance::StoreLimits;
pub use grant::{ClientId, Grant};

use crate::disk::{FolderReader, parts};
use crate::exchange::Exchange;
use crate::machine;
use crate::root::{Root, RootError, RootSpec};

/// Answers requests beneath one root.
#[derive(Debug)]
pub struct Service {
    welcome: Welcome,
    root: Root,
    client: ClientId,
    allowance: Arc<allowance::Allowance>,
    outcomes: Arc<outcomes::Outcomes>,
    hands: hands::Hands,
    buffers: buffers::Buffers,
    room: room::Room,
    flushing: flushing::Flushing,
}

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
            if let Some(bytes) = parts::sweep(open, name, self.allowance.limits().parts_kept) {
                self.allowance.freed(bytes);
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
            agent: concat!("towpath/", env!("CARGO_PKG_VERSION")).to_owned(),
            capabilities: [Capability::BLOCKS, Capability::HOLES, Capability::METADATA]
                .map(Capability::new)
                .to_vec(),
            limits: Limits::OURS,
            root_name: root_name[..root_name.floor_char_boundary(TEXT_BYTES_MAX)].to_owned(),
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
        // Found out now: later a wall may stand between us and what tells it.
        crate::disk::writing::learn_umask();
        Ok(Self {
            welcome,
            root,
            client: ClientId::NOBODY,
            allowance: Arc::new(allowance::Allowance::new(limits, None)),
            outcomes: Arc::default(),
            hands: hands::Hands::default(),
            buffers: buffers::Buffers::default(),
            room: room::Room::new(limits.room_bytes, limits.credit_bytes),
            flushing: flushing::Flushing::default(),
        })
    }

    /// Keeps a folder from all clients, wherever it lies: it is there, and nobody may look into it or take it away with what is in it.
    pub fn keep_from_clients(&mut self, folder: &Path) -> Result<(), RootError> {
        self.root.keep(folder)
    }

    /// What a session's Hello is answered with: root, access, limits, capabilities.
    pub const fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Serves one request to its end. Sends exactly one final answer, whatever happens.
    pub async fn serve(self: Arc<Self>, request: Request, exchange: Exchange) {
        let answers = exchange.answers.clone();
        let outcome = caught(Box::pin(self.once(request, exchange))).await;
        let _ = answers.send(outcome.unwrap_or_else(Answer::Fault)).await;
    }

    /// Does nothing that this client may not do, and nothing that changes something twice.
    async fn once(self: Arc<Self>, request: Request, exchange: Exchange) -> Result<Answer, Fault> {
        if let Some(refusal) = self.welcome.refusal(&request) {
            return Err(refusal);
        }
        let Some(operation) = request.operation() else { return self.dispatch(request, exchange).await };
        let cancel = exchange.cancel.clone();
        let is_removal = matches!(request, Request::Remove(_));
        let work = async {
            self.allowance.learn_used(self.clone().used_bytes()).await?;
            let answer = self.clone().dispatch(request, exchange).await?;
            if let (Answer::Totals(totals), true) = (&answer, is_removal) {
                self.allowance.freed(totals.bytes);
            }
            Ok(answer)
        };
        self.outcomes.once((self.client, operation), &cancel, work).await
    }

    /// Bytes of all files below the root.
    async fn used_bytes(self: Arc<Self>) -> Result<u64, Fault> {
        let root = Location::through(&WirePath::root());
        self.blocking(&root.clone(), move |service| measure::bytes_below(&service.root, &root)).await
    }

    async fn dispatch(self: Arc<Self>, request: Request, exchange: Exchange) -> Result<Answer, Fault> {
        match request {
            Request::List(request) => list::list(self, request, exchange).await,
            Request::Walk(request) => walk::walk(self, request, exchange).await,
            Request::Stat(request) => stat::stat(self, request).await,
            Request::Read(request) => read::read(self, request, exchange).await,
            Request::Blocks(request) => blocks::blocks(self, request, exchange).await,
            Request::Space(request) => measure::space(self, request).await,
            Request::Measure(request) => measure::measure(self, request, exchange).await,
            Request::Put(request) => write::put(self, request).await,
            Request::BeginUpload(request) => upload::upload(self, request, exchange).await,
            Request::MakeFolder(request) => make::folder(self, request).await,
            Request::MakeLink(request) => make::link(self, request).await,
            Request::SetMode(request) => make::mode(self, request).await,
            Request::SetTimes(request) => make::times(self, request).await,
            Request::Rename(request) => rename::rename(self, request).await,
            Request::Copy(request) => copy::copy(self, request, exchange).await,
            Request::Remove(request) => remove::remove(self, request, exchange).await,
            Request::Flush(request) => flushing::flush(self, request).await,
            Request::ReadMetadata(request) => metadata::read(self, request).await,
            Request::SetMetadata(request) => metadata::set(self, request).await,
        }
    }

    /// Does work on the disk in a blocking thread. A fault that names no path is of `location`.
    async fn blocking<T: Send + 'static>(
        self: Arc<Self>,
        location: &Location,
        work: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let done = tokio::task::spawn_blocking(move || work(&self)).await;
        done.unwrap_or_else(|_| Err(FaultCode::Internal.into())).map_err(at(location))
    }

    /// As [`blocking`](Self::blocking), for work that is over in a moment and waits for nothing but the disk.
    async fn brief<T: Send + 'static>(
        self: Arc<Self>,
        location: &Location,
        work: impl FnOnce(&Self) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let hands = self.hands.clone();
        let done = hands.run(move || work(&self)).await;
        done.unwrap_or_else(|| Err(FaultCode::Internal.into())).map_err(at(location))
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
