//! `tow get`, `put`, `cp`, `mv`: operands to a job, its facts to standard error, its summary to standard output.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use serde_json::json;
use towpath_protocol::display::DisplayName;
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::WirePath;
use towpath_protocol::request::Durability;

use super::args::{ConflictArgs, Overwrite, TransferArgs};
use super::exit::{Exit, Failure, why};
use super::listed;
use super::output::{self, Output};
use super::patterns;
use super::pinned::Pins;
use super::place::{Place, Places};
use super::planned::Forecast;
use super::running;
use super::sources::resolve_items;
use crate::model::conflict::Choice;
use crate::model::number::noun;
use crate::model::size;
use crate::transfer::excludes::Excludes;
use crate::transfer::job::{ExistingPolicy, Item, Job, OnRequest, Summary, Verb, Within};
use crate::transfer::placed::Placed;

/// What a transfer is told besides its places.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) verb: Verb,
    /// The destination is the new name itself, also where it is a folder.
    pub(super) is_name: bool,
    pub(super) conflicts: ConflictArgs,
    pub(super) excludes: Excludes,
    pub(super) durability: Durability,
    pub(super) on_request: OnRequest,
    /// Whether an interrupt leaves what the same command, given again, goes on with.
    pub(super) is_resumed: bool,
    /// Where it is written down what the destination means.
    pub(super) pins: Pins,
    /// Nothing is changed: what would be done is printed.
    pub(super) is_dry: bool,
}

impl Default for Options {
    fn default() -> Self {
        let (conflicts, excludes) = (ConflictArgs::default(), Excludes::default());
        Self {
            verb: Verb::Copy,
            is_name: false,
            conflicts,
            excludes,
            durability: Durability::Synced,
            on_request: OnRequest::default(),
            is_resumed: false,
            pins: Pins::default(),
            is_dry: false,
        }
    }
}

/// The commands that transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Get,
    Put,
    Cp,
    Mv,
}

impl Word {
    /// Refuses the other direction: what is typed and what is meant differ.
    fn check(self, sources: &[Place], destination: &Place) -> Result<(), Failure> {
        let is_remote = |place: &Place| place.server.is_some();
        let (from, to) = (sources.iter().any(is_remote), is_remote(destination));
        match self {
            Self::Get if to && !from => {
                Err(Failure::usage("get: DEST is on a server; use tow put to upload"))
            }
            Self::Put if from && !to => {
                Err(Failure::usage("put: SOURCE is on a server; use tow get to download"))
            }
            _ => Ok(()),
        }
    }
}

/// Copies or moves what `args` name.
pub(super) async fn run(
    args: &TransferArgs,
    word: Word,
    places: &mut Places,
    pins: &Pins,
) -> Result<Exit, Failure> {
    let output = Output::new(args.output);
    let verb = if word == Word::Mv { Verb::Move } else { Verb::Copy };
    if args.follow && verb == Verb::Move {
        return Err(Failure::usage("--follow: links are never followed by a move; copy instead".to_owned()));
    }
    let listed = args.files_from.as_deref().map(listed::read).transpose()?;
    let options = Options {
        verb,
        is_name: args.no_target_folder,
        conflicts: args.conflicts,
        excludes: patterns::excludes(&args.patterns)?.of_listed(listed),
        durability: if args.no_sync { Durability::Relaxed } else { Durability::Synced },
        on_request: OnRequest {
            metadata: args.preserve,
            follow: args.follow.then_some(Within::Item),
            checksum: args.checksum,
            skips_special: args.skip_special,
            // The promise of `get` and `put`.
            needs_folder: matches!(word, Word::Cp | Word::Mv),
        },
        is_resumed: true,
        // Nothing is begun that could be gone on with.
        pins: if args.dry_run { Pins::default() } else { pins.clone() },
        is_dry: args.dry_run,
    };
    let (destination, sources) = match args.operands.split_last() {
        Some((destination, sources)) if !sources.is_empty() => (destination, sources),
        _ => return Err(Failure::usage(no_destination(args))),
    };
    let destination =
        places.resolve(destination).await.map_err(|failure| told(output, Some(destination), failure))?;
    let mut resolved = Vec::new();
    for source in sources {
        resolved.push(places.resolve(source).await.map_err(|failure| told(output, Some(source), failure))?);
    }
    word.check(&resolved, &destination)?;
    let ended = copy(resolved, destination, options, output).await?;
    if !args.dry_run {
        report(&ended.summary, ended.kept, output)?;
    }
    Ok(ended.exit)
}

/// Tells, with `--json`, of an operand that failed before anything was begun. An error in what was typed is no item's.
fn told(output: Output, operand: Option<&OsStr>, failure: Failure) -> Failure {
    if failure.exit != Exit::Usage && !failure.message.is_empty() {
        // A closed output is noticed by what comes next.
        let _ = output.failed_object(operand, &failure);
    }
    failure
}

fn no_destination(args: &TransferArgs) -> String {
    let source = args.operands.first().map(|source| DisplayName::new(source.as_bytes()).to_string());
    let source = source.unwrap_or_default();
    format!("{source}: missing DEST: write SOURCE… DEST; DEST . is the current folder")
}

/// How all of it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) summary: Summary,
    /// Existing files that were kept because no flag said what happens to them.
    pub(super) kept: u64,
    pub(super) exit: Exit,
}

/// 0 only where everything asked for is at the destination now. Where a single thing was asked for and itself failed, `failed` is why.
fn exit_of(summary: &Summary, failed: Option<&Fault>) -> Exit {
    match &summary.stopped {
        _ if summary.cancelled => Exit::Interrupted,
        Some(fault) => Exit::of(fault),
        None if summary.failed > 0 || summary.skipped > 0 => failed.map_or(Exit::Partly, Exit::of),
        None => Exit::Done,
    }
}

/// Whether a fault is about an item itself, or the folder that it goes into, and not about something in it.
fn concerns(fault: &Fault, item: &Item) -> bool {
    let path = fault.path.as_ref();
    path.is_none_or(|path| {
        let is_above = |thing: &WirePath| thing.parent().as_ref() == Some(path);
        *path == item.from || *path == item.to || is_above(&item.from) || is_above(&item.to)
    })
}

/// One job a source link; summed up.
pub(super) async fn copy(
    sources: Vec<Place>,
    destination: Place,
    options: Options,
    output: Output,
) -> Result<Ended, Failure> {
    let mut total = Summary::default();
    let mut typed: Vec<String> = sources.iter().map(|source| source.typed.clone()).collect();
    typed.push(destination.typed.clone());
    let resolving = async {
        tokio::select! {
            resolved = resolve_items(sources, &destination, &options) => resolved,
            // A disk may not answer.
            () = super::interrupted() => {
                Err(Failure { exit: Exit::Interrupted, message: "interrupted before anything was copied".to_owned() })
            }
        }
    };
    let (items, pin, broken) = resolving.await.map_err(|failure| {
        let named = typed.iter().find(|typed| failure.message.starts_with(&format!("{typed}: ")));
        told(output, named.map(OsStr::new), failure)
    })?;
    let whole_failure = items.len() == 1 && broken.is_empty();
    total.failed = broken.len() as u64;
    let mut forecast = if options.is_dry { Forecast::told(options.verb) } else { Forecast::default() };
    for (typed, failure) in broken {
        output::error(&failure.message);
        if forecast.is_told() {
            forecast.failed_source(&typed, &failure, output);
        } else {
            told(output, Some(OsStr::new(&typed)), failure);
        }
    }
    let only_item = match items.as_slice() {
        [(_, items)] if items.len() == 1 => items.first().cloned(),
        _ => None,
    };
    // No source replaces a file that another source of this command has put there.
    let placed = Arc::new(Placed::by(items.iter().flat_map(|(_, items)| items)));
    let (mut failed, mut kept) = (None, 0_u64);
    for (source, items) in items {
        let job = job_of(&source, items, &destination, &options, placed.clone());
        let sides = Sides { source: &source, destination: &destination };
        let ran = running::run(job, &sides, output, &mut forecast).await;
        let mut summary = ran.summary;
        failed = ran.failed;
        if options.conflicts.overwrite.is_none() && policy(None) != ExistingPolicy::Ask {
            kept = kept.saturating_add(ran.kept);
        }
        if let Some(error) = forecast.broken.take() {
            return Err(error.into());
        }
        if let Some(fault) = &summary.stopped {
            if whole_failure && summary.files == 0 && summary.failed <= 1 {
                return Err(Failure { exit: Exit::of(fault), message: sides.words(fault) });
            }
            output::error(&sides.words(fault));
        }
        // Of several sources, one that contains the destination ends itself alone.
        if summary.stopped.as_ref().is_some_and(|fault| fault.code == FaultCode::IntoItself) {
            summary.stopped = None;
            summary.failed = summary.failed.max(1);
        }
        total.add(summary);
        if total.cancelled || total.stopped.is_some() {
            break;
        }
    }
    let is_whole = total.files == 0 && total.unchanged == 0 && total.skipped == 0 && total.failed == 1;
    let failed = failed.filter(|fault| is_whole && only_item.is_some_and(|item| concerns(fault, &item)));
    let mut exit = exit_of(&total, failed.as_ref());
    if options.is_dry
        && matches!(exit, Exit::Done | Exit::Partly)
        && !forecast.end(&destination, kept, output).await?
    {
        exit = Exit::Partly;
    }
    if let Some(pin) = pin.filter(|_| exit == Exit::Done) {
        pin.forget().await;
    }
    Ok(Ended { exit, summary: total, kept })
}

fn job_of(
    source: &Place,
    items: Vec<Item>,
    destination: &Place,
    options: &Options,
    placed: Arc<Placed>,
) -> Job {
    let (mut on_request, mut excludes) =
        (options.on_request, options.excludes.clone().of_source(&source.path));
    if source.is_content {
        on_request.follow = on_request.follow.map(|_| Within::Folder);
        excludes = excludes.relative_to(source.path.clone());
    }
    Job {
        verb: options.verb,
        source: source.link.clone(),
        destination: destination.link.clone(),
        items,
        existing: policy(options.conflicts.overwrite),
        excludes,
        durability: options.durability,
        on_request,
        is_resumed: options.is_resumed,
        is_dry: options.is_dry,
        placed: Some(placed),
    }
}

/// Where a job's paths are: each is named with its side, as it can be typed.
pub(super) struct Sides<'a> {
    pub(super) source: &'a Place,
    pub(super) destination: &'a Place,
}

impl Sides<'_> {
    pub(super) fn name(&self, path: &WirePath) -> String {
        self.of(path).name_of(path)
    }

    /// Which of them a path belongs to.
    pub(super) fn of(&self, path: &WirePath) -> &Place {
        let shared = |place: &Place| path.starts_with(&place.path).then(|| place.path.names().len());
        // The nearer one; what is above both is only ever made, or missing, at the destination.
        let is_source = match (shared(self.source), shared(self.destination)) {
            (source, Some(destination)) => source.is_some_and(|source| source >= destination),
            (Some(_), None) => true,
            (None, None) => !self.destination.path.starts_with(path),
        };
        if is_source { self.source } else { self.destination }
    }

    pub(super) fn words(&self, fault: &Fault) -> String {
        let why = why(fault);
        fault.path.as_ref().map_or_else(|| why.clone(), |path| format!("{}: {why}", self.name(path)))
    }
}

fn policy(overwrite: Option<Overwrite>) -> ExistingPolicy {
    ExistingPolicy::Always(match overwrite {
        None | Some(Overwrite::Ask) if output::is_interactive() => return ExistingPolicy::Ask,
        None | Some(Overwrite::Ask | Overwrite::Never) => Choice::Skip,
        Some(Overwrite::Always) => Choice::Overwrite,
        Some(Overwrite::Newer) => Choice::NewerOnly,
        Some(Overwrite::Different) => Choice::Different,
        Some(Overwrite::Resume) => Choice::Resume,
        Some(Overwrite::KeepBoth) => Choice::KeepBoth,
    })
}

/// Names the flag that decides, where existing things were kept because it was not given.
pub(super) fn kept_text(kept: u64) -> String {
    match kept {
        0 => String::new(),
        1 => " (1 existing file kept; --overwrite always replaces it)".to_owned(),
        kept => format!(" ({kept} existing files kept; --overwrite always replaces them)"),
    }
}

/// Items that were not copied, each with a comma in front; empty if there are none.
pub(super) fn counts(summary: &Summary, kept: u64) -> String {
    let counts = [
        (summary.unchanged, "unchanged"),
        (summary.skipped, "skipped"),
        (summary.failed, "failed"),
        (summary.special, "special left out"),
    ];
    let told = counts.iter().filter(|(count, _)| *count > 0);
    let mut words: Vec<_> = told.map(|(count, what)| format!(", {count} {what}")).collect();
    words.push(kept_text(kept));
    words.concat()
}

fn report(summary: &Summary, kept: u64, output: Output) -> Result<(), Failure> {
    let Summary { files, verified, bytes, seconds, unchanged, skipped, failed, .. } = *summary;
    // Copies and renames within a server have no hash; unchanged files are verified only if their content was compared.
    let is_verified = verified + summary.compared > 0 && verified == files && summary.compared == unchanged;
    let moved = summary.moved_bytes();
    let mut line = format!(
        "{}{files} {}, {}, {seconds:.2} s, {}{}",
        if summary.cancelled { "interrupted; until then " } else { "" },
        noun(files, "file", "files"),
        size::megabytes_and_bytes(bytes),
        size::rate(moved, seconds),
        match verified {
            0 if !is_verified => String::new(),
            some if some < files => format!(", {some} verified"),
            _ => ", verified".to_owned(),
        },
    );
    if summary.resumed > 0 {
        line = format!("{line}, {} MB of it there from before", size::megabytes(summary.resumed));
    }
    if summary.saved > 0 {
        line = format!("{line}, {} MB of it there already", size::megabytes(summary.saved));
    }
    line.push_str(&counts(summary, kept));
    output.line(&line)?;
    output.object(&json!({
        "event": "done", "files": files, "bytes": bytes, "seconds": (seconds * 1e6).round() / 1e6, "verified": is_verified,
        "skipped": skipped, "failed": failed, "unchanged": unchanged, "resumed": summary.resumed,
        "saved": summary.saved, "unset": summary.unset, "not_kept": summary.unset,
        "compared": summary.compared, "special": summary.special, "moved": moved,
    }))?;
    Ok(())
}
