//! A long line on the loopback, between a client and a server: it delays what crosses it, lets each connection carry only so much, counts,
//! and cuts connections, each by itself.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::fault_link::Cut;

/// Bytes that are taken from a connection at a time.
const STEP_BYTES: usize = 16 * 1024;
/// How long a connection that was ended in order stays open the other way.
const ENDING: Duration = Duration::from_secs(1);

/// Which connections are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victims {
    /// The one with this number, from 0 on, of those that came since this was said.
    One(usize),
    All,
}

/// When and how: once the victims have carried so many bytes, of both directions.
#[derive(Debug, Clone, Copy)]
pub struct Cutting {
    pub victims: Victims,
    pub at: u64,
    pub how: Cut,
}

/// A way to a server. Dropped, it takes no more connections, and those that hang are let go.
pub struct LongLine {
    pub address: SocketAddr,
    plan: Arc<Mutex<Arc<Plan>>>,
    _open: DropGuard,
}

/// For the connections that come while it holds.
struct Plan {
    cutting: Option<Cutting>,
    connections: AtomicU64,
    moved: AtomicU64,
    cut_all: CancellationToken,
}

impl Plan {
    fn new(cutting: Option<Cutting>) -> Arc<Self> {
        let (connections, moved, cut_all) = Default::default();
        Arc::new(Self { cutting, connections, moved, cut_all })
    }
}

impl LongLine {
    /// With so much delay in each direction, and so many bytes a second for each connection; every second one is half as fast. Must be
    /// called within a runtime, which carries it.
    pub async fn to(server: &str, delay: Duration, rate: u32) -> Self {
        let server: SocketAddr = server.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let plan = Arc::new(Mutex::new(Plan::new(None)));
        let (plans, open) = (plan.clone(), CancellationToken::new());
        let closed = open.clone();
        tokio::spawn(closed.clone().run_until_cancelled_owned(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let plan = plans.lock().unwrap().clone();
                let number = plan.connections.fetch_add(1, Ordering::SeqCst) as usize;
                let gate = Gate {
                    delay,
                    rate: if number % 2 == 1 { rate / 2 } else { rate },
                    number,
                    moved: Arc::default(),
                    cut: plan.cut_all.child_token(),
                    plan,
                };
                tokio::spawn(closed.clone().run_until_cancelled_owned(async move {
                    // Where nobody listens a connection is refused by its end.
                    if let Ok(far) = TcpStream::connect(server).await {
                        gate.carry(near, far).await;
                    }
                }));
            }
        }));
        Self { address, plan, _open: open.drop_guard() }
    }

    /// From now on, for connections that come; what is counted begins anew.
    pub fn set(&self, cutting: Option<Cutting>) {
        *self.plan.lock().unwrap() = Plan::new(cutting);
    }

    /// Connections that came since [`set`](Self::set).
    pub fn connections(&self) -> usize {
        self.plan.lock().unwrap().connections.load(Ordering::SeqCst) as usize
    }

    /// Bytes that they carried, in both directions.
    pub fn moved(&self) -> u64 {
        self.plan.lock().unwrap().moved.load(Ordering::SeqCst)
    }
}

#[derive(Clone)]
struct Gate {
    delay: Duration,
    rate: u32,
    number: usize,
    moved: Arc<AtomicU64>,
    cut: CancellationToken,
    plan: Arc<Plan>,
}

impl Gate {
    async fn carry(self, mut near: TcpStream, mut far: TcpStream) {
        let (near_reader, near_writer) = near.split();
        let (far_reader, far_writer) = far.split();
        let carried = tokio::select! {
            () = self.cut.cancelled() => false,
            _ = async { tokio::join!(self.pump(near_reader, far_writer), self.pump(far_reader, near_writer)) } => true,
        };
        let Some(cutting) = self.plan.cutting.filter(|_| !carried) else { return };
        match cutting.how {
            Cut::End => end(&mut near, &mut far).await,
            Cut::Reset => reset(&near, &far),
            Cut::Stall => std::future::pending().await,
            Cut::TimeOut(after) => {
                sleep(after).await;
                reset(&near, &far);
            }
        }
    }

    async fn pump(&self, mut reader: impl AsyncRead + Unpin, mut writer: impl AsyncWrite + Unpin) {
        let (sender, mut queue) = mpsc::channel::<(Instant, Vec<u8>)>(16);
        let reading = async {
            let mut bytes = vec![0; STEP_BYTES];
            while let Ok(read @ 1..) = reader.read(&mut bytes[..self.step()]).await {
                sleep(Duration::from_secs(1) * read as u32 / self.rate).await;
                if sender.send((Instant::now() + self.delay, bytes[..read].to_vec())).await.is_err() {
                    break;
                }
                self.count(read as u64);
            }
            drop(sender);
        };
        let writing = async {
            while let Some((at, bytes)) = queue.recv().await {
                sleep_until(at).await;
                if writer.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            let _ = writer.shutdown().await;
        };
        tokio::join!(reading, writing);
    }

    /// What the victims have carried, where this is one of them, and what they may carry.
    fn bound(&self) -> Option<(&AtomicU64, u64)> {
        let cutting = self.plan.cutting?;
        match cutting.victims {
            Victims::One(number) => (number == self.number).then_some((&*self.moved, cutting.at)),
            Victims::All => Some((&self.plan.moved, cutting.at)),
        }
    }

    /// Bytes that may be taken at a time: none beyond the cut.
    fn step(&self) -> usize {
        let left =
            self.bound().map_or(u64::MAX, |(moved, at)| at.saturating_sub(moved.load(Ordering::SeqCst)));
        usize::try_from(left).unwrap_or(STEP_BYTES).clamp(1, STEP_BYTES)
    }

    fn count(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::SeqCst);
        self.plan.moved.fetch_add(bytes, Ordering::SeqCst);
        if let Some((moved, at)) = self.bound()
            && moved.load(Ordering::SeqCst) >= at
        {
            match self.plan.cutting.map(|cutting| cutting.victims) {
                Some(Victims::All) => self.plan.cut_all.cancel(),
                _ => self.cut.cancel(),
            }
        }
    }
}

/// As if each side had closed, and reads on for a while: what is unread at a close makes it a reset.
async fn end(near: &mut TcpStream, far: &mut TcpStream) {
    let (near_closed, far_closed) = (near.shutdown().await, far.shutdown().await);
    if near_closed.is_ok() && far_closed.is_ok() {
        let (mut here, mut there) = (tokio::io::sink(), tokio::io::sink());
        let _ = timeout(ENDING, async {
            tokio::join!(tokio::io::copy(near, &mut here), tokio::io::copy(far, &mut there))
        })
        .await;
    }
}

/// Both are reset when they are dropped.
fn reset(near: &TcpStream, far: &TcpStream) {
    for stream in [near, far] {
        let _ = set_socket_linger(stream, Some(Duration::ZERO));
    }
}
