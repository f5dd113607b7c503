//! Connections: dialled, watched, given up, ended in order. A connection that is made again keeps its name.

use std::ffi::{OsStr, OsString};
use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use towpath_protocol::pairing::PairingCode;
use towpath_protocol::path::WirePath;

use super::Effects;
use crate::app::event::Event;
use crate::link::Link;
use crate::link::dial::{DialFault, dial};
use crate::link::keyring::Keyring;
use crate::link::target::{RemotePath, Target};
use crate::model::{LinkId, Secret};

impl Effects {
    pub(super) fn connect(&mut self, id: LinkId, target: String, code: Option<Secret>) {
        let (links, events, keyring) = (self.links.clone(), self.events.clone(), self.keyring.clone());
        let ready = self.ready(&target);
        let connecting = tokio::spawn(async move {
            let (link, name, path) = match connect(&target, ready, &keyring, code).await {
                Ok(connected) => connected,
                Err(NotConnected::CodeWanted) => {
                    let _ = events.send(Event::CodeWanted { link: id }).await;
                    return;
                }
                Err(NotConnected::Because(why)) => {
                    let _ = events.send(Event::NotConnected { link: id, why, at_ns: now_ns() }).await;
                    return;
                }
            };
            let lost = link.lost();
            let round_trip_ms = link.round_trip().map(|time| time.as_millis().max(1) as u64);
            links.lock().unwrap_or_else(PoisonError::into_inner).insert(id, link);
            let _ = events.send(Event::Connected { link: id, name, path, round_trip_ms }).await;
            let why = lost.await.to_string();
            let _ = events.send(Event::Disconnected { link: id, why, at_ns: now_ns() }).await;
        });
        if let Some(old) = self.connections.insert(id, connecting) {
            old.abort();
        }
    }

    /// A connection that stands already, made for whichever pane came first.
    fn ready(&self, target: &str) -> Option<Link> {
        let Ok(Target::Remote { server, .. }) = Target::parse(OsStr::new(target)) else { return None };
        self.ready.get(&server).filter(|link| !link.is_lost()).cloned()
    }

    /// Gives up an attempt, or takes leave of the server, unless another pane has the same connection.
    pub(super) fn disconnect(&mut self, id: LinkId) {
        if let Some(connecting) = self.connections.remove(&id) {
            connecting.abort();
        }
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.remove(&id)
            && !links.values().any(|other| other.is_same(&link))
        {
            tokio::spawn(async move { link.bye().await });
        }
    }

    /// Takes leave of every server.
    pub(super) async fn bye(&mut self) {
        self.connections.drain().for_each(|(_, connection)| connection.abort());
        let links: Vec<Link> =
            self.links.lock().unwrap_or_else(PoisonError::into_inner).drain().map(|(_, link)| link).collect();
        futures_util::future::join_all(links.iter().map(Link::bye)).await;
    }
}

fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// Why there is no connection.
enum NotConnected {
    CodeWanted,
    Because(String),
}

/// The link, the server's name, and where on it the pane begins.
async fn connect(
    target: &str,
    ready: Option<Link>,
    keyring: &Arc<Keyring>,
    code: Option<Secret>,
) -> Result<(Link, String, WirePath), NotConnected> {
    let because = |why: &dyn std::fmt::Display| NotConnected::Because(why.to_string());
    let target = Target::parse(&OsString::from(target)).map_err(|error| because(&error))?;
    let Target::Remote { server, path } = target else {
        return Err(because(&"not a TARGET; write tow://HOST[:PORT]/[PATH]"));
    };
    let path = RemotePath::parse(&server, &path).map_err(|error| because(&error))?;
    let code = code.map(|code| PairingCode::parse(code.text())).transpose();
    let code = code.map_err(|bad| because(&format_args!("the pairing code: {bad}")))?;
    let link = match ready {
        Some(link) => link,
        None => dial(&server, keyring, code).await.map_err(|fault| match fault {
            DialFault::CodeWanted => NotConnected::CodeWanted,
            fault => because(&fault),
        })?,
    };
    let path = path.on(&link.welcome().home).map_err(|error| because(&error))?;
    Ok((link, server.to_string(), path))
}
