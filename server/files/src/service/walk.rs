//! Walk: a whole tree in pages, as it is read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use towpath_protocol::answer::{Done, WalkItem, WalkPage};
use towpath_protocol::fault::Fault;
use towpath_protocol::limits::{PAGE_BYTES_TARGET, PAGE_ENTRIES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::request::Walk;

use super::Service;
use super::credit::Pages;
use super::list::entry_bytes;
use super::tree::{Met, Tree};
use crate::exchange::Exchange;

/// A page is sent when its first item is that old, so that whoever waits can begin.
const PAGE_AGE_MAX: Duration = Duration::from_millis(20);

pub(super) async fn walk(service: Arc<Service>, request: Walk, exchange: Exchange) -> Result<Answer, Fault> {
    let mut pages = Pages::new(exchange, request.pages)?;
    service
        .blocking(&request.start.clone(), move |service| {
            let (mut items, mut bytes, mut begun) = (Vec::new(), 0, Instant::now());
            for met in Tree::open(&service.root, &request.start)? {
                pages.check()?;
                let Met { depth, entry, fault } = met?;
                bytes += entry_bytes(&entry.name, &entry.attributes);
                items.push(WalkItem { depth: depth as u16, entry, fault });
                if items.len() >= PAGE_ENTRIES_MAX
                    || bytes >= PAGE_BYTES_TARGET
                    || begun.elapsed() >= PAGE_AGE_MAX
                {
                    pages.send(WalkPage { items: std::mem::take(&mut items) })?;
                    (bytes, begun) = (0, Instant::now());
                }
            }
            if !items.is_empty() {
                pages.send(WalkPage { items })?;
            }
            Ok(Done {}.into())
        })
        .await
}
