//! `tow --stdio`: one session on standard input and output, as `towd --stdio` gives it; `tow --join`, which is a further stream of it. So a
//! copy of tow alone makes a machine a server.

use std::process::ExitCode;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use towpath_files::service::Service;
use towpath_files::session::{self, Joining, SessionEnd, SessionOptions, Tickets};
use towpath_protocol::limits::STREAMS_DEFAULT;
use towpath_stdio::{Joiner, Rendezvous};

use super::exit::Exit;
use super::output;

/// From now on this process gains no rights by whatever it runs. To be called before there are threads.
pub fn gain_no_rights() {
    // A kernel that knows nothing of it is served on as well.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_no_new_privs(true);
}

/// Serves to the end of the session; a signal ends it in order. Whoever started this is already this user: nothing is asked.
pub async fn serve(service: Arc<Service>) -> anyhow::Result<Exit> {
    let drain = CancellationToken::new();
    // One stream is always enough.
    let rendezvous = Rendezvous::open().ok();
    let joining = rendezvous.as_ref().map(|rendezvous| Joining {
        tickets: Arc::new(Tickets::new(STREAMS_DEFAULT)),
        owner: Vec::new(),
        ticket: Some(rendezvous.ticket()),
    });
    let options = SessionOptions { drain: drain.clone(), joining, ..SessionOptions::default() };
    if let Some(rendezvous) = rendezvous {
        tokio::spawn(take_joiners(rendezvous, service.clone(), options.clone()));
    }
    let (reader, writer) = towpath_stdio::open()?;
    let serving = session::serve(reader, writer, service, options);
    tokio::pin!(serving);
    let end = tokio::select! {
        end = &mut serving => end,
        () = super::interrupted() => {
            drain.cancel();
            serving.await
        }
    };
    Ok(match end {
        SessionEnd::Bye | SessionEnd::Drained | SessionEnd::Silent | SessionEnd::Lost(None) => Exit::Done,
        _ => Exit::Partly,
    })
}

/// Takes further streams for as long as this runs.
async fn take_joiners(rendezvous: Rendezvous, service: Arc<Service>, options: SessionOptions) {
    loop {
        let joiner = rendezvous.next().await;
        tokio::spawn(take(joiner, service.clone(), options.clone()));
    }
}

async fn take(joiner: Joiner, service: Arc<Service>, options: SessionOptions) {
    let hello_deadline = SessionOptions::default().hello_deadline;
    let options = SessionOptions { hello_deadline, ..options };
    if let Ok(Ok(handed)) = tokio::time::timeout_at(hello_deadline, joiner.receive()).await {
        session::serve(handed.reader, handed.writer, service, options).await;
        drop(handed.joiner);
    }
}

/// To the end of the stream.
pub fn join() -> ExitCode {
    match towpath_stdio::join() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            output::error(&fault.to_string());
            ExitCode::from(Exit::Partly as u8)
        }
    }
}
