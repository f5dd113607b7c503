//! Before anything is touched: whether both sides take what the job wants, and whether nothing is copied onto or into itself.
//! Then each item's first step: the folders above its place, and whether a service can do all of it alone.

use futures_util::future::join_all;
use towpath_protocol::answer::WalkItem;
use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hello::Access;
use towpath_protocol::message::Answer;
use towpath_protocol::path::{Location, WirePath};
use towpath_protocol::permissions::Permission;
use towpath_protocol::request::{Existing, Follow, Walk};

use super::alone::{self, Tree};
use super::job::{Fact, Item, Job, Verb};
use super::metadata;
use super::placed::are_alike;
use super::plan::{look, look_at};
use super::shared::Shared;
use crate::link::Link;
use crate::link::pages::{PAGES_FIRST, Pages};

/// Items for which a server is asked that will refuse them.
const ASKED_MAX: usize = 16;

/// Why something cannot be put onto or into itself.
pub(super) const SAME_FILE: &str = "source and destination are the same file";
const SAME_FOLDER: &str = "source and destination are the same folder";
pub const DESTINATION_INSIDE: &str = "the destination is inside it";

/// How an item goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// It is done already.
    Done,
    /// It is to be walked. Whether something is at its place, and the identity of the folder that holds the place, if that was there.
    Walk { is_there: bool, into: Option<u64> },
}

/// Err where the job must not begin.
pub(super) async fn check(shared: &Shared) -> Result<(), Fault> {
    let job = &shared.job;
    may(job, Permission::Write, Side::Destination).await?;
    may(job, Permission::Read, Side::Source).await?;
    if job.verb == Verb::Move {
        may(job, Permission::Delete, Side::Source).await?;
    }
    metadata::check(shared).await;
    if shared.is_one_machine() {
        for item in &job.items {
            if !is_other_spelling(shared, item) {
                check_apart(job, item).await?;
            }
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
}

/// Checks that a side lets this client do that. What its Welcome says is a hint: a server that writes refusals down is asked.
async fn may(job: &Job, permission: Permission, side: Side) -> Result<(), Fault> {
    let link = if side == Side::Source { &job.source } else { &job.destination };
    let welcome = link.welcome();
    let may = welcome.permissions();
    if may.allow(permission) {
        return Ok(());
    }
    if !job.is_dry && !job.items.is_empty() {
        let things = job.items.iter().take(ASKED_MAX);
        let things = things.map(|item| if side == Side::Source { &item.from } else { &item.to });
        if !join_all(things.map(|thing| link.is_refused(permission, thing))).await.contains(&true) {
            return Ok(());
        }
    }
    let first = job.items.first().map(|item| if side == Side::Source { &item.from } else { &item.to });
    let side = if side == Side::Source { "source" } else { "destination" };
    let mut fault = if welcome.access == Access::ReadOnly && permission != Permission::Read {
        Fault::new(FaultCode::ReadOnly).because(format!("the {side} takes no changes"))
    } else {
        Fault::new(FaultCode::PermissionDenied)
            .because(format!("at the {side} you may only {}", may.in_words()))
    };
    fault.path = first.cloned();
    Err(fault)
}

/// Returns whether a move may change the spelling of a name on a file system that folds case.
fn is_other_spelling(shared: &Shared, item: &Item) -> bool {
    shared.job.verb == Verb::Move
        && shared.is_one_root()
        && item.from != item.to
        && are_alike(&item.from, &item.to)
}

/// Source and destination are not the same thing, nor is the destination within the source, whatever links and names lead there.
async fn check_apart(job: &Job, item: &Item) -> Result<(), Fault> {
    let link = &job.destination;
    // A failure to look is reported when the item is copied.
    let Ok(source) = look_at(&job.source, &Location::of(&item.from)).await else { return Ok(()) };
    let is_itself = |there: &Attributes| there.identity == source.identity && there.kind == source.kind;
    let is_one_root = job.source.is_same(link);
    let to = Location::of(&item.to);
    // Of a file nothing can be within.
    let above: Vec<WirePath> = std::iter::successors(item.to.parent(), WirePath::parent)
        .take_while(|_| source.kind == Kind::Folder)
        .collect();
    let (there, followed, themselves) = tokio::join!(
        look_at(link, &to),
        join_all(above.iter().map(|folder| link.stat(folder, Follow::Yes))),
        join_all(above.iter().map(|folder| link.stat(folder, Follow::No))),
    );
    if (is_one_root && item.to == item.from) || there.is_ok_and(|there| is_itself(&there)) {
        let why = if source.kind == Kind::Folder { SAME_FOLDER } else { SAME_FILE };
        return Err(Fault::new(FaultCode::IntoItself).at(item.from.clone()).because(why));
    }
    let mut is_within = false;
    if source.kind == Kind::Folder {
        let above_root = link.welcome().machine.iter().flat_map(|machine| &machine.above);
        is_within = (is_one_root && item.to.starts_with(&item.from))
            || followed.iter().flatten().any(is_itself)
            || above_root.into_iter().any(|folder| *folder == source.identity);
        // The folders above where a link leads have no names here: then the source is searched for the nearest that is known.
        if let Some(nearest) = followed.iter().flatten().next()
            && themselves.iter().flatten().any(|folder| folder.kind == Kind::Link)
        {
            is_within = is_within || holds(&job.source, &item.from, nearest.identity).await?;
        }
    }
    if is_within {
        return Err(Fault::new(FaultCode::IntoItself).at(item.from.clone()).because(DESTINATION_INSIDE));
    }
    Ok(())
}

/// Whether a folder is in a tree.
async fn holds(link: &Link, tree: &WirePath, folder: u64) -> Result<bool, Fault> {
    let mut walk = Pages::open(link, Walk { start: Location::of(tree), pages: PAGES_FIRST });
    loop {
        match walk.next().await? {
            Answer::WalkPage(page) => {
                let is_it = |item: &WalkItem| {
                    item.entry.attributes.kind == Kind::Folder && item.entry.attributes.identity == folder
                };
                if page.items.iter().any(is_it) {
                    return Ok(true);
                }
            }
            Answer::Done(_) => return Ok(false),
            _ => return Err(FaultCode::Malformed.into()),
        }
    }
}

/// Begins an item. Where a service does all of it alone it is waited for, also when the job stops.
pub(super) async fn begin(shared: &Shared, item: &Item) -> Result<Begun, Fault> {
    let job = &shared.job;
    let from = Location::of(&item.from);
    let looking = async {
        // A missing source is told, and no folder is made for it.
        let source = look_at(&job.source, &from).await?;
        let ((), prepared) = tokio::join!(shared.ask_room_for(&source, &item.to), prepare(shared, &item.to));
        prepared.map(|prepared| (source, prepared))
    };
    let (source, (is_there, into)) = shared.unless_stopped(looking).await??;
    if !is_there && into.is_none() && !job.is_dry {
        // Folders were made above it.
        shared.touch();
    }
    if is_other_spelling(shared, item) && is_there && !job.is_dry {
        if job.excludes.listed().is_none() && alone::spelling(shared, item, &source).await? {
            return Ok(Begun::Done);
        }
        // Two names after all.
        check_apart(job, item).await?;
    }
    let is_alone = shared.is_one_root()
        && !is_there
        && !shared.placed.is_minded()
        && source.kind == Kind::Folder
        && job.excludes.is_empty()
        && job.on_request.follow.is_none();
    if is_alone && !job.is_dry {
        match alone::tree(shared, item).await? {
            Tree::Done => return Ok(Begun::Done),
            Tree::Apart => {}
            Tree::GaveWay => {
                let is_there = look_at(&job.destination, &Location::of(&item.to)).await.is_ok();
                return Ok(Begun::Walk { is_there, into });
            }
        }
    }
    Ok(Begun::Walk { is_there, into })
}

/// Makes the folders that are missing above a place, or only tells them. Whether something is at the place itself, and which folder holds
/// it.
async fn prepare(shared: &Shared, place: &WirePath) -> Result<(bool, Option<u64>), Fault> {
    let (Some(folder), Some(name)) = (place.parent(), place.name()) else { return Ok((true, None)) };
    let name = WirePath::new(vec![name.clone()]).map_err(|_| FaultCode::NameTooLong)?;
    let destination = &shared.job.destination;
    let looked = look(destination, folder.clone(), vec![WirePath::root(), name]).await?;
    match looked.as_slice() {
        [Ok(parent), there] if parent.kind == Kind::Folder => {
            // What cannot be looked at may well be there.
            Ok((!matches!(there, Err(FaultCode::NotFound)), Some(parent.identity)))
        }
        [Err(FaultCode::NotFound), _] if shared.job.on_request.needs_folder => {
            Err(Fault::new(FaultCode::NotFound).at(folder).because("make it first: tow mkdir -p"))
        }
        [Err(FaultCode::NotFound), _] => make_folders(shared, folder).await.map(|()| (false, None)),
        [Err(code), _] => Err(Fault::new(*code).at(folder)),
        _ => Err(Fault::new(FaultCode::NotAFolder).at(folder)),
    }
}

/// Makes a folder and all that are missing above it.
async fn make_folders(shared: &Shared, folder: WirePath) -> Result<(), Fault> {
    let link = &shared.job.destination;
    let mut missing = vec![folder];
    while let Some(parent) = missing.last().and_then(WirePath::parent) {
        match link.stat(&parent, Follow::Yes).await {
            Ok(there) if there.kind == Kind::Folder => break,
            Ok(_) => return Err(Fault::new(FaultCode::NotAFolder).at(parent)),
            Err(fault) if fault.code == FaultCode::NotFound => missing.push(parent),
            Err(fault) => return Err(fault),
        }
    }
    for folder in missing.into_iter().rev() {
        if shared.job.is_dry {
            shared.to_be_made(folder).await;
        } else {
            link.make_folder(&folder, Existing::Replace).await?;
            shared.tell(Fact::Made(folder)).await;
        }
    }
    Ok(())
}
