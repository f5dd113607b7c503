//! A link as it is between two towns: passes connections on, each byte later by a delay, and no faster than a rate, with a buffer
//! before it that fills up. For benchmarks; `benches/versus` and `benches/thin` put it between a client and a server.
//!
//! Prints the port that it listens on, and passes connections on until it is ended. Without `--rate-mbit` it is as fast as the machine.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use socket2::{Domain, SockRef, Socket, Type};

/// Bytes taken from a socket at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// What the system may take in for this program where a rate is set: else megabytes would wait there besides the buffer, as before no link.
const RECEIVED_BYTES: usize = 16 * 1024;
/// Bytes on their way where no rate is set: what 40 ms hold at 1.6 GB/s.
const UNDER_WAY_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, Clone, Copy, Parser)]
struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where connections are passed on to
    #[arg(long)]
    to: SocketAddr,
    /// How long each byte is on its way, in each direction
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Bits a second in each direction of all connections together, in millions
    #[arg(long)]
    rate_mbit: Option<u64>,
    /// How long bytes may wait before the rate lets them pass; more are not taken from the sender
    #[arg(long, default_value_t = 30)]
    buffer_ms: u64,
}

/// One direction of all connections: who sends waits for those who sent before.
#[derive(Debug)]
struct Lane {
    bytes_per_second: Option<f64>,
    buffer: Duration,
    /// When all that was sent so far has passed.
    free_at: Mutex<Instant>,
}

impl Lane {
    fn new(args: Args) -> Self {
        let bytes_per_second = args.rate_mbit.map(|rate| rate as f64 * 1e6 / 8.0);
        let (buffer, free_at) = (Duration::from_millis(args.buffer_ms), Mutex::new(Instant::now()));
        Self { bytes_per_second, buffer, free_at }
    }

    /// Bytes that a sender hands over at a time, and that arrive at once: the smaller, the fairer, and the more like packets.
    fn piece_bytes(&self) -> usize {
        let part = self.bytes_per_second.map(|rate| (rate * self.buffer.as_secs_f64() / 100.0) as usize);
        part.unwrap_or(PIECE_BYTES).clamp(1_500, PIECE_BYTES)
    }

    /// Waits for room in the buffer, and tells when so many bytes have passed.
    fn pass(&self, bytes: usize) -> Instant {
        let Some(rate) = self.bytes_per_second else { return Instant::now() };
        let passing = |bytes: usize| Duration::from_secs_f64(bytes as f64 / rate);
        let cost = passing(bytes);
        // What waits in the system, and this piece itself, are part of what the buffer holds.
        let ahead = self.buffer.saturating_sub(passing(RECEIVED_BYTES) + cost);
        loop {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let wait = free_at.saturating_duration_since(now + ahead);
            if wait.is_zero() {
                *free_at = (*free_at).max(now) + cost;
                return *free_at;
            }
            drop(free_at);
            thread::sleep(wait);
        }
    }
}

/// Pieces on their way, each with the moment when it arrives; the end of the stream is an empty one.
#[derive(Debug, Default)]
struct Way {
    state: Mutex<UnderWay>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct UnderWay {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl Way {
    fn put(&self, arrives: Instant, piece: Vec<u8>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.bytes > UNDER_WAY_BYTES {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.bytes += piece.len();
        state.pieces.push_back((arrives, piece));
        self.changed.notify_all();
    }

    fn take(&self) -> Vec<u8> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some((arrives, piece)) = state.pieces.pop_front() {
                state.bytes -= piece.len();
                self.changed.notify_all();
                drop(state);
                thread::sleep(arrives.saturating_duration_since(Instant::now()));
                return piece;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Carries one direction of a connection to its end.
fn carry(mut from: TcpStream, mut to: TcpStream, lane: &Lane, delay: Duration) {
    let way = Arc::new(Way::default());
    let arriving = way.clone();
    let writer = thread::spawn(move || {
        loop {
            let piece = arriving.take();
            if piece.is_empty() || to.write_all(&piece).is_err() {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
        }
    });
    let mut buffer = vec![0; lane.piece_bytes()];
    loop {
        let read = from.read(&mut buffer).unwrap_or(0);
        way.put(lane.pass(read) + delay, buffer[..read].to_vec());
        if read == 0 || writer.is_finished() {
            let _ = from.shutdown(Shutdown::Read);
            let _ = writer.join();
            return;
        }
    }
}

fn connect(args: Args) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(args.to), Type::STREAM, None)?;
    if args.rate_mbit.is_some() {
        socket.set_recv_buffer_size(RECEIVED_BYTES)?;
    }
    socket.connect(&args.to.into())?;
    Ok(socket.into())
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let listener = TcpListener::bind(args.listen).context("cannot listen")?;
    if args.rate_mbit.is_some() {
        // Whoever is accepted inherits it.
        SockRef::from(&listener).set_recv_buffer_size(RECEIVED_BYTES)?;
    }
    writeln!(std::io::stdout(), "{}", listener.local_addr()?.port())?;
    let (up, down) = (Arc::new(Lane::new(args)), Arc::new(Lane::new(args)));
    let delay = Duration::from_millis(args.delay_ms);
    for client in listener.incoming() {
        let client = client?;
        let Ok(server) = connect(args) else { continue };
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        for (from, to, lane) in
            [(client.try_clone()?, server.try_clone()?, up.clone()), (server, client, down.clone())]
        {
            thread::spawn(move || carry(from, to, &lane, delay));
        }
    }
    Ok(())
}
