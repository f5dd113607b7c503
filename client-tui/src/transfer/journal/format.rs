//! A job as bytes: one object of JSON, paths in base64, many names of one folder together. What does not hold exactly what this writes
//! is refused.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use towpath_protocol::path::{Name, WirePath};

use crate::model::kept::KeptJob;
use crate::model::target::Target;
use crate::model::{Carry, Choice};

/// What is written today. The first version had no places in the queue, and no limit of all jobs.
const VERSION: u32 = 2;

/// A job that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was queued, in nanoseconds since 1970.
    pub begun_ns: i64,
    pub job: KeptJob,
}

/// Why bytes are not a job.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error("written by a newer tow (version {0})")]
    Newer(u32),
    #[error("{0}")]
    Senseless(String),
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    version: u32,
    verb: Verb,
    source: String,
    destination: String,
    begun_ns: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    existing: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    totals: Option<(u64, u64)>,
    #[serde(default)]
    place: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit_of_all: Option<u64>,
    items: Vec<Group>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verb {
    Copy,
    Move,
}

/// Things of one folder that go into one folder. A thing's two names in a row; an empty one is the folder itself.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    from: String,
    to: String,
    names: Vec<String>,
}

/// The words for what is done about everything in the way.
const CHOICES: [(Choice, &str); 6] = [
    (Choice::Overwrite, "overwrite"),
    (Choice::Skip, "skip"),
    (Choice::KeepBoth, "both"),
    (Choice::NewerOnly, "newer"),
    (Choice::Different, "different"),
    (Choice::Resume, "resume"),
];

pub(super) fn written(Entry { begun_ns, job }: &Entry) -> Vec<u8> {
    let existing = job.existing.and_then(|choice| CHOICES.iter().find(|(known, _)| *known == choice));
    let raw = Raw {
        version: VERSION,
        verb: if job.carry == Carry::Copy { Verb::Copy } else { Verb::Move },
        source: job.source.clone(),
        destination: job.destination.clone(),
        begun_ns: *begun_ns,
        existing: existing.map(|(_, word)| (*word).to_owned()),
        limit: job.limit,
        totals: job.totals,
        place: job.place,
        limit_of_all: job.limit_of_all,
        items: grouped(&job.items),
    };
    // It cannot fail: every key is a text.
    serde_json::to_vec(&raw).unwrap_or_default()
}

fn grouped(items: &[(WirePath, WirePath)]) -> Vec<Group> {
    let above = |path: &WirePath| STANDARD.encode(path.parent().unwrap_or_default().to_bytes());
    let name = |path: &WirePath| STANDARD.encode(path.name().map(Name::as_bytes).unwrap_or_default());
    let is_beside = |(from, to): &(WirePath, WirePath), (other_from, other_to): &(WirePath, WirePath)| {
        folder(from) == folder(other_from) && folder(to) == folder(other_to)
    };
    let group = |items: &[(WirePath, WirePath)]| Group {
        from: items.first().map(|(from, _)| above(from)).unwrap_or_default(),
        to: items.first().map(|(_, to)| above(to)).unwrap_or_default(),
        names: items.iter().flat_map(|(from, to)| [name(from), name(to)]).collect(),
    };
    items.chunk_by(is_beside).map(group).collect()
}

/// The names of the folder that it is in; none of a root.
fn folder(path: &WirePath) -> Option<&[Name]> {
    path.names().split_last().map(|(_, above)| above)
}

pub(super) fn read(content: &[u8]) -> Result<Entry, Unread> {
    let senseless = |error: serde_json::Error| Unread::Senseless(error.to_string());
    let Versioned { version } = serde_json::from_slice(content).map_err(senseless)?;
    if version > VERSION {
        return Err(Unread::Newer(version));
    }
    let raw: Raw = serde_json::from_slice(content).map_err(senseless)?;
    let bad = |what: &str| Unread::Senseless(what.to_owned());
    if raw.version == 0 || !is_server(&raw.source) || !is_server(&raw.destination) {
        return Err(bad("the version or a server makes no sense"));
    }
    let items = ungrouped(&raw.items).ok_or_else(|| bad("a path makes no sense"))?;
    if items.is_empty() {
        return Err(bad("nothing is to be carried"));
    }
    // What is not known any more is asked about again.
    let existing = raw.existing.and_then(|word| CHOICES.iter().find(|(_, known)| *known == word));
    let job = KeptJob {
        carry: if matches!(raw.verb, Verb::Copy) { Carry::Copy } else { Carry::Move },
        source: raw.source,
        destination: raw.destination,
        items,
        existing: existing.map(|(choice, _)| *choice),
        limit: raw.limit,
        totals: raw.totals,
        place: raw.place,
        limit_of_all: raw.limit_of_all,
    };
    Ok(Entry { begun_ns: raw.begun_ns, job })
}

/// This machine, or a server as it is written, without a path.
fn is_server(text: &str) -> bool {
    let is_written = |target: Target| match target {
        Target::Remote { server, path } => path.is_empty() && server.to_string() == text,
        Target::Local(_) => false,
    };
    text.is_empty() || Target::parse(OsStr::from_bytes(text.as_bytes())).is_ok_and(is_written)
}

fn ungrouped(groups: &[Group]) -> Option<Vec<(WirePath, WirePath)>> {
    let mut items = Vec::new();
    for group in groups {
        let (from, to) = (path(&group.from)?, path(&group.to)?);
        let (names, []) = group.names.as_chunks::<2>() else { return None };
        for [from_name, to_name] in names {
            items.push((within(&from, from_name)?, within(&to, to_name)?));
        }
    }
    Some(items)
}

fn path(text: &str) -> Option<WirePath> {
    let bytes = STANDARD.decode(text).ok()?;
    WirePath::parse(&bytes).ok().filter(|path| path.to_bytes() == bytes)
}

fn within(folder: &WirePath, name: &str) -> Option<WirePath> {
    match STANDARD.decode(name).ok()? {
        name if name.is_empty() => folder.is_root().then(WirePath::root),
        name => folder.join(&Name::new(name).ok()?).ok(),
    }
}
