//! List: a folder's entries in the order asked for. Names are read and sorted first; only what the order needs and what is
//! sent is looked at, so the first page of a huge folder comes as fast as its names.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use towpath_protocol::answer::{Done, ListPage};
use towpath_protocol::entry::{Attributes, Entry, Kind};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::limits::{PAGE_BYTES_TARGET, PAGE_ENTRIES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::order::{compare, compare_names};
use towpath_protocol::path::{Location, Name};
use towpath_protocol::request::{Hidden, List, SortKey};

use super::Service;
use super::credit::Pages;
use crate::disk::{self, FolderReader};
use crate::exchange::Exchange;
use crate::root::Root;

/// Entries of the first page: what a screen shows, at once.
const FIRST_PAGE_ENTRIES: usize = 128;

pub(super) async fn list(service: Arc<Service>, request: List, exchange: Exchange) -> Result<Answer, Fault> {
    let mut pages = Pages::new(exchange, request.pages)?;
    service
        .blocking(&request.folder.clone(), move |service| {
            let root = &service.root;
            let folder = root.open_folder(&request.folder)?;
            let mut listing = Folder { root, folder: &folder, location: &request.folder };
            match request.sort {
                SortKey::Name | SortKey::Extension => listing.by_name(&request, &mut pages)?,
                SortKey::Size | SortKey::Modified => listing.by_attributes(&request, &mut pages)?,
            }
            Ok(Done {}.into())
        })
        .await
}

struct Folder<'a> {
    root: &'a Root,
    folder: &'a OwnedFd,
    location: &'a Location,
}

impl Folder<'_> {
    /// Sorts names, then looks at each entry when its page is made.
    fn by_name(&mut self, request: &List, pages: &mut Pages) -> Result<(), Fault> {
        let mut names = Vec::new();
        for entry in FolderReader::new(self.folder)? {
            let (name, kind) = entry?;
            if request.hidden == Hidden::LeftOut && name.is_hidden() {
                continue;
            }
            if names.len() % PAGE_ENTRIES_MAX == 0 {
                pages.check()?;
            }
            let is_folder = match kind {
                Some(kind) => kind == Kind::Folder,
                None => {
                    disk::stat(self.folder, &name).is_ok_and(|attributes| attributes.kind == Kind::Folder)
                }
            };
            names.push((is_folder, name));
        }
        names.sort_unstable_by(|(a_is_folder, a), (b_is_folder, b)| {
            compare_names(request.sort, request.direction, (*a_is_folder, a), (*b_is_folder, b))
        });
        let total = names.len();
        self.send(total, names.into_iter().map(|(_, name)| (name, None)), pages)
    }

    /// Looks at everything, sorts, sends.
    fn by_attributes(&mut self, request: &List, pages: &mut Pages) -> Result<(), Fault> {
        let mut entries = Vec::new();
        for entry in FolderReader::new(self.folder)? {
            let (name, _) = entry?;
            if request.hidden == Hidden::LeftOut && name.is_hidden() {
                continue;
            }
            if entries.len() % PAGE_ENTRIES_MAX == 0 {
                pages.check()?;
            }
            if let Some(attributes) = self.look(&name)? {
                entries.push(Entry { name, attributes });
            }
        }
        entries.sort_unstable_by(|a, b| compare(request.sort, request.direction, a, b));
        let total = entries.len();
        self.send(total, entries.into_iter().map(|entry| (entry.name, Some(entry.attributes))), pages)
    }

    fn send(
        &self,
        total: usize,
        entries: impl Iterator<Item = (Name, Option<Attributes>)>,
        pages: &mut Pages,
    ) -> Result<(), Fault> {
        let total = total as u64;
        let (mut page, mut bytes, mut entries_max, mut is_first) = (Vec::new(), 0, FIRST_PAGE_ENTRIES, true);
        for (name, attributes) in entries {
            let Some(attributes) = attributes.map_or_else(|| self.look(&name), |known| Ok(Some(known)))?
            else {
                continue;
            };
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

    /// None where the entry has vanished meanwhile.
    fn look(&self, name: &Name) -> Result<Option<Attributes>, Fault> {
        match disk::stat(self.folder, name) {
            Ok(mut attributes) => {
                if let (Some(link), Ok(location)) = (&mut attributes.link, self.location.join(name)) {
                    link.kind = location.whole().ok().and_then(|path| self.root.kind_behind(&path));
                }
                Ok(Some(attributes))
            }
            Err(fault) if fault.code == FaultCode::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

/// About what an entry takes on the wire beyond its numbers.
pub(super) fn entry_bytes(name: &Name, attributes: &Attributes) -> usize {
    name.as_bytes().len() + attributes.link.as_ref().map_or(0, |link| link.bytes.len())
}
