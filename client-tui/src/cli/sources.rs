//! The sources of a transfer: what their operands name becomes items, each with its place at the destination.

use towpath_protocol::entry::{Attributes, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::path::Name;
use towpath_protocol::request::{Direction, Follow, Hidden, SortKey};

use super::copy::Options;
use super::exit::{Exit, Failure};
use super::pinned::Pin;
use super::place::Place;
use crate::transfer;
use crate::transfer::excludes::Excludes;
use crate::transfer::job::{Item, Verb};
use crate::transfer::placed::are_alike;

/// Sources with their items, what is written down of their destination, and why some sources could not be read to their end.
pub(super) type Resolved = (Vec<(Place, Vec<Item>)>, Option<Pin>, Vec<(String, Failure)>);

/// Turns each source into items. A single source that cannot be copied fails; of several, each such source is returned with its reason,
/// and the others go on, as with cp and mv.
pub(super) async fn resolve_items(
    sources: Vec<Place>,
    destination: &Place,
    options: &Options,
) -> Result<Resolved, Failure> {
    let there = match destination.stat(Follow::Yes).await {
        Ok(there) => Some(there),
        Err(failure) if failure.exit == Exit::NotFound => None,
        Err(failure) => return Err(failure),
    };
    let is_folder = there.as_ref().is_some_and(|there| there.kind == Kind::Folder);
    let mut into = !options.is_name && (is_folder || destination.is_folder || destination.is_content);
    if !into && sources.len() > 1 {
        let why = Fault::new(FaultCode::NotAFolder).because("several sources need a folder");
        return Err(Failure { exit: Exit::Usage, ..destination.failed(&why) });
    }
    if destination.is_folder && there.is_some() && !is_folder {
        return Err(destination.failed(&FaultCode::NotAFolder.into()));
    }
    let (mut resolved, mut pin, mut broken) = (Vec::new(), None, Vec::new());
    let is_single = sources.len() == 1;
    for source in sources {
        let (name, typed) = (source.name().cloned(), source.typed.clone());
        let (source, attributes) = match look_apart(source, destination, options).await {
            Ok(looked) => looked,
            Err(failure) if is_single => return Err(failure),
            Err(failure) => {
                broken.push((typed, failure));
                continue;
            }
        };
        if options.excludes.listed().is_some() && attributes.kind != Kind::Folder {
            let why = Fault::new(FaultCode::NotAFolder).because("--files-from names what is in a folder");
            let failure = source.failed(&why);
            if is_single {
                return Err(failure);
            }
            broken.push((typed, failure));
            continue;
        }
        into &= !is_itself(options, (&source, &attributes), (destination, there.as_ref()));
        if is_single && !options.is_name {
            let (source, destination) = ((&source, &attributes), (destination, there.as_ref()));
            pin = options.pins.pin(options.verb, source, destination).await;
            into &= pin.is_none();
        }
        match items_of((&source, name.as_ref()), &attributes, destination, (into, &options.excludes)).await {
            Ok((items, fault)) => {
                broken.extend(fault.map(|fault| (typed, source.failed(&fault))));
                resolved.push((source, items));
            }
            Err(failure) if is_single => return Err(failure),
            Err(failure) => broken.push((typed, failure)),
        }
    }
    Ok((resolved, pin, broken))
}

/// Looks at a source. `FOLDER/.` is refused if the destination is in the folder.
async fn look_apart(
    source: Place,
    destination: &Place,
    options: &Options,
) -> Result<(Place, Attributes), Failure> {
    let (source, attributes) = look(source, options).await?;
    if source.is_content
        && source.link.is_same(&destination.link)
        && destination.path.starts_with(&source.path)
    {
        let why = Fault::new(FaultCode::IntoItself).because(transfer::DESTINATION_INSIDE);
        return Err(source.failed(&why));
    }
    Ok((source, attributes))
}

/// Returns whether a folder moves to another spelling of its own name on a file system that folds case.
fn is_itself(
    options: &Options,
    (source, here): (&Place, &Attributes),
    (destination, there): (&Place, Option<&Attributes>),
) -> bool {
    // Some file systems have an identity for each spelling.
    let times = |folder: &Attributes| (folder.kind, folder.modified, folder.changed, folder.mode);
    let is_one = |there: &Attributes| there.identity == here.identity || times(there) == times(here);
    options.verb == Verb::Move
        && source.link.is_same(&destination.link)
        && source.path != destination.path
        && are_alike(&source.path, &destination.path)
        && there.is_some_and(is_one)
}

/// Looks at a source. A link is followed if `--follow` or a `/` at its end says so.
async fn look(source: Place, options: &Options) -> Result<(Place, Attributes), Failure> {
    let attributes = match source.stat(Follow::No).await {
        // With a `/` at the end the service follows the link, and refuses where it leads.
        Err(failure) if failure.exit == Exit::Partly && is_descriptors_path(&source) => {
            return Err(descriptor(&source));
        }
        looked => looked?,
    };
    let means_folder = source.is_folder || source.is_content;
    let itself = if means_folder {
        source.link.stat(&source.path, Follow::No).await.map_err(|fault| source.failed(&fault))?
    } else {
        attributes.clone()
    };
    if itself.kind != Kind::Link {
        return Ok((source, attributes));
    }
    if is_descriptor(&source, &itself) {
        return Err(descriptor(&source));
    }
    if !means_folder && options.on_request.follow.is_none() {
        return Ok((source, attributes));
    }
    if means_folder && !source.is_content && options.verb == Verb::Move {
        let message = format!(
            "{}: a link; write it without / to move the link, or name the folder itself",
            source.typed
        );
        return Err(Failure { exit: Exit::Partly, message });
    }
    let behind = transfer::behind(&source.link, &source.path).await;
    match behind.map_err(|fault| source.failed(&fault))? {
        Some(path) => {
            let source = Place { path, ..source };
            let attributes = source.stat(Follow::No).await?;
            Ok((source, attributes))
        }
        None if means_folder => {
            Err(source.failed(&Fault::new(FaultCode::NotFound).because("the link leads out of reach")))
        }
        None => Ok((source, attributes)),
    }
}

fn descriptor(source: &Place) -> Failure {
    let why =
        "stands for an open descriptor; name what it is open on, or write what comes from it to a file first";
    Failure { exit: Exit::Partly, message: format!("{}: {why}", source.typed) }
}

/// Returns whether a path of this machine has the form of an open descriptor's name.
fn is_descriptors_path(source: &Place) -> bool {
    let path = source.path.to_bytes();
    source.server.is_none() && is_of_process(&path)
}

fn is_of_process(path: &[u8]) -> bool {
    let is_fd = path.windows(4).any(|part| part == b"/fd/");
    is_fd && (path.starts_with(b"proc/") || path.starts_with(b"dev/"))
}

/// Returns whether a link of this machine stands for an open descriptor: `/dev/fd/63` of `<(command)`, `/dev/stdin`, `/proc/self/fd/0`. The
/// link itself means nothing elsewhere, nor later.
fn is_descriptor(source: &Place, link: &Attributes) -> bool {
    let target = link.link.as_ref().map_or(&[][..], |target| &target.bytes);
    let leads_there = || target.strip_prefix(b"/").is_some_and(is_of_process);
    is_descriptors_path(source) || (source.server.is_none() && leads_there())
}

/// The items of a source, and why there are more that are not among them.
async fn items_of(
    (source, name): (&Place, Option<&Name>),
    attributes: &Attributes,
    destination: &Place,
    (into, excludes): (bool, &Excludes),
) -> Result<(Vec<Item>, Option<Fault>), Failure> {
    let too_long = |error| Failure::usage(format!("{}: {error}", source.typed));
    if source.is_content && attributes.kind == Kind::Folder {
        // A folder without a name of its own: what is in it goes into the destination.
        let listing = source.link.list(&source.path, SortKey::Name, Direction::Ascending, Hidden::Shown);
        let mut listing = listing.to_be_kept();
        let mut items = Vec::new();
        loop {
            let page = match listing.next_page().await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok((items, None)),
                Err(fault) if items.is_empty() => return Err(source.failed(&fault)),
                Err(fault) => return Ok((items, Some(fault))),
            };
            for entry in page.entries.iter().filter(|entry| !excludes.are_without(&entry.name)) {
                let from = source.path.join(&entry.name).map_err(too_long)?;
                items.push(Item { from, to: destination.path.join(&entry.name).map_err(too_long)? });
            }
        }
    }
    let to = match name {
        Some(name) if into => destination.path.join(name).map_err(too_long)?,
        _ if destination.path.is_root() => {
            return Err(Failure::usage(format!("{}: a root cannot be replaced", destination.typed)));
        }
        _ => destination.path.clone(),
    };
    Ok((vec![Item { from: source.path.clone(), to }], None))
}
