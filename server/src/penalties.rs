//! Who has lately given wrong pairing codes, by where they came from: whoever has too often is not listened to until some of it is
//! forgiven. It concerns pairing alone: who is paired already gets in from wherever. It knows no codes and no connections.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Sources remembered. Where there are more, the one that is forgiven first is forgotten.
const SOURCES_MAX: usize = 4096;
/// The part of an IPv6 address that one subscriber has.
const SUBSCRIBER_BITS: u128 = !0 << 64;

/// Where somebody comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// An IPv4 address, or the first half of an IPv6 one.
    Network(IpAddr),
    /// A user of this machine.
    User(u32),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self::Network(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & SUBSCRIBER_BITS).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// Failures of each source, forgiven one after the other.
#[derive(Debug)]
pub(crate) struct Penalties {
    failures_max: u32,
    forgiven_after: Duration,
    /// When each source's last failure will be forgiven.
    forgiven_at: Mutex<HashMap<Source, Instant>>,
}

impl Penalties {
    pub(crate) fn new(failures_max: u64, forgiven_after: Duration) -> Self {
        let failures_max = u32::try_from(failures_max).unwrap_or(u32::MAX);
        Self { failures_max, forgiven_after, forgiven_at: Mutex::default() }
    }

    /// How long nobody from there is listened to; none where they are.
    pub(crate) fn wait(&self, source: Source, now: Instant) -> Option<Duration> {
        let forgiven_at = *self.table().get(&source)?;
        let left = forgiven_at.saturating_duration_since(now);
        let allowed = self.forgiven_after.saturating_mul(self.failures_max - 1);
        left.checked_sub(allowed).filter(|wait| !wait.is_zero())
    }

    pub(crate) fn failed(&self, source: Source, now: Instant) {
        let mut table = self.table();
        if table.len() >= SOURCES_MAX && !table.contains_key(&source) {
            table.retain(|_, forgiven_at| *forgiven_at > now);
            if table.len() >= SOURCES_MAX
                && let Some(first) = table.iter().min_by_key(|(_, at)| **at).map(|(source, _)| *source)
            {
                table.remove(&first);
            }
        }
        let forgiven_at = table.entry(source).or_insert(now);
        *forgiven_at = (*forgiven_at).max(now) + self.forgiven_after;
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Source, Instant>> {
        self.forgiven_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn source(address: &str) -> Source {
        Source::from(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn f61_failures_add_up_and_are_forgiven_one_by_one() {
        let penalties = Penalties::new(3, MINUTE);
        let (eve, now) = (source("192.0.2.1"), Instant::now());
        for _ in 0..2 {
            penalties.failed(eve, now);
            assert_eq!(penalties.wait(eve, now), None);
        }
        penalties.failed(eve, now);
        assert_eq!(penalties.wait(eve, now), Some(MINUTE));
        assert_eq!(penalties.wait(eve, now + MINUTE / 2), Some(MINUTE / 2));
        assert_eq!(penalties.wait(eve, now + MINUTE), None);
        penalties.failed(eve, now + MINUTE);
        assert_eq!(penalties.wait(eve, now + MINUTE), Some(MINUTE));
        assert_eq!(penalties.wait(eve, now + 10 * MINUTE), None);
        assert_eq!(penalties.wait(source("192.0.2.2"), now), None);
    }

    #[test]
    fn f61_one_subscriber_is_one_source_whatever_address_it_takes() {
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    #[test]
    fn f61_the_table_is_bounded_and_keeps_the_worst() {
        let penalties = Penalties::new(1, MINUTE);
        let (eve, now) = (source("192.0.2.1"), Instant::now());
        penalties.failed(eve, now);
        penalties.failed(eve, now);
        for number in 0..2 * SOURCES_MAX as u32 {
            penalties.failed(Source::User(number), now);
            assert!(penalties.table().len() <= SOURCES_MAX);
        }
        assert_eq!(penalties.wait(eve, now), Some(2 * MINUTE));
    }
}
