//! Standard input and output as a connection: what `ssh HOST towd --stdio` and a client's child process use.

use towpath_protocol::display::DisplayName;
use towpath_stdio::Rendezvous;

use crate::limits::{Limit, Limits};

/// Where further streams of the session arrive; none where it may have no more than one.
pub(crate) fn rendezvous(limits: &Limits) -> Option<Rendezvous> {
    let has_further = limits.count(Limit::Streams) > 1;
    // One stream is always enough: that a system has no such thing is no matter.
    has_further.then(Rendezvous::open)?.ok()
}

/// Who is at the other end, for the log: the address that sshd names, if it is ssh.
pub(crate) fn peer() -> String {
    let connection = std::env::var("SSH_CONNECTION").unwrap_or_default();
    let mut parts = connection.split(' ');
    match (parts.next(), parts.next()) {
        (Some(address), Some(port)) => {
            format!("ssh({})", DisplayName::new(format!("{address}:{port}").as_bytes()))
        }
        _ => "stdio".to_owned(),
    }
}
