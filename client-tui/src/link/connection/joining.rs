//! Opens further streams for a session, when and as long as they help. What goes wrong with one that is not there yet is no more than
//! logged: one stream is always enough.

use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use towpath_protocol::hello::Ticket;

use super::greeting::{Asks, greet};
use super::growth::{Growth, Look, ROUND_TRIP_LEAST, TICK};
use super::streams::{Streams, carry};
use crate::link::BEGIN_TIME;
use crate::link::dial::DialFault;
use crate::model::wire::Wire;

/// Ticks without anything to do, after which nothing is looked at until data moves again.
const QUIET_TICKS: u32 = 4;

type Line = (Box<dyn AsyncRead + Unpin + Send + Sync>, Box<dyn AsyncWrite + Unpin + Send + Sync>);
type Dialling = Pin<Box<dyn Future<Output = Result<Line, String>> + Send>>;

/// How further streams are opened, and how many there may be besides the first.
pub(in crate::link) struct Further {
    dial: Box<dyn Fn() -> Dialling + Send + Sync>,
    streams_max: usize,
}

impl Further {
    /// `dial` reaches the same server as the first stream does, with the same keys. Nobody is asked for anything.
    pub(in crate::link) fn of<R, W, D>(wire: Wire, dial: impl Fn() -> D + Send + Sync + 'static) -> Self
    where
        R: AsyncRead + Unpin + Send + Sync + 'static,
        W: AsyncWrite + Unpin + Send + Sync + 'static,
        D: Future<Output = Result<(R, W), DialFault>> + Send + 'static,
    {
        let dial = Box::new(move || {
            let dialling = dial();
            Box::pin(async move {
                let (reader, writer) = dialling.await.map_err(|fault| fault.to_string())?;
                let line: Line = (Box::new(reader), Box::new(writer));
                Ok(line)
            }) as Dialling
        });
        Self { dial, streams_max: usize::from(wire.streams.saturating_sub(1)) }
    }
}

impl std::fmt::Debug for Further {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Further").field("streams_max", &self.streams_max).finish_non_exhaustive()
    }
}

/// Until the session ends, or has all the streams that it needs.
pub(super) async fn grow(streams: Arc<Streams>, ticket: Ticket, further: Further) {
    let exchanges = streams.exchanges.clone();
    tokio::select! {
        () = exchanges.gone() => {}
        () = watch(streams, ticket, further) => {}
    }
}

async fn watch(streams: Arc<Streams>, ticket: Ticket, further: Further) {
    let mut growth = Growth::new(further.streams_max);
    let exchanges = &streams.exchanges;
    while !growth.is_settled() {
        exchanges.moving().await;
        // While nothing is in its way yet, the answer tells most.
        exchanges.ping();
        let mut ticks = interval_at(Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut moved, mut quiet) = (streams.moved(), 0);
        while quiet < QUIET_TICKS && !growth.is_settled() {
            ticks.tick().await;
            let before = std::mem::replace(&mut moved, streams.moved());
            let is_busy = exchanges.has_bulk() || streams.bulk.has_inputs();
            quiet = if is_busy { 0 } else { quiet + 1 };
            let round_trip = exchanges.round_trip_min();
            if is_busy && round_trip >= ROUND_TRIP_LEAST {
                // The greeting may have found the server busy.
                exchanges.ping();
            }
            for _ in 0..growth.tick(Look { bytes: moved - before, is_busy, round_trip }) {
                if let Err(why) = open(&streams, ticket, &further).await {
                    tracing::info!(%why, "no further stream for the session");
                    growth.give_up();
                    break;
                }
                moved = streams.moved();
                ticks.reset();
            }
        }
    }
}

async fn open(streams: &Arc<Streams>, ticket: Ticket, further: &Further) -> Result<(), String> {
    let (mut reader, mut writer) = (further.dial)().await?;
    let asks = Asks { join: Some(ticket), ..Asks::default() };
    let greeted = greet(&mut reader, &mut writer, Instant::now() + BEGIN_TIME, asks).await;
    let greeted = greeted.map_err(|fault| fault.to_string())?;
    tracing::info!(round_trip = ?greeted.round_trip, "a further stream for the session");
    streams.bulk.join();
    tokio::spawn(carry(streams.clone(), reader, writer, greeted.decoder));
    Ok(())
}
