//! TCP to the first of a host's addresses that answers (RFC 8305, happy eyeballs): families take turns, and while one address is
//! silent the next is tried beside it. Only connections race; the first one is kept, and nothing is said on the others.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep_until};

use super::DialFault;

/// Time after which the next address is tried as well, as RFC 8305 recommends.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Addresses that are tried.
const ADDRESSES_MAX: usize = 16;

/// Connects to `host`. Err is what the most telling address said.
pub(super) async fn reach(host: &str, port: u16) -> Result<TcpStream, DialFault> {
    let addresses = lookup_host((host, port)).await.map_err(DialFault::UnknownHost)?;
    race(in_turns(addresses), TcpStream::connect).await
}

/// The families in turns, the first address's first; each in its own order, which the system has sorted.
fn in_turns(addresses: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut first_is_v6 = None;
    let (mut first, mut other): (Vec<_>, Vec<_>) = addresses
        .take(ADDRESSES_MAX)
        .partition(|address| *first_is_v6.get_or_insert_with(|| address.is_ipv6()) == address.is_ipv6());
    first.reverse();
    other.reverse();
    let mut turns = VecDeque::new();
    while !first.is_empty() || !other.is_empty() {
        turns.extend(first.pop());
        turns.extend(other.pop());
    }
    turns
}

/// Tries each address once the one before has failed, or has been silent for a while.
async fn race<T, F: Future<Output = io::Result<T>>>(
    mut addresses: VecDeque<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, DialFault> {
    let mut attempts = FuturesUnordered::new();
    let mut fault = DialFault::UnknownHost(io::Error::other("it has no address"));
    let mut next_at = Instant::now();
    loop {
        let may_start = !addresses.is_empty();
        if attempts.is_empty() && !may_start {
            return Err(fault);
        }
        tokio::select! {
            biased;
            Some(attempt) = attempts.next(), if !attempts.is_empty() => match attempt {
                Ok(connected) => return Ok(connected),
                Err(error) => {
                    fault = more_telling(fault, error);
                    next_at = Instant::now();
                }
            },
            () = sleep_until(next_at), if may_start => {
                attempts.extend(addresses.pop_front().map(&connect));
                next_at = Instant::now() + ATTEMPT_DELAY;
            }
        }
    }
}

/// That something answered says more than that nothing did.
fn more_telling(known: DialFault, error: io::Error) -> DialFault {
    match (known, error) {
        (DialFault::Refused, _) => DialFault::Refused,
        (_, error) if error.kind() == ErrorKind::ConnectionRefused => DialFault::Refused,
        (known @ DialFault::Unreachable(_), _) => known,
        (_, error) => DialFault::Unreachable(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn addresses(texts: &[&str]) -> VecDeque<SocketAddr> {
        in_turns(texts.iter().map(|text| text.parse().unwrap()))
    }

    #[test]
    fn families_take_turns_and_the_first_begins() {
        let given = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"];
        assert_eq!(
            addresses(&given),
            ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"].map(|a| a.parse().unwrap())
        );
        let given = ["1.1.1.1:1", "[::1]:1"];
        assert_eq!(addresses(&given), given.map(|a| a.parse().unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_delays_and_a_failing_one_does_not() {
        let tried = Mutex::new(Vec::new());
        let began = Instant::now();
        let connect = |address: SocketAddr| {
            tried.lock().unwrap().push((address.port(), began.elapsed()));
            async move {
                match address.port() {
                    // Silent.
                    1 => std::future::pending().await,
                    2 => Err(ErrorKind::HostUnreachable.into()),
                    port => Ok(port),
                }
            }
        };
        let all = ["[::1]:1", "1.1.1.1:2", "[::1]:3", "1.1.1.1:4"];
        assert_eq!(race(addresses(&all), connect).await.unwrap(), 3);
        // The fourth is never tried.
        let delayed = ATTEMPT_DELAY;
        assert_eq!(*tried.lock().unwrap(), [(1, Duration::ZERO), (2, delayed), (3, delayed)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_of_an_earlier_address_still_counts() {
        let connect = |address: SocketAddr| async move {
            tokio::time::sleep(Duration::from_millis(if address.port() == 1 { 300 } else { 10_000 })).await;
            Ok(address.port())
        };
        assert_eq!(race(addresses(&["[::1]:1", "1.1.1.1:2"]), connect).await.unwrap(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_says_more_than_a_missing_way() {
        let connect = |address: SocketAddr| async move {
            let kind = if address.port() == 1 {
                ErrorKind::ConnectionRefused
            } else {
                ErrorKind::NetworkUnreachable
            };
            Err::<(), _>(kind.into())
        };
        for order in [["[::1]:1", "1.1.1.1:2"], ["1.1.1.1:2", "[::1]:1"]] {
            assert!(matches!(race(addresses(&order), connect).await, Err(DialFault::Refused)));
        }
        assert!(matches!(race(addresses(&[]), connect).await, Err(DialFault::UnknownHost(_))));
    }
}
