//! List: a folder's entries in the order asked for. Names are read and sorted first; only what the order needs and what is
//! sent is looked at, so the first page of a huge folder comes as fast as its names.

use std::sync::Arc;

use towpath_protocol::answer::{Done, ListPage};
use towpath_protocol::entry::{Attributes, Entry, Kind};
use towpath_protocol::fault::Fault;
use towpath_protocol::limits::{PAGE_BYTES_TARGET, PAGE_ENTRIES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::order::{compare, compare_names};
use towpath_protocol::path::{Location, Name};
use towpath_protocol::request::{Hidden, List, SortKey};

use super::Service;
use super::credit::Pages;
use crate::disk::FolderReader;
use crate::exchange::Exchange;
use crate::root::Root;

/// Entries of the first page: what a screen shows, at once.
const FIRST_PAGE_ENTRIES: usize = 128;

pub(super) async fn list(service: Arc<Service>, request: List, exchange: Exchange) -> Result<Answer, Fault> {
    let mut pages = Pages::new(exchange, request.pages)?;
    service
        .blocking(&request.folder.clone(), move |service| {
            let root = &service.root;
            let reader = FolderReader::new(root.open_folder(&request.folder)?)?;
            let mut listing = Folder { root, reader, location: &request.folder };
            match request.sort {
                SortKey::Name | SortKey::Extension => listing.by_name(&request, &mut pages)?,
                SortKey::Size | SortKey::Modified => listing.by_attributes(&request, &mut pages)?,
            }
            service.sweep(&listing.reader);
            Ok(Done {}.into())
        })
        .await
}

/// What is known of an entry before its page is made.
enum Known {
    Kind(Option<Kind>),
    All(Attributes),
}

struct Folder<'a> {
    root: &'a Root,
    reader: FolderReader,
    location: &'a Location,
}

impl Folder<'_> {
    /// Sorts names, then looks at each entry when its page is made.
    fn by_name(&mut self, request: &List, pages: &mut Pages) -> Result<(), Fault> {
        let mut names = Vec::new();
        while let Some((name, kind)) = self.next(request, pages)? {
            let kind = match kind {
                Some(kind) => Some(kind),
                // The disk does not tell kinds together with names.
                None => self.reader.look(&name, None)?.map(|(attributes, _)| attributes.kind),
            };
            names.push((kind, name));
        }
        let is_folder = |kind: &Option<Kind>| *kind == Some(Kind::Folder);
        names.sort_unstable_by(|(a_kind, a), (b_kind, b)| {
            compare_names(request.sort, request.direction, (is_folder(a_kind), a), (is_folder(b_kind), b))
        });
        let total = names.len();
        self.send(total, names.into_iter().map(|(kind, name)| (name, Known::Kind(kind))), pages)
    }

    /// Looks at everything, sorts, sends.
    fn by_attributes(&mut self, request: &List, pages: &mut Pages) -> Result<(), Fault> {
        let mut entries = Vec::new();
        while let Some((name, kind)) = self.next(request, pages)? {
            if let Some((attributes, _)) = self.reader.look(&name, kind)? {
                entries.push(Entry { name, attributes });
            }
        }
        entries.sort_unstable_by(|a, b| compare(request.sort, request.direction, a, b));
        let total = entries.len();
        self.send(total, entries.into_iter().map(|entry| (entry.name, Known::All(entry.attributes))), pages)
    }

    /// The next name that the request wants.
    fn next(&mut self, request: &List, pages: &Pages) -> Result<Option<(Name, Option<Kind>)>, Fault> {
        for entry in &mut self.reader {
            pages.check()?;
            let (name, kind) = entry?;
            if request.hidden == Hidden::Shown || !name.is_hidden() {
                return Ok(Some((name, kind)));
            }
        }
        Ok(None)
    }

    fn send(
        &self,
        total: usize,
        entries: impl Iterator<Item = (Name, Known)>,
        pages: &mut Pages,
    ) -> Result<(), Fault> {
        let total = total as u64;
        let (mut page, mut bytes, mut entries_max, mut is_first) = (Vec::new(), 0, FIRST_PAGE_ENTRIES, true);
        for (name, known) in entries {
            let Some(attributes) = self.complete(&name, known)? else { continue };
            bytes += entry_bytes(&name, &attributes);
            page.push(Entry { name, attributes });
            if page.len() >= entries_max || bytes >= PAGE_BYTES_TARGET {
                pages.send(ListPage { total, entries: std::mem::take(&mut page) })?;
                (bytes, entries_max, is_first) = (0, PAGE_ENTRIES_MAX, false);
            }
        }
        if is_first || !page.is_empty() {
            pages.send(ListPage { total, entries: page })?;
        }
        Ok(())
    }

    /// All attributes of an entry that is about to be sent; none where it has vanished meanwhile.
    fn complete(&self, name: &Name, known: Known) -> Result<Option<Attributes>, Fault> {
        let mut attributes = match known {
            Known::All(attributes) => attributes,
            Known::Kind(kind) => match self.reader.look(name, kind)? {
                Some((attributes, _)) => attributes,
                None => return Ok(None),
            },
        };
        if let Some(link) = &mut attributes.link {
            let path = self.location.join(name).and_then(|location| location.whole());
            link.kind = path.ok().and_then(|path| self.root.kind_behind(&path));
        }
        Ok(Some(attributes))
    }
}

/// About what an entry takes on the wire beyond its numbers.
pub(super) fn entry_bytes(name: &Name, attributes: &Attributes) -> usize {
    name.as_bytes().len() + attributes.link.as_ref().map_or(0, |link| link.bytes.len())
}
