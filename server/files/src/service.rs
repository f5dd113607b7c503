//! The service: one root, and the only `match` over requests. One line a kind, no logic.

use std::sync::Arc;

use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Welcome;
use towpath_protocol::message::{Answer, Request};

use crate::exchange::Exchange;

/// Answers requests beneath one root.
#[derive(Debug)]
pub struct Service {
    welcome: Welcome,
}

impl Service {
    /// What a session's Hello is answered with: root, access, limits, capabilities.
    pub const fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Serves one request to its end. Sends exactly one final answer, whatever happens.
    pub async fn serve(self: Arc<Self>, request: Request, exchange: Exchange) {
        let answers = exchange.answers.clone();
        let outcome: Result<Answer, Fault> = self.dispatch(request, exchange).await;
        let _ = answers.send(outcome.unwrap_or_else(Answer::Fault)).await;
    }

    async fn dispatch(self: Arc<Self>, request: Request, _exchange: Exchange) -> Result<Answer, Fault> {
        match request {
            _ => Err(FaultCode::Unsupported.into()),
        }
    }
}
