//! The pages of a listing or a walk: as many are asked for ahead as the line holds, so that a long line is not waited for after every few
//! of them. Pages share the way with answers to a person's keys, so no more are under way than twice what comes within a round trip:
//! that doubles until the line is full, and stays small where the line is slow or whoever takes them is.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use towpath_protocol::fault::Fault;
use towpath_protocol::input::More;
use towpath_protocol::message::{Answer, Request};

use super::{Exchange, Link};

/// Pages that a listing or a walk is opened with, and has under way at least.
pub const PAGES_FIRST: u32 = 4;
/// Pages under way at most, of up to about 128 KiB each.
const PAGES_MOST: u32 = 64;

/// A listing or a walk that arrives page by page.
#[derive(Debug)]
pub struct Pages {
    exchange: Exchange,
    ahead: Ahead,
}

impl Pages {
    /// Opens a `List` or a `Walk` that asks for [`PAGES_FIRST`].
    pub fn open(link: &Link, request: impl Into<Request>) -> Self {
        let exchange = link.open(request);
        Self { exchange, ahead: Ahead::new(link.round_trip_min()) }
    }

    /// The next answer, as [`Exchange::next`]; a page makes room for others.
    pub async fn next(&mut self) -> Result<Answer, Fault> {
        let answer = self.exchange.next().await?;
        if matches!(answer, Answer::ListPage(_) | Answer::WalkPage(_)) {
            let pages = self.ahead.taken(Instant::now());
            if pages > 0 {
                // The grant may cross the end; then nobody needs it.
                let _ = self.exchange.send(More { pages }).await;
            }
        }
        Ok(answer)
    }
}

/// Counts what comes, and says what is to be asked for.
#[derive(Debug)]
struct Ahead {
    round_trip: Duration,
    /// When each page of the last round trip was taken, the last [`PAGES_MOST`] of them.
    taken: VecDeque<Instant>,
    /// Pages asked for and not taken.
    under_way: u32,
}

impl Ahead {
    fn new(round_trip: Duration) -> Self {
        Self { round_trip, taken: VecDeque::new(), under_way: PAGES_FIRST }
    }

    /// How many more to ask for now that a page was taken.
    fn taken(&mut self, now: Instant) -> u32 {
        self.under_way = self.under_way.saturating_sub(1);
        self.taken.push_back(now);
        while self.taken.len() > PAGES_MOST as usize
            || self.taken.front().is_some_and(|first| now.duration_since(*first) > self.round_trip)
        {
            self.taken.pop_front();
        }
        let wanted = (2 * self.taken.len() as u32).clamp(PAGES_FIRST, PAGES_MOST);
        let more = wanted.saturating_sub(self.under_way);
        self.under_way += more;
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Duration = Duration::from_millis(40);

    /// Pages under way after each round trip of a line that is never full.
    fn grows(round_trip: Duration) -> Vec<u32> {
        let mut ahead = Ahead::new(round_trip);
        let mut now = Instant::now();
        (0..6)
            .map(|_| {
                for _ in 0..ahead.under_way {
                    ahead.taken(now);
                }
                now += FAR + Duration::from_millis(1);
                ahead.under_way
            })
            .collect()
    }

    #[test]
    fn they_double_with_each_round_trip_up_to_the_most() {
        assert_eq!(grows(FAR), [8, 16, 32, 64, 64, 64]);
    }

    #[test]
    fn near_by_and_where_they_come_slowly_a_few_are_enough() {
        let mut ahead = Ahead::new(FAR);
        let mut now = Instant::now();
        for _ in 0..100 {
            now += Duration::from_millis(25);
            ahead.taken(now);
            assert_eq!(ahead.under_way, PAGES_FIRST);
        }
        let mut near = Ahead::new(Duration::ZERO);
        for step in 0..100 {
            near.taken(now + Duration::from_micros(step));
            assert_eq!(near.under_way, PAGES_FIRST);
        }
    }
}
