//! The writer of the session's primary stream. It takes what the exchanges have for it, control before bulk at each frame's end, and writes what is
//! ready with one vectored write, without copying data. While the stream takes nothing, a Cancel that comes in still goes before
//! the bulk that waits.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::frame::encode_to_server;
use towpath_protocol::message::{Bye, Input, Lane, Ping, RequestId, Session, ToServer};
use towpath_protocol::outgoing::{Outgoing, SLICES_MAX};
use towpath_protocol::packing::Packing;

use super::bulk::{Taken, encode};
use super::exchanges::Exchanges;
use super::lost;
use super::streams::Streams;

/// How long the server may take no byte while there are bytes for it.
pub(super) const STALL: Duration = Duration::from_mins(2);
/// How long the orderly end may take.
const BYE_TIME: Duration = Duration::from_secs(2);

pub(super) type Inputs = mpsc::Receiver<(RequestId, Input)>;

#[derive(Debug)]
pub(super) struct Writer<W> {
    stream: W,
    exchanges: Arc<Exchanges>,
    streams: Arc<Streams>,
    control: Inputs,
    outgoing: Outgoing,
    frame_bytes_max: usize,
    /// When the stream last took bytes, or last had nothing to take.
    progress: Instant,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(super) fn new(stream: W, streams: Arc<Streams>, control: Inputs, frame_bytes_max: usize) -> Self {
        let packing = Packing::of_client(streams.unpacks.is_some());
        let (outgoing, progress) = (Outgoing::new(packing), Instant::now());
        Self {
            stream,
            exchanges: streams.exchanges.clone(),
            streams,
            control,
            outgoing,
            frame_bytes_max,
            progress,
        }
    }

    /// Writes until the stream fails, or the orderly end is said. Returns why the connection cannot go on.
    pub(super) async fn run(mut self) -> Fault {
        match self.write_all().await {
            Ok(()) => Fault::new(FaultCode::Disconnected).because("the session was ended"),
            Err(fault) => fault,
        }
    }

    async fn write_all(&mut self) -> Result<(), Fault> {
        loop {
            let is_ending = self.exchanges.is_ending();
            self.take_what_is_ready();
            if is_ending {
                return self.say_bye().await;
            }
            if self.outgoing.is_empty() {
                self.rest().await?;
            } else {
                self.write().await?;
            }
        }
    }

    /// The last word: what was taken goes out, then our direction closes, but where Bye may wait for what other streams carry. The
    /// server's own Bye ends the connection before the time is up.
    async fn say_bye(&mut self) -> Result<(), Fault> {
        let bye = encode_to_server(RequestId::NONE, &ToServer::Session(Session::Bye(Bye {})));
        let bye = bye.map_err(|error| Fault::new(FaultCode::Internal).because(error.to_string()))?;
        let saying = async {
            self.push_bulk(self.streams.bulk.behind(bye));
            while !self.outgoing.is_empty() {
                self.write().await?;
            }
            self.stream.flush().await.map_err(lost)?;
            if !self.streams.bulk.has_joined() {
                self.stream.shutdown().await.map_err(lost)?;
                self.exchanges.has_said_bye();
            }
            std::future::pending().await
        };
        timeout(BYE_TIME, saying).await.unwrap_or(Ok(()))
    }

    /// Nothing to write: flushes what the stream holds, then waits for something.
    async fn rest(&mut self) -> Result<(), Fault> {
        self.outgoing.rest();
        timeout(STALL, self.stream.flush()).await.map_err(|_elapsed| stalled())?.map_err(lost)?;
        tokio::select! {
            biased;
            () = self.exchanges.work() => {}
            Some((id, input)) = self.control.recv() => self.push_input(id, input),
            taken = self.streams.bulk.next() => self.push_bulk(taken),
        }
        self.progress = Instant::now();
        Ok(())
    }

    /// One write; or, while the stream takes nothing, one look at what has come.
    async fn write(&mut self) -> Result<(), Fault> {
        let room = self.outgoing.has_room(Lane::Control);
        let deadline = self.progress + STALL;
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = self.outgoing.slices(&mut slices);
        let (id, input) = tokio::select! {
            biased;
            written = timeout_at(deadline, self.stream.write_vectored(&slices[..count])) => {
                let written = written.map_err(|_elapsed| stalled())?.map_err(lost)?;
                if written == 0 {
                    return Err(lost(io::ErrorKind::WriteZero.into()));
                }
                self.outgoing.wrote(written, self.progress.elapsed());
                self.streams.note_moved(written);
                self.progress = Instant::now();
                return Ok(());
            }
            () = self.exchanges.work(), if room => return Ok(()),
            Some((id, input)) = self.control.recv(), if room => (id, input),
        };
        self.push_input(id, input);
        Ok(())
    }

    /// Fills one write, without waiting, control before bulk.
    fn take_what_is_ready(&mut self) {
        while self.outgoing.has_room(Lane::Control) {
            let Some((id, message)) = self.exchanges.next_message(Lane::Control) else { break };
            self.push(id, &message);
        }
        while self.outgoing.has_room(Lane::Control) {
            let Ok((id, input)) = self.control.try_recv() else { break };
            self.push_input(id, input);
        }
        if self.streams.takes_asking() {
            self.ask_in_turn();
        }
        while self.outgoing.has_room(Lane::Bulk) {
            let Some(taken) = self.streams.bulk.try_next() else { return };
            self.push_bulk(taken);
        }
    }

    /// A ping with a number: whoever misses what another stream does not bring notices it by that, though nothing else comes behind.
    fn ask_in_turn(&mut self) {
        match encode_to_server(RequestId::NONE, &ToServer::Session(Session::Ping(Ping {}))) {
            Ok(ping) => self.push_bulk(self.streams.bulk.behind(ping)),
            Err(error) => tracing::error!(%error, "a ping cannot be encoded"),
        }
    }

    /// What is said in an exchange that has ended meanwhile is said to nobody.
    fn push_input(&mut self, id: RequestId, input: Input) {
        if self.exchanges.is_wanted(id) {
            self.push(id, &ToServer::Input(input));
        }
    }

    fn push_bulk(&mut self, (frame, number): Taken) {
        self.outgoing.push(Lane::Bulk, frame, number);
    }

    /// Into the control lane.
    fn push(&mut self, id: RequestId, message: &ToServer) {
        if let Some(frame) = encode(&self.exchanges, self.frame_bytes_max, id, message) {
            self.outgoing.push(Lane::Control, frame, None);
        }
    }
}

pub(super) fn stalled() -> Fault {
    let detail = format!("it took nothing for {} seconds", STALL.as_secs());
    Fault::new(FaultCode::Disconnected).because(detail)
}
