//! `tow rm`: removes what the operands name, after a question that says how much it is.

use std::iter::successors;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use towpath_protocol::answer::Totals;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::WirePath;
use towpath_protocol::request::{Depth, Follow};

use super::answers;
use super::args::RmArgs;
use super::exit::{Exit, Failure};
use super::output::{self, Output};
use super::place::{Place, Places};
use crate::model::number::noun;
use crate::model::size::megabytes_and_bytes;
use crate::transfer;

/// Removes each operand; what fails is named and does not stop the rest. An interrupt ends it, and says so.
pub(super) async fn run(args: &RmArgs, places: &mut Places) -> Result<Exit, Failure> {
    if !args.yes && !output::is_interactive() {
        return Err(Failure::usage("rm: not a terminal: use --yes to remove without confirmation"));
    }
    let has_begun = AtomicBool::new(false);
    tokio::select! {
        done = remove_all(args, places, &has_begun) => done,
        () = super::interrupted() => {
            let what =
                if has_begun.load(Ordering::Relaxed) { "some of what was named may be removed already" } else { "nothing removed" };
            let message = format!("rm: interrupted; {what}");
            Err(Failure { exit: Exit::Interrupted, message })
        }
    }
}

async fn remove_all(args: &RmArgs, places: &mut Places, has_begun: &AtomicBool) -> Result<Exit, Failure> {
    let output = Output::new(args.output);
    let depth = if args.recursive { Depth::Tree } else { Depth::Single };
    let mut failed = Vec::new();
    for target in &args.targets {
        let removed = match places.resolve(target).await {
            Ok(place) => remove(&place, depth, args.yes, has_begun).await.map(|totals| (place, totals)),
            Err(failure) => Err(failure),
        };
        match removed {
            Ok((place, Some(totals))) => {
                report(&place, &totals, output)?;
                if totals.failed > 0 {
                    failed.push(totals.faults.first().map_or(Exit::Partly, Exit::of));
                }
            }
            Ok((place, None)) => output.line(&format!("{}: nothing removed", place.typed))?,
            Err(failure) => {
                output.failed(target, &failure)?;
                failed.push(failure.exit);
            }
        }
    }
    Ok(Exit::of_operands(&failed, args.targets.len()))
}

/// Asks unless `yes`, then removes; none where the person said no.
/// `has_begun` is set once the server was asked to remove.
pub(super) async fn remove(
    place: &Place,
    depth: Depth,
    yes: bool,
    has_begun: &AtomicBool,
) -> Result<Option<Totals>, Failure> {
    if place.path.is_root() {
        let why = Fault::new(FaultCode::PermissionDenied).because("a root is never removed");
        return Err(Failure::at(&place.typed, &why));
    }
    if place.is_content {
        let message =
            format!("{}: refusing to remove '.', '..' or a home folder; name the folder itself", place.typed);
        return Err(Failure { exit: Exit::Partly, message });
    }
    if depth == Depth::Tree && holds_home(place).await {
        let message = format!("{}: refusing to remove a home folder, or a folder that holds it", place.typed);
        return Err(Failure { exit: Exit::Partly, message });
    }
    if place.is_folder
        && place.link.stat(&place.path, Follow::No).await.is_ok_and(|there| there.kind != Kind::Folder)
    {
        return Err(place.failed(&FaultCode::NotAFolder.into()));
    }
    if !yes && !confirmed(place, depth).await? {
        return Ok(None);
    }
    has_begun.store(true, Ordering::Relaxed);
    let totals = place.link.remove(&place.path, depth).await.map_err(|fault| explain(place, &fault))?;
    match totals.faults.as_slice() {
        [fault] if totals.things() == 0 => Err(explain(place, fault)),
        _ => Ok(Some(totals)),
    }
}

/// Tells of the home folder of the machine, by any name, and of the folders above it. A shell writes `~` out before it gets here.
async fn holds_home(place: &Place) -> bool {
    let home = place.link.welcome().home.clone();
    let behind = transfer::behind(&place.link, &home).await.ok().flatten();
    let above: Vec<WirePath> = [Some(home), behind]
        .into_iter()
        .flat_map(|home| successors(home, WirePath::parent))
        .filter(|folder| !folder.is_root())
        .collect();
    let (there, known) = tokio::join!(
        place.link.stat(&place.path, Follow::No),
        join_all(above.iter().map(|folder| place.link.stat(folder, Follow::Yes))),
    );
    there.is_ok_and(|there| {
        let is_it = |folder: &Attributes| folder.kind == there.kind && folder.identity == there.identity;
        there.kind == Kind::Folder && (above.contains(&place.path) || known.iter().flatten().any(is_it))
    })
}

fn explain(place: &Place, fault: &Fault) -> Failure {
    let failure = place.not_there(fault);
    if fault.code == FaultCode::NotEmpty {
        return Failure {
            message: format!("{}; use -r to remove it and everything in it", failure.message),
            ..failure
        };
    }
    failure
}

async fn confirmed(place: &Place, depth: Depth) -> Result<bool, Failure> {
    let attributes = place.stat(Follow::No).await?;
    let what = if attributes.kind == Kind::Folder && depth == Depth::Tree {
        let totals =
            place.link.measure(&place.path).await.map_err(|fault| Failure::at(&place.typed, &fault))?;
        format!("{}/: {}", place.typed, counts(&totals))
    } else {
        format!("{}, {}", place.typed, megabytes_and_bytes(attributes.size))
    };
    Ok(answers::confirmed(&format!("Remove {what}? This cannot be undone. (y/n)")).await?)
}

/// Files, folders (a removed folder itself among them) and bytes: the same before and after.
fn counts(totals: &Totals) -> String {
    format!(
        "{} {}, {} {}, {}",
        totals.files,
        noun(totals.files, "file", "files"),
        totals.folders,
        noun(totals.folders, "folder", "folders"),
        megabytes_and_bytes(totals.bytes)
    )
}

fn report(place: &Place, totals: &Totals, output: Output) -> Result<(), Failure> {
    output.faults(totals, place)?;
    output.line(&format!(
        "{} {}: {}",
        if totals.failed > 0 { "removed part of" } else { "removed" },
        place.typed,
        counts(totals)
    ))?;
    output.object(&serde_json::json!({
        "event": "removed", "path": place.typed, "files": totals.files, "folders": totals.folders,
        "bytes": totals.bytes, "failed": totals.failed,
    }))?;
    Ok(())
}
