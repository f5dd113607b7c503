//! A link to a service in this process: typed values through channels, no bytes.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use towpath_files::exchange::{ANSWERS_QUEUED_MAX, Answers, Exchange as ServiceExchange, INPUTS_QUEUED_MAX};
use towpath_files::service::Service;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Welcome;
use towpath_protocol::input::Cancel;
use towpath_protocol::message::{Input, Request, RequestId};

use super::Exchange;

#[derive(Debug)]
pub(super) struct InProcess {
    service: Arc<Service>,
}

#[derive(Debug)]
pub(super) struct Inputs {
    queue: mpsc::Sender<Input>,
    cancel: CancellationToken,
}

impl InProcess {
    pub(super) const fn new(service: Arc<Service>) -> Self {
        Self { service }
    }

    pub(super) fn welcome(&self) -> &Welcome {
        self.service.welcome()
    }

    pub(super) fn open(&self, request: Request) -> Exchange {
        let (answer_sender, answers) = mpsc::channel(ANSWERS_QUEUED_MAX);
        let (input_sender, inputs) = mpsc::channel(INPUTS_QUEUED_MAX);
        let cancel = CancellationToken::new();
        let exchange = ServiceExchange {
            answers: Answers::new(RequestId::NONE, answer_sender),
            inputs: inputs.into(),
            cancel: cancel.clone(),
            lost: CancellationToken::new(),
        };
        tokio::spawn(self.service.clone().serve(request, exchange));
        Exchange {
            answers,
            inputs: super::Inputs::InProcess(Inputs { queue: input_sender, cancel }),
            finished: false,
        }
    }
}

impl Inputs {
    pub(super) async fn send(&self, input: Input) -> Result<(), Fault> {
        self.queue.send(input).await.map_err(|_| Fault::new(FaultCode::Cancelled))
    }

    pub(super) fn cancel(&self, _cancel: Cancel) {
        self.cancel.cancel();
    }
}
