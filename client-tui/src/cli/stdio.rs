//! `tow --stdio`: one session on standard input and output, as `towd --stdio` gives it. So a copy of tow alone makes a machine a server.

use std::sync::Arc;

use tokio::io::{BufWriter, stdin, stdout};
use tokio_util::sync::CancellationToken;
use towpath_files::service::Service;
use towpath_files::session::{self, SessionEnd, SessionOptions};

use super::exit::Exit;

/// Bytes gathered for a write.
const WRITE_BYTES: usize = 256 * 1024;

/// From now on this process gains no rights by whatever it runs. To be called before there are threads.
pub fn gain_no_rights() {
    // A kernel that knows nothing of it is served on as well.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_no_new_privs(true);
}

/// Serves to the end of the session; a signal ends it in order. Whoever started this is already this user: nothing is asked.
pub async fn serve(service: Arc<Service>) -> Exit {
    let drain = CancellationToken::new();
    let options = SessionOptions { drain: drain.clone(), ..SessionOptions::default() };
    let writer = BufWriter::with_capacity(WRITE_BYTES, stdout());
    let serving = session::serve(stdin(), writer, service, options);
    tokio::pin!(serving);
    let end = tokio::select! {
        end = &mut serving => end,
        () = super::interrupted() => {
            drain.cancel();
            serving.await
        }
    };
    match end {
        SessionEnd::Bye | SessionEnd::Drained | SessionEnd::Lost(None) => Exit::Done,
        _ => Exit::Partly,
    }
}
