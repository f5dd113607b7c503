//! Who gets a session, on which service, and for how long: decided by whoever owns the door. It knows no keys and no lists.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Hello;

/// Whether somebody is let in, and to which service; the fault is what Hello is answered with instead.
pub type Admission<S> = Pin<Box<dyn Future<Output = Result<Arc<S>, Fault>> + Send>>;

/// Decides, once Hello has come, whether who said it gets a session.
pub trait Doorkeeper<S>: Send + Sync {
    fn admit(self: Arc<Self>, hello: Hello) -> Admission<S>;
}

/// How a session comes to its service.
pub enum Door<S> {
    /// Whoever reached the stream is let in.
    Open(Arc<S>),
    Kept(Arc<dyn Doorkeeper<S>>),
    /// Nobody is let in now, for this reason.
    Shut(Fault),
}

impl<S> From<Arc<S>> for Door<S> {
    fn from(service: Arc<S>) -> Self {
        Self::Open(service)
    }
}

impl<S> std::fmt::Debug for Door<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open(_) => "Door::Open",
            Self::Kept(_) => "Door::Kept",
            Self::Shut(_) => "Door::Shut",
        })
    }
}

impl<S> Door<S> {
    pub(super) async fn admit(self, hello: Hello) -> Result<Arc<S>, Fault> {
        match self {
            Self::Open(service) => Ok(service),
            Self::Kept(doorkeeper) => doorkeeper.admit(hello).await,
            Self::Shut(fault) => Err(fault),
        }
    }
}

/// A session's right to go on, which may be taken away. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Revocation(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_revoked: CancellationToken,
    why: OnceLock<Fault>,
}

impl Revocation {
    /// Ends the session at once; the client is told why. The first reason counts.
    pub fn revoke(&self, why: Fault) {
        let _ = self.0.why.set(why);
        self.0.is_revoked.cancel();
    }

    pub(super) async fn revoked(&self) -> Fault {
        self.0.is_revoked.cancelled().await;
        self.0.why.get().cloned().unwrap_or_else(|| FaultCode::NotPaired.into())
    }
}
