//! `tow ls`: a folder's entries, sorted where the disk is, printed as they arrive.

use std::io::{self, Write};
use std::time::Duration;

use base64::Engine;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::timeout;
use towpath_protocol::display::DisplayName;
use towpath_protocol::entry::{Attributes, Entry, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::Name;
use towpath_protocol::request::{Direction, Follow, Hidden, SortKey};
use towpath_protocol::time::Time;

use super::args::{LsArgs, SortBy};
use super::exit::{Exit, Failure};
use super::output::{self, Output, json_text, write_line};
use super::place::{Place, Places};
use crate::config::zone;
use crate::model::number::noun;
use crate::model::size;

/// How sizes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Megabytes,
    Human,
    Bytes,
}

/// How a listing looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) unit: Unit,
    pub(super) long: bool,
}

/// Lists what `args` name.
pub(super) async fn run(args: &LsArgs, places: &mut Places) -> Result<Exit, Failure> {
    let output = Output::new(args.output);
    let hidden = if args.all { Hidden::Shown } else { Hidden::LeftOut };
    let (sort, ascending) = match args.sort {
        SortBy::Name => (SortKey::Name, true),
        SortBy::Size => (SortKey::Size, false),
        SortBy::Time => (SortKey::Modified, false),
    };
    let direction = if ascending == args.reverse { Direction::Descending } else { Direction::Ascending };
    let unit = match (args.bytes, args.human) {
        (true, _) => Unit::Bytes,
        (_, true) => Unit::Human,
        _ => Unit::Megabytes,
    };
    let (order, look) = ((sort, direction, hidden), Look { unit, long: args.long });
    if let [target] = args.targets.as_slice() {
        list(&places.resolve(target).await?, order, look, output).await?;
        return Ok(Exit::Done);
    }
    if output.json {
        return Err(Failure::usage("ls --json: one TARGET at a time, since an object names no folder"));
    }
    let mut failed = Vec::new();
    for target in &args.targets {
        let listed = match places.resolve(target).await {
            Ok(place) => {
                output.line(&format!("{}:", place.typed))?;
                list(&place, order, look, output).await
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = listed {
            output::error(&failure.message);
            failed.push(failure.exit);
        }
    }
    Ok(Exit::of_operands(&failed, args.targets.len()))
}

/// Prints a folder's entries and their total, or the one entry that a file is. Fails at the end if some entries could not be looked at.
pub(super) async fn list(
    place: &Place,
    (sort, direction, hidden): (SortKey, Direction, Hidden),
    look: Look,
    output: Output,
) -> Result<(), Failure> {
    let attributes = place.stat(Follow::Yes).await?;
    if attributes.kind != Kind::Folder {
        let name = place.path.name().cloned();
        let name = name.ok_or_else(|| Failure::usage(format!("{}: has no name to show", place.typed)))?;
        return Ok(show(&[Entry { name, attributes: place.stat(Follow::No).await? }], look, output)?);
    }
    let mut listing = place.link.list(&place.path, sort, direction, hidden);
    let (mut entries, mut bytes) = (0_u64, 0_u64);
    let (mut unknown, mut first_unknown) = (0_u64, None);
    while let Some(page) = listing.next_page().await.map_err(|fault| Failure::at(&place.typed, &fault))? {
        show(&page.entries, look, output)?;
        for entry in &page.entries {
            entries += 1;
            bytes = bytes.saturating_add(entry.attributes.size);
            if entry.attributes.is_unknown {
                unknown += 1;
                first_unknown.get_or_insert_with(|| entry.name.clone());
            }
        }
    }
    output.line(&total(entries, bytes, look.unit))?;
    io::stdout().flush()?;
    match first_unknown {
        Some(name) => Err(not_known(place, &name, (unknown, entries)).await),
        None => Ok(()),
    }
}

/// Time limit for finding out why an entry is unknown: its file system may not answer again.
const REASON_PATIENCE: Duration = Duration::from_secs(1);

/// Some entries are there and cannot be looked at; `name` is one of them.
async fn not_known(place: &Place, name: &Name, (unknown, entries): (u64, u64)) -> Failure {
    let looked = match place.path.join(name) {
        Ok(path) => match timeout(REASON_PATIENCE, place.link.stat(&path, Follow::No)).await {
            Ok(looked) => looked.map(drop),
            Err(_) => Err(FaultCode::TimedOut.into()),
        },
        Err(_) => Ok(()),
    };
    let why = looked.err().map(|fault| format!(": {}", Fault { path: None, ..fault })).unwrap_or_default();
    let all = format!("{unknown} of {entries} {}", noun(entries, "entry", "entries"));
    Failure { exit: Exit::Partly, message: format!("{}: cannot look at {all}{why}", place.typed) }
}

fn total(entries: u64, bytes: u64, unit: Unit) -> String {
    let size = match unit {
        Unit::Human => size::human(bytes),
        Unit::Megabytes => size::megabytes_and_bytes(bytes),
        Unit::Bytes => format!("{bytes} bytes"),
    };
    format!("total {size} in {entries} {}", noun(entries, "entry", "entries"))
}

/// A line for each, in one piece: a call of the system for each of a hundred thousand lines takes longer than their names.
fn show(entries: &[Entry], look: Look, output: Output) -> io::Result<()> {
    if output.quiet && !output.json {
        return Ok(());
    }
    let line = |entry| if output.json { json_text(&object(entry)) } else { line(entry, look) };
    let lines: Vec<_> = entries.iter().map(line).collect();
    if lines.is_empty() { Ok(()) } else { write_line(&lines.join("\n")) }
}

fn line(entry: &Entry, look: Look) -> String {
    let Attributes { kind, size, mode, modified, .. } = entry.attributes;
    let size = match (kind, look.unit) {
        _ if entry.attributes.is_unknown => "?".to_owned(),
        (Kind::Folder, _) => "-".to_owned(),
        (_, Unit::Megabytes) => size::megabytes(size),
        (_, Unit::Human) => size::human(size),
        (_, Unit::Bytes) => size.to_string(),
    };
    let name = shown_name(entry);
    if look.long && entry.attributes.is_unknown {
        format!("{} ???? {size:>14} {:>16}  {name}", letter(kind), "unknown")
    } else if look.long {
        format!("{} {:04o} {size:>14} {}  {name}", letter(kind), mode, local_time(modified))
    } else {
        format!("{size:>14}  {name}")
    }
}

/// The name, with `/` behind a folder's and the target behind a link's.
fn shown_name(entry: &Entry) -> String {
    let name = entry.name.display();
    match (&entry.attributes.link, entry.attributes.kind) {
        (Some(link), _) => format!("{name} -> {}", DisplayName::new(&link.bytes)),
        (None, Kind::Folder) => format!("{name}/"),
        _ => name.to_string(),
    }
}

const fn letter(kind: Kind) -> char {
    match kind {
        Kind::File => '-',
        Kind::Folder => 'd',
        Kind::Link => 'l',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
        Kind::CharacterDevice => 'c',
        Kind::BlockDevice => 'b',
        Kind::Other => '?',
    }
}

/// A kind's word in machine output.
pub(super) const fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Folder => "folder",
        Kind::Link => "link",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharacterDevice => "character_device",
        Kind::BlockDevice => "block_device",
        Kind::Other => "other",
    }
}

/// Whole seconds; the first or last moment of the calendar if it does not reach that far.
fn timestamp(modified: Time) -> Timestamp {
    let end = if modified.seconds() < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(modified.seconds()).unwrap_or(end)
}

pub(super) fn local_time(modified: Time) -> String {
    timestamp(modified).to_zoned(zone::local().clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn object(entry: &Entry) -> Value {
    let attributes = &entry.attributes;
    let mut object = Map::new();
    put_name(&mut object, "name", entry.name.as_bytes(), &entry.name.display().to_string());
    object.insert("kind".into(), kind_word(attributes.kind).into());
    let known = |value: Value| if attributes.is_unknown { Value::Null } else { value };
    object.insert("size".into(), known(attributes.size.into()));
    object.insert("modified".into(), known(timestamp(attributes.modified).to_string().into()));
    object.insert("mode".into(), known(format!("{:04o}", attributes.mode).into()));
    if let Some(link) = &attributes.link {
        put_name(&mut object, "target", &link.bytes, &DisplayName::new(&link.bytes).to_string());
    }
    Value::Object(object)
}

/// A name as a JSON string, exactly as it is; one that is not UTF-8 as it is shown, and its bytes in base64 beside it.
pub(super) fn put_name(object: &mut Map<String, Value>, key: &str, bytes: &[u8], shown: &str) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        object.insert(key.into(), text.into());
    } else {
        object.insert(key.into(), shown.into());
        object.insert(format!("{key}_bytes"), base64::engine::general_purpose::STANDARD.encode(bytes).into());
    }
}

/// `{"bytes":2,"megabytes":0.000002}`, the number as people write it.
pub(super) fn size_object(bytes: u64) -> String {
    format!("{{\"bytes\":{bytes},\"megabytes\":{}}}", size::megabytes_exact(bytes))
}
