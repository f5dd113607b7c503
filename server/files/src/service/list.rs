//! List: a folder's entries in the order asked for. Names are read and sorted first; only what the order needs and what is
//! sent is looked at, so the first page of a huge folder comes as fast as its names. Between its pages it holds its names and the open
//! folder, and no thread.

mod found;

use std::sync::Arc;

use towpath_protocol::answer::{Done, ListPage};
use towpath_protocol::entry::{Attributes, Entry, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::{PAGE_BYTES_TARGET, PAGE_ENTRIES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::path::Name;
use towpath_protocol::request::{Hidden, List, SortKey};

use super::blocking_pool::Class;
use super::credit::{Pages, Sent};
use super::open_files::{Counted, OF_FOLDER};
use super::tree::LEVEL_BYTES;
use super::turns::Turn;
use super::{Service, at};
use crate::disk::FolderReader;
use crate::exchange::Exchange;
use crate::memory::{Charge, Memory, Use};
use crate::root::Root;
use found::Found;

/// Entries of the first page: what a screen shows, at once.
const FIRST_PAGE_ENTRIES: usize = 128;
/// Entries between two looks at the clock and at the cancellation, each of which takes about as long as an entry.
const ENTRIES_A_STEP: usize = 32;

pub(super) async fn list(service: Arc<Service>, request: List, exchange: Exchange) -> Result<Answer, Fault> {
    let place = request.folder.clone();
    let pages = Pages::new(exchange, request.pages)?;
    let open = move |service: &Service| Folder::open(service, request, pages);
    let opened = service.clone().blocking(&place, open);
    let (mut folder, ()) = service.in_turns(Class::Prompt, &place, opened.await?, Folder::read).await?;
    loop {
        let (back, sent) = service.in_turns(Class::Prompt, &place, folder, Folder::send).await?;
        folder = back;
        match sent {
            Sent::Until(missing) => folder.pages.wait_for(missing).await?,
            Sent::All => break,
        }
    }
    if let Some(fault) = folder.fault {
        return Err(at(&place)(fault));
    }
    let sweep = move |service: &Service| {
        service.sweep(&folder.reader);
        Ok(Done {}.into())
    };
    service.certainly(&place, sweep).await
}

/// A folder that is being listed.
struct Folder {
    request: List,
    pages: Pages,
    reader: FolderReader,
    found: Found,
    /// Why the folder could not be read to its end; told when all that was read has been sent.
    fault: Option<Fault>,
    /// Charge of the open folder and `found`.
    charge: Charge,
    _open: Counted,
    /// The page that is being made.
    page: Vec<Entry>,
    page_bytes: usize,
    has_begun: bool,
    has_ended: bool,
}

impl Folder {
    fn open(service: &Service, request: List, pages: Pages) -> Result<Self, Fault> {
        let charge = service.memory.try_take(LEVEL_BYTES, Use::Parked);
        let charge = charge.ok_or_else(|| Memory::refusal("the open folder takes"))?;
        let open = service.open_files.park(OF_FOLDER)?;
        let reader = FolderReader::new(service.root.open_folder(&request.folder)?)?;
        Ok(Self {
            request,
            pages,
            reader,
            found: Found::default(),
            fault: None,
            charge,
            _open: open,
            page: Vec::new(),
            page_bytes: 0,
            has_begun: false,
            has_ended: false,
        })
    }

    /// Reads all names and sorts them.
    fn read(_: &Service, folder: &mut Self, turn: &Turn) -> Result<Option<()>, Fault> {
        let Self { request, pages, reader, found, fault, charge, .. } = folder;
        while let Some(entry) = reader.next() {
            let (name, kind) = match entry {
                Ok(entry) => entry,
                Err(broken) if found.len() == 0 => return Err(broken),
                Err(broken) => {
                    *fault = Some(broken);
                    break;
                }
            };
            if request.hidden == Hidden::Shown || !name.is_hidden() {
                note(request.sort, reader, found, &name, kind)?;
                let more = (LEVEL_BYTES + found.bytes()).saturating_sub(charge.bytes());
                if more > 0 && !charge.try_grow(more, Use::Parked) {
                    return Err(Memory::refusal("the names in the folder take"));
                }
            }
            if found.len().is_multiple_of(ENTRIES_A_STEP) {
                pages.check()?;
                if turn.is_over() {
                    return Ok(None);
                }
            }
        }
        found.sort(request.sort, request.direction);
        Ok(Some(()))
    }

    /// Makes and sends pages until all are sent, or something is missing. None where its turn is over before.
    fn send(service: &Service, folder: &mut Self, turn: &Turn) -> Result<Option<Sent>, Fault> {
        while !folder.has_ended {
            if let Some(missing) = folder.pages.begin(folder.entries_next())? {
                return Ok(Some(Sent::Until(missing)));
            }
            let is_first = !folder.has_begun;
            let Some(page) = folder.page(service, turn)? else { return Ok(None) };
            // The entries that were left have vanished.
            if page.entries.is_empty() && !is_first {
                break;
            }
            if let Some(missing) = folder.pages.send(page)? {
                return Ok(Some(Sent::Until(missing)));
            }
        }
        Ok(Some(Sent::All))
    }

    /// Looks at what the next page tells of. None where the turn is over before.
    fn page(&mut self, service: &Service, turn: &Turn) -> Result<Option<ListPage>, Fault> {
        let entries_max = self.entries_max();
        while let Some((name, kind)) = self.found.take() {
            if let Some(attributes) = self.look(&service.root, &name, kind)? {
                self.page_bytes += entry_bytes(&name, &attributes);
                self.page.push(Entry { name, attributes });
            }
            if self.page.len() >= entries_max || self.page_bytes >= PAGE_BYTES_TARGET {
                break;
            }
            if self.found.left().is_multiple_of(ENTRIES_A_STEP) {
                self.pages.check()?;
                if turn.is_over() {
                    return Ok(None);
                }
            }
        }
        (self.has_begun, self.page_bytes, self.has_ended) = (true, 0, self.found.is_taken());
        Ok(Some(ListPage { total: self.found.len() as u64, entries: std::mem::take(&mut self.page) }))
    }

    /// Number of the next page.
    const fn entries_max(&self) -> usize {
        if self.has_begun { PAGE_ENTRIES_MAX } else { FIRST_PAGE_ENTRIES }
    }

    /// Of the next page, with what there is.
    fn entries_next(&self) -> usize {
        self.entries_max().min(self.found.left())
    }

    /// All attributes of an entry that is about to be sent; none where it has vanished meanwhile.
    fn look(&self, root: &Root, name: &Name, kind: Option<Kind>) -> Result<Option<Attributes>, Fault> {
        let Some((mut attributes, _)) = self.reader.look(name, kind)? else { return Ok(None) };
        if let Some(link) = &mut attributes.link {
            let path = self.request.folder.join(name).and_then(|location| location.whole());
            let near = self.reader.folder().ok().map(|folder| (folder, name));
            link.kind = path.ok().and_then(|path| root.kind_behind(&path, near));
        }
        Ok(Some(attributes))
    }
}

/// Notes an entry with what its order needs; nothing where that vanished meanwhile.
fn note(
    sort: SortKey,
    reader: &FolderReader,
    found: &mut Found,
    name: &Name,
    kind: Option<Kind>,
) -> Result<(), Fault> {
    let by_name = matches!(sort, SortKey::Name | SortKey::Extension);
    let (kind, number) = if let (true, Some(kind)) = (by_name, kind) {
        (kind, None)
    } else {
        // For the order, or since the disk does not tell kinds together with names.
        let Some((attributes, _)) = reader.look(name, kind)? else { return Ok(()) };
        let number = match sort {
            SortKey::Name | SortKey::Extension => None,
            SortKey::Size => Some(attributes.size),
            // The earliest is the smallest; all that lie beyond an i64 of nanoseconds are ordered by name.
            SortKey::Modified => {
                let modified = attributes.modified.narrowed().ns().unwrap_or_default();
                Some(modified.cast_unsigned() ^ (1 << 63))
            }
        };
        (attributes.kind, number)
    };
    if found.push(name, Some(kind), number) {
        return Ok(());
    }
    Err(Fault::new(FaultCode::LimitExceeded).because("the folder has too many entries"))
}

/// About what an entry takes on the wire beyond its numbers.
pub(super) fn entry_bytes(name: &Name, attributes: &Attributes) -> usize {
    name.as_bytes().len() + attributes.link.as_ref().map_or(0, |link| link.bytes.len())
}
