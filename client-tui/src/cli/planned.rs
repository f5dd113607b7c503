//! `--dry-run`: what would be done, a line or an object each as it is found, and what it comes to. Nothing is kept of them but counts.

use std::collections::HashSet;
use std::io;

use serde_json::{Map, Value, json};
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::WirePath;

use super::copy::{Sides, kept_text};
use super::exit::{Failure, why};
use super::ls::{kind_word, put_name};
use super::output::{self, Output};
use super::place::Place;
use crate::model::conflict::ConflictKind;
use crate::model::number::noun;
use crate::model::size;
use crate::transfer::job::{Action, Planned, Verb};

/// What a job would come to.
#[derive(Debug, Default)]
pub(super) struct Forecast {
    /// The verb of a dry run; `None` for a real job.
    told: Option<Verb>,
    files: u64,
    folders: u64,
    bytes: u64,
    unchanged: u64,
    skipped: u64,
    special: u64,
    failed: u64,
    conflicts: [u64; ConflictKind::ALL.len()],
    /// Folders above the items' places that were told to be made; the next item finds them missing again.
    made: HashSet<WirePath>,
    /// Why nobody can be told the rest.
    pub(super) broken: Option<io::Error>,
}

impl Forecast {
    /// Of a job that is not done; `default` is for one that is.
    pub(super) fn told(verb: Verb) -> Self {
        Self { told: Some(verb), ..Self::default() }
    }

    pub(super) fn take(&mut self, planned: &Planned, sides: &Sides<'_>, output: Output) {
        let Planned { action, kind, size, .. } = *planned;
        if action == Action::Make && !self.made.insert(planned.to.clone()) {
            return;
        }
        match action {
            Action::Make => self.folders += 1,
            Action::Copy | Action::Replace if kind == Kind::Folder => self.folders += 1,
            Action::Copy | Action::Replace => {
                self.files += 1;
                // A link has no bytes that move.
                self.bytes = self.bytes.saturating_add(if kind == Kind::Link { 0 } else { size });
            }
            Action::Unchanged => self.unchanged += 1,
            Action::Skip => self.skipped += 1,
            Action::SkipSpecial => self.special += 1,
            Action::Ask(kind) => self.conflicts[kind as usize] += 1,
        }
        let told = if output.json {
            output.object(&object(planned, sides))
        } else if action == Action::Unchanged {
            Ok(())
        } else {
            output.line(&line(planned, sides))
        };
        self.heard(told);
    }

    pub(super) fn failed(&mut self, fault: &Fault, sides: &Sides<'_>, output: Output) {
        if self.told.is_none() {
            return;
        }
        self.failed += 1;
        let why = why(fault);
        let told = if output.json {
            let mut object = Map::new();
            object.insert("event".into(), "plan".into());
            object.insert("action".into(), "fail".into());
            if let Some(path) = &fault.path {
                put_path(&mut object, "path", sides.of(path), path);
            }
            object.insert("reason".into(), why.into());
            output.object(&Value::Object(object))
        } else {
            let path = fault.path.as_ref().map(|path| sides.name(path)).unwrap_or_default();
            output.line(&format!("fail       {path}  ({why})"))
        };
        self.heard(told);
    }

    /// A source that is left out, as it was typed.
    pub(super) fn failed_source(&mut self, typed: &str, failure: &Failure, output: Output) {
        self.failed += 1;
        let prefix = format!("{typed}: ");
        let why = failure.message.strip_prefix(&prefix).unwrap_or(&failure.message);
        let told = if output.json {
            output.object(&json!({ "event": "plan", "action": "fail", "path": typed, "reason": why }))
        } else {
            output.line(&format!("fail       {typed}  ({why})"))
        };
        self.heard(told);
    }

    pub(super) const fn is_told(&self) -> bool {
        self.told.is_some()
    }

    pub(super) fn heard(&mut self, told: io::Result<()>) {
        if let Err(error) = told {
            self.broken.get_or_insert(error);
        }
    }

    /// The last line, with how many existing files are kept for want of a flag. True if all of it would be done.
    pub(super) async fn end(&self, destination: &Place, kept: u64, output: Output) -> Result<bool, Failure> {
        let free = free(destination).await;
        let asked: u64 = self.conflicts.iter().sum();
        let has_room = free.is_none_or(|free| self.bytes <= free);
        let counts = ConflictKind::ALL.into_iter().zip(self.conflicts).filter(|(_, count)| *count > 0);
        let mut line = format!(
            "would {} {} {}, {}",
            if self.told == Some(Verb::Move) { "move" } else { "copy" },
            self.files,
            noun(self.files, "file", "files"),
            size::megabytes_and_bytes(self.bytes)
        );
        for (count, what) in [
            (self.folders, noun(self.folders, "new folder", "new folders")),
            (self.unchanged, "unchanged"),
            (self.skipped, "skipped"),
            (self.special, "special left out"),
            (self.failed, "would fail"),
        ] {
            if count > 0 {
                line = format!("{line}, {count} {what}");
            }
        }
        line.push_str(&kept_text(kept));
        for (kind, count) in counts.clone() {
            line = format!("{line}, {count} to be asked about ({})", kind.text());
        }
        if let Some(free) = free {
            line = format!("{line}; {} free there", size::megabytes_and_bytes(free));
        }
        output.line(&line)?;
        let conflicts: Map<String, Value> =
            counts.map(|(kind, count)| (kind.word().to_owned(), count.into())).collect();
        output.object(&json!({
            "event": "planned", "files": self.files, "folders": self.folders, "bytes": self.bytes,
            "unchanged": self.unchanged, "skipped": self.skipped, "failed": self.failed, "conflicts": conflicts, "free": free, "special": self.special,
        }))?;
        if !has_room {
            let words = super::asking::too_much(self.bytes, free.unwrap_or_default());
            output::error(&format!("{}: {}: {words}", destination.typed, FaultCode::NoSpace.text()));
        }
        Ok(has_room && self.failed == 0 && self.skipped == 0 && asked == 0)
    }
}

/// Bytes free where the destination is, or will be.
async fn free(destination: &Place) -> Option<u64> {
    let mut path = destination.path.clone();
    loop {
        match destination.link.space(&path).await {
            Ok(space) => return Some(space.free),
            Err(fault) if matches!(fault.code, FaultCode::NotFound | FaultCode::NotAFolder) => {
                path = path.parent()?;
            }
            Err(_) => return None,
        }
    }
}

const fn word(action: Action) -> &'static str {
    match action {
        Action::Make => "make",
        Action::Copy => "copy",
        Action::Replace => "replace",
        Action::Unchanged => "unchanged",
        Action::Skip | Action::SkipSpecial => "skip",
        Action::Ask(_) => "ask",
    }
}

fn line(planned: &Planned, sides: &Sides<'_>) -> String {
    let Planned { action, to, kind, size, .. } = planned;
    let word = match action {
        Action::Make | Action::Copy => "new",
        Action::Ask(_) => "conflict",
        action => word(*action),
    };
    let name = sides.destination.name_of(to);
    let mut line = match kind {
        Kind::Folder => format!("{word:<9}  {name}/"),
        _ => format!("{word:<9}  {name}  {}", size::megabytes_and_bytes(*size)),
    };
    if let Some(reason) = reason(planned) {
        line = format!("{line}  ({reason})");
    }
    line
}

const fn reason(planned: &Planned) -> Option<&'static str> {
    match planned.action {
        Action::Ask(kind) => Some(kind.text()),
        _ => planned.reason,
    }
}

fn object(planned: &Planned, sides: &Sides<'_>) -> Value {
    let mut object = Map::new();
    object.insert("event".into(), "plan".into());
    object.insert("action".into(), word(planned.action).into());
    if let Some(from) = &planned.from {
        put_path(&mut object, "from", sides.source, from);
    }
    put_path(&mut object, "to", sides.destination, &planned.to);
    object.insert("kind".into(), kind_word(planned.kind).into());
    object.insert("size".into(), planned.size.into());
    if let Action::Ask(kind) = planned.action {
        object.insert("conflict".into(), kind.word().into());
    }
    if let Some(reason) = reason(planned) {
        object.insert("reason".into(), reason.into());
    }
    Value::Object(object)
}

pub(super) fn put_path(object: &mut Map<String, Value>, key: &str, place: &Place, path: &WirePath) {
    put_name(object, key, &place.bytes_of(path), &place.name_of(path));
}
