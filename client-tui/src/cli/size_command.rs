//! `tow size`: megabytes and exact bytes of a file, or of all files below a folder.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Map, Value};
use towpath_protocol::answer::Totals;
use towpath_protocol::entry::Kind;
use towpath_protocol::request::Follow;

use super::args::SizeArgs;
use super::exit::{Exit, Failure};
use super::ls::{put_name, size_object};
use super::output::{Output, json_text};
use super::place::{Place, Places};
use crate::model::size::megabytes_and_bytes;

/// Prints the size of each operand; with several, its name behind it.
pub(super) async fn run(args: &SizeArgs, places: &mut Places) -> Result<Exit, Failure> {
    let output = Output::new(args.output);
    let mut failed = Vec::new();
    for target in &args.targets {
        let measured = match places.resolve(target).await {
            Ok(place) => measure(&place).await.map(|totals| (place, totals)),
            Err(failure) => Err(failure),
        };
        match measured {
            Ok((place, totals)) => {
                let name = if args.targets.len() > 1 { format!("  {}", place.typed) } else { String::new() };
                output.line(&format!("{}{name}", megabytes_and_bytes(totals.bytes)))?;
                output.object_text(&object(totals.bytes, target, &place.typed))?;
                if totals.failed > 0 {
                    output.faults(&totals, &place)?;
                    failed.push(Exit::Partly);
                }
            }
            Err(failure) => {
                output.failed(target, &failure)?;
                failed.push(failure.exit);
            }
        }
    }
    Ok(Exit::of_operands(&failed, args.targets.len()))
}

/// Numbers as people write them, and the operand.
fn object(bytes: u64, target: &OsStr, typed: &str) -> String {
    let mut named = Map::new();
    put_name(&mut named, "path", target.as_bytes(), typed);
    let (numbers, named) = (size_object(bytes), json_text(&Value::Object(named)));
    format!("{},{}", numbers.trim_end_matches('}'), named.trim_start_matches('{'))
}

/// Counts what a place is, through a link to what it leads to.
pub(super) async fn measure(place: &Place) -> Result<Totals, Failure> {
    let attributes = place.stat(Follow::Yes).await?;
    if attributes.kind != Kind::Folder {
        return Ok(Totals { files: 1, bytes: attributes.size, ..Totals::default() });
    }
    let totals = place.link.measure(&place.path).await.map_err(|fault| place.failed(&fault))?;
    match totals.faults.as_slice() {
        // Nothing of it could be read.
        [fault] if fault.path.as_ref() == Some(&place.path) => Err(place.failed(fault)),
        _ => Ok(totals),
    }
}
