//! Walk: a whole tree in pages, as it is read. Between its pages it holds the folders on the way, and no thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use towpath_protocol::answer::{Done, WalkItem, WalkPage};
use towpath_protocol::fault::Fault;
use towpath_protocol::limits::{PAGE_BYTES_TARGET, PAGE_ENTRIES_MAX};
use towpath_protocol::message::Answer;
use towpath_protocol::request::Walk;

use super::blocking_pool::Class;
use super::credit::{Pages, check};
use super::list::entry_bytes;
use super::tree::{Met, Tree};
use super::turns::Turn;
use super::{Service, at};
use crate::exchange::{Answers, Exchange};
use crate::memory;

/// A page is sent when its first item is that old, so that whoever waits can begin.
const PAGE_AGE_MAX: Duration = Duration::from_millis(20);

pub(super) async fn walk(service: Arc<Service>, request: Walk, exchange: Exchange) -> Result<Answer, Fault> {
    let mut pages = Pages::new(exchange, request.pages)?;
    let cancel = pages.cancel();
    let place = request.start.clone();
    let answers = pages.answers();
    let opened = service.clone().blocking(&place, move |service| {
        let mut tree = Tree::open(service, &request.start)?;
        let ahead = tree.next().transpose()?;
        let items = Vec::new();
        let (fault, bytes, begun, is_paid) = (None, 0, None, false);
        Ok(Walking { tree, cancel, ahead, fault, items, bytes, begun, answers, is_paid })
    });
    let mut walking = opened.await?;
    while walking.ahead.is_some() {
        pages.credit().await?;
        let (back, page) = service.in_turns(Class::Prompt, &place, walking, Walking::page).await?;
        walking = back;
        if let Ok(page) = page {
            pages.send(page).await?;
        } else {
            pages.pay_ahead(PAGE_ENTRIES_MAX).await?;
            walking.is_paid = true;
        }
    }
    walking.fault.map_or_else(|| Ok(Done {}.into()), |fault| Err(at(&place)(fault)))
}

/// A tree that is being walked.
struct Walking {
    tree: Tree,
    cancel: CancellationToken,
    /// The first item of the next page: only with one it needs credit. None at the end.
    ahead: Option<Met>,
    /// Why the start could not be read to its end; told when all that was read has been sent.
    fault: Option<Fault>,
    /// The page that is being made.
    items: Vec<WalkItem>,
    bytes: usize,
    begun: Option<Instant>,
    answers: Answers,
    /// True if memory for the page was taken.
    is_paid: bool,
}

/// There is no memory for the next page yet.
struct NoMemory;

impl Walking {
    fn page(
        _: &Service,
        walking: &mut Self,
        turn: &Turn,
    ) -> Result<Option<Result<WalkPage, NoMemory>>, Fault> {
        let Self { tree, cancel, ahead, fault: broken, items, bytes, begun, answers, is_paid } = walking;
        if !*is_paid && !answers.try_pay_ahead(memory::of_page(PAGE_ENTRIES_MAX)) {
            return Ok(Some(Err(NoMemory)));
        }
        *is_paid = true;
        let since = *begun.get_or_insert_with(Instant::now);
        while let Some(Met { depth, entry, fault, .. }) = ahead.take() {
            check(cancel)?;
            *bytes += entry_bytes(&entry.name, &entry.attributes);
            items.push(WalkItem { depth: depth as u16, entry, fault });
            match tree.next().transpose() {
                Ok(next) => *ahead = next,
                Err(fault) => *broken = Some(fault),
            }
            let is_full = items.len() >= PAGE_ENTRIES_MAX || *bytes >= PAGE_BYTES_TARGET;
            if is_full || since.elapsed() >= PAGE_AGE_MAX {
                break;
            }
            if turn.is_over() && ahead.is_some() {
                return Ok(None);
            }
        }
        (*bytes, *begun, *is_paid) = (0, None, false);
        Ok(Some(Ok(WalkPage { items: std::mem::take(items) })))
    }
}
