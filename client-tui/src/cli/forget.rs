//! `tow forget`: takes a server's key off the list of those that this client knows, so that the next contact pairs anew.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::json;
use towpath_protocol::display::DisplayName;

use super::args::ForgetArgs;
use super::exit::{Exit, Failure};
use super::output::Output;
use super::place::Places;
use crate::link::keyring::{Forgotten, KeyringFault, address};
use crate::model::target::{Server, Target};

/// Forgets each operand; one that is not known does not stop the rest.
pub(super) async fn run(args: &ForgetArgs, places: &Places) -> Result<Exit, Failure> {
    let output = Output::new(args.output);
    let mut failed = Vec::new();
    for host in &args.hosts {
        match forget(host, places).await {
            Ok((address, Forgotten::Was(key))) => {
                output.line(&format!(
                    "forgot {address}, key {key}; the next contact needs a pairing code (run `towd pair` there)"
                ))?;
                let key = key.to_string();
                output.object(&json!({ "event": "forgotten", "address": address, "fingerprint": key }))?;
            }
            Ok((address, Forgotten::NotKnown { known })) => {
                let failure = Failure { exit: Exit::NotFound, message: not_known(&address, &known) };
                output.failed(host, &failure)?;
                failed.push(failure.exit);
            }
            Err(failure) => {
                output.failed(host, &failure)?;
                failed.push(failure.exit);
            }
        }
    }
    Ok(Exit::of_operands(&failed, args.hosts.len()))
}

/// As `HOST[:PORT]`; where no server is known by that, as a TARGET or a bookmark.
async fn forget(host: &OsStr, places: &Places) -> Result<(String, Forgotten), Failure> {
    let mut named = OsStr::new("tow://").to_owned();
    named.push(host);
    let plain = match Target::parse(&named) {
        Ok(Target::Remote { server: Server::Tow { host, port }, .. }) => Some(address(&host, port)),
        _ => None,
    };
    if let Some(address) = plain {
        let forgotten = in_keyring(places, address.clone()).await?;
        let is_bookmark = places.bookmarks().expand(host) != *host;
        if matches!(forgotten, Forgotten::Was(_)) || !is_bookmark {
            return Ok((address, forgotten));
        }
    }
    let target = places.bookmarks().expand(host);
    let typed = shown(host);
    match Target::parse(&target).map_err(|error| Failure::usage(format!("{typed}: {error}")))? {
        Target::Remote { server: Server::Tow { host, port }, .. } => {
            let address = address(&host, port);
            Ok((address.clone(), in_keyring(places, address).await?))
        }
        Target::Remote { server: Server::Ssh(host), .. } => {
            let host = DisplayName::new(host.host.as_bytes()).to_string();
            Err(Failure::usage(format!("{typed}: ssh keeps the keys of its hosts; see ssh-keygen -R {host}")))
        }
        Target::Remote { server: Server::Unix { .. }, .. } => {
            Err(Failure::usage(format!("{typed}: no key is kept of a unix socket")))
        }
        Target::Local(_) => Err(Failure::usage(format!("{typed}: not a HOST[:PORT]"))),
    }
}

async fn in_keyring(places: &Places, address: String) -> Result<Forgotten, Failure> {
    let keyring = places.keyring();
    let forgetting = tokio::task::spawn_blocking(move || keyring.forget(&address)).await;
    forgetting
        .unwrap_or(Err(KeyringFault::Panicked))
        .map_err(|fault| Failure { exit: Exit::Partly, message: fault.to_string() })
}

fn not_known(address: &str, known: &[String]) -> String {
    let known = match known {
        [] => "no server is known".to_owned(),
        known => format!("known: {}", known.join(", ")),
    };
    format!("{address}: not a server that this client knows; {known}")
}

fn shown(operand: &OsStr) -> String {
    DisplayName::new(operand.as_bytes()).to_string()
}
