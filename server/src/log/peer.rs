//! The log of one session: every line names its peer. What was done to files goes into the audit log too, with the client that did it
//! and paths below the served folder, whichever part of it the client sees.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use towpath_files::session::{Act, Details, Outcome, SessionEnd, SessionEvent, SessionLog, Work};
use towpath_protocol::display::PeerText;
use towpath_protocol::fault::Fault;
use towpath_protocol::hash::Hash;
use towpath_protocol::time::Time;

use super::Log;
use crate::clients::Client;
use crate::gate::Visitor;
use crate::listen::Seat;
use crate::rights::Rights;

/// Gives the place among those that are not let in back when its peer is.
#[derive(Debug)]
pub(crate) struct PeerLog {
    log: Log,
    peer: String,
    /// Who came over TCP.
    visitor: Option<Arc<Visitor>>,
    seat: Mutex<Option<Seat>>,
    connected: AtomicBool,
}

impl PeerLog {
    pub(crate) const fn new(
        log: Log,
        peer: String,
        visitor: Option<Arc<Visitor>>,
        seat: Option<Seat>,
    ) -> Self {
        Self { log, peer, visitor, seat: Mutex::new(seat), connected: AtomicBool::new(false) }
    }

    fn client(&self) -> Option<&Client> {
        self.visitor.as_ref()?.client()
    }

    fn let_in(&self) {
        self.connected.store(true, Ordering::Relaxed);
        drop(self.seat.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn connected(&self, agent: &PeerText) {
        self.let_in();
        let agent = agent.to_string();
        let fields = json!({ "event": "connected", "peer": self.peer, "agent": agent });
        let rights = self.client().map(|client| &client.rights);
        self.audit(&fields, |fields| {
            fields["may"] = rights.map(|rights| rights.may().to_string()).into();
            fields["folder"] = rights.map(Rights::folder).into();
        });
        self.log.event(fields, &format_args!("{} connected ({agent})", self.peer));
    }

    fn left(&self, end: &SessionEnd, seconds: f64) {
        let connected = self.connected.load(Ordering::Relaxed);
        if !connected && self.visitor.is_none() && matches!(end, SessionEnd::Silent) {
            return;
        }
        let event = if connected { "left" } else { "refused" };
        let reason = end.to_string();
        let fields =
            json!({ "event": event, "peer": self.peer, "seconds": rounded(seconds), "reason": reason });
        self.audit(&fields, |_| ());
        if connected {
            self.log.event(fields, &format_args!("{} left after {seconds:.1} s: {end}", self.peer));
        } else {
            self.log.event(fields, &format_args!("{} was not let in: {end}", self.peer));
        }
    }

    fn done(&self, work: &Work) {
        // What is looked at often, and matters little to somebody who watches, is for the audit log alone.
        let is_told =
            !matches!(work.act, Act::Look | Act::Flush | Act::SetMode | Act::SetTimes | Act::SetMetadata);
        if self.log.audit.is_some() || (self.log.json && is_told) {
            let fields = fields(&self.peer, work);
            self.audit(&fields, |fields| {
                fields["path"] = self.below_root(&work.path).into();
                fields["to"] = work.to.as_deref().map(|to| self.below_root(to)).into();
            });
            if self.log.json && is_told {
                self.log.event(fields, &"");
                return;
            }
        }
        if is_told {
            self.log.text(&format_args!("{} {}", self.peer, Told(work)));
        }
    }

    /// A line of the audit log, with what is to be added there.
    fn audit(&self, fields: &Value, add: impl FnOnce(&mut Value)) {
        if self.log.audit.is_none() {
            return;
        }
        let mut fields = fields.clone();
        if let Some(client) = self.client() {
            fields["client_id"] = client.id.into();
            fields["client"] = client.name().into();
        }
        add(&mut fields);
        self.log.audit(&fields);
    }

    /// A path as whoever reads the audit log knows it.
    fn below_root(&self, seen: &str) -> String {
        let folder = self.client().map(|client| client.rights.folder()).unwrap_or_default();
        let whole = format!("{}/{seen}", folder.trim_end_matches('/'));
        if seen.is_empty() && whole.len() > 1 { whole.trim_end_matches('/').to_owned() } else { whole }
    }
}

impl SessionLog for PeerLog {
    fn record(&self, event: SessionEvent<'_>) {
        match event {
            SessionEvent::Connected { agent } => self.connected(&agent),
            // The session has its lines already.
            SessionEvent::Joined => self.let_in(),
            SessionEvent::Done(work) => self.done(work),
            SessionEvent::Left { end, seconds } => self.left(end, seconds),
        }
    }
}

/// A piece of work as an object.
fn fields(peer: &str, work: &Work) -> Value {
    let (outcome, failures, fault) = match &work.outcome {
        Outcome::Complete => ("complete", None, None),
        Outcome::Partial => ("partial", None, None),
        Outcome::Failures(count) => ("failures", Some(*count), None),
        Outcome::Stopped(fault) => ("partial", None, Some(why(fault, &work.path))),
        Outcome::Failed(fault) => ("failed", None, Some(why(fault, &work.path))),
    };
    let event = words(work.act).0.replace(' ', "_");
    let event = if outcome == "failed" { format!("not_{event}") } else { event };
    let Details { target, mode, modified, owner, group, attributes, hash } = &work.details;
    let attributes = Some(attributes.join(", ")).filter(|names| !names.is_empty());
    json!({
        "event": event, "peer": peer, "path": path(&work.path), "to": work.to.as_deref().map(path),
        "target": target, "mode": mode.map(|mode| format!("{mode:04o}")), "modified": modified.map(moment), "owner": owner, "group": group,
        "attributes": attributes, "hash": hash.map(|hash| hex(&hash)), "files": work.files, "folders": work.folders,
        "bytes": work.bytes, "seconds": rounded(work.seconds), "outcome": outcome, "failures": failures, "fault": fault,
    })
}

/// What was done, and the verb for where it was not.
const fn words(act: Act) -> (&'static str, &'static str) {
    match act {
        Act::Download => ("downloaded", "download"),
        Act::Upload => ("uploaded", "upload"),
        Act::Remove => ("deleted", "delete"),
        Act::MakeFolder => ("made folder", "make folder"),
        Act::MakeLink => ("made link", "make link"),
        Act::Rename => ("renamed", "rename"),
        Act::Copy => ("copied", "copy"),
        Act::SetMode => ("set mode", "set the mode of"),
        Act::SetTimes => ("set times", "set the times of"),
        Act::SetMetadata => ("set metadata", "set the metadata of"),
        Act::Look => ("looked", "look at"),
        Act::Flush => ("flushed", "flush"),
    }
}

/// RFC 3339; seconds since 1970 where the calendar has no such year.
fn moment(time: Time) -> String {
    let told = jiff::Timestamp::new(time.seconds(), time.nanoseconds().cast_signed());
    told.map_or_else(|_| format!("@{}", time.seconds()), |told| told.to_string())
}

fn hex(Hash(bytes): &Hash) -> String {
    let digit = |four: u8| char::from(b"0123456789abcdef"[usize::from(four)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn path(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

/// Why something failed; what it is about is not said twice.
fn why(fault: &Fault, what: &str) -> String {
    let mut fault = fault.clone();
    fault.path = fault.path.filter(|path| path.display() != what);
    fault.to_string()
}

fn counted(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// To the millisecond.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// A piece of work for people: `uploaded a/b: 12 bytes in 0.001 s`.
struct Told<'a>(&'a Work);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Work { act, path: what, to, details: _, files, folders, bytes, seconds, outcome } = self.0;
        let (done, verb) = words(*act);
        if let Outcome::Failed(fault) = outcome {
            return write!(f, "could not {verb} {}: {}", path(what), why(fault, what));
        }
        write!(f, "{done} {}", path(what))?;
        if let Some(to) = to {
            write!(f, " to {}", path(to))?;
        }
        match act {
            Act::Download | Act::Upload => write!(f, ": {bytes} bytes in {seconds:.3} s")?,
            Act::Remove | Act::Copy => {
                let files = counted(*files, "file");
                let folders = counted(*folders, "folder");
                write!(f, ": {files}, {folders}, {bytes} bytes in {seconds:.3} s")?;
            }
            Act::MakeFolder
            | Act::MakeLink
            | Act::Rename
            | Act::SetMode
            | Act::SetTimes
            | Act::SetMetadata
            | Act::Look
            | Act::Flush => {}
        }
        match outcome {
            Outcome::Partial => f.write_str(", not to its end"),
            Outcome::Failures(count) => write!(f, ", {count} failed"),
            Outcome::Stopped(fault) => write!(f, ", not to its end: {}", why(fault, what)),
            Outcome::Complete | Outcome::Failed(_) => Ok(()),
        }
    }
}
