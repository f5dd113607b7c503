//! Where the further streams of one session arrive: a socket of Linux's that is no file, so that nothing of it is ever left behind and no
//! wall that keeps this process from files is in its way. Its name follows from the session's ticket and does not give it away: names of
//! such sockets are no secret. Both sides turn away whoever is not the same user.

use std::io::{self, Cursor, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener as BlockingListener};
use std::time::Duration;

use rustix::cmsg_space;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::geteuid;
use tokio::io::{AsyncReadExt as _, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::sleep;
use towpath_protocol::frame::HEADER_BYTES;
use towpath_protocol::hello::{PREAMBLE, Ticket};
use towpath_protocol::limits::FRAME_BYTES_MAX_BEFORE_HELLO;

use crate::{Input, Output, reader, writer};

/// Bytes that a program reads at a time until it knows which session it joins.
pub(crate) const READ_BYTES: usize = 4096;
/// What it may have read by then, at most.
const BEGIN_BYTES_MAX: usize = PREAMBLE.len() + HEADER_BYTES + FRAME_BYTES_MAX_BEFORE_HELLO + READ_BYTES;
/// Before the next one is taken where taking one failed.
const FAILED_PAUSE: Duration = Duration::from_millis(100);

/// Of one session, for as long as it lasts.
#[derive(Debug)]
pub struct Rendezvous {
    listener: UnixListener,
    ticket: Ticket,
}

/// A program that has come to hand over its standard input and output.
#[derive(Debug)]
pub struct Joiner(UnixStream);

/// A stream that was handed over.
pub struct Handed {
    pub reader: Input,
    pub writer: Output,
    /// The program that they belong to. Dropped, it ends: after the two, so that all is out by then.
    pub joiner: Joiner,
}

impl std::fmt::Debug for Handed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handed").field("joiner", &self.joiner).finish_non_exhaustive()
    }
}

impl Rendezvous {
    /// For a session that has this object's [`ticket`](Self::ticket). Must be called within a tokio runtime.
    pub fn open() -> io::Result<Self> {
        let mut ticket = [0; 16];
        getrandom::fill(&mut ticket).map_err(io::Error::other)?;
        let ticket = Ticket(ticket);
        let listener = BlockingListener::bind_addr(&address(&ticket)?)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener: UnixListener::from_std(listener)?, ticket })
    }

    pub const fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The next one, of this user. Dropped while it waits, it loses none.
    pub async fn next(&self) -> Joiner {
        loop {
            match self.listener.accept().await.and_then(|(stream, _)| Ok((stream.peer_cred()?, stream))) {
                Ok((peer, stream)) if peer.uid() == geteuid().as_raw() => return Joiner(stream),
                Ok((peer, _)) => tracing::debug!(uid = peer.uid(), "turned away: another user"),
                Err(error) => {
                    tracing::warn!(%error, "a further stream cannot be taken");
                    sleep(FAILED_PAUSE).await;
                }
            }
        }
    }
}

impl Joiner {
    /// Takes what it hands over. Waits for as long as it takes its time.
    pub async fn receive(mut self) -> io::Result<Handed> {
        let mut begin = vec![0; BEGIN_BYTES_MAX];
        let received = self.0.async_io(Interest::READABLE, || files_of(&self.0, &mut begin)).await;
        let (len, [input, output]) = received?;
        begin.truncate(len);
        let room = (BEGIN_BYTES_MAX - len) as u64;
        (&mut self.0).take(room).read_to_end(&mut begin).await?;
        let refused = || io::Error::other("it is neither pipe nor socket");
        let input = reader(input)?.ok_or_else(refused)?;
        let writer = writer(output)?.ok_or_else(refused)?;
        Ok(Handed { reader: Box::pin(Cursor::new(begin).chain(input)), writer, joiner: self })
    }
}

/// Standard input and output, and how many bytes of the first came with them.
fn files_of(stream: &UnixStream, begin: &mut [u8]) -> io::Result<(usize, [OwnedFd; 2])> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut begin = [IoSliceMut::new(begin)];
    let received = recvmsg(stream, &mut begin, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let files = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    let files: Vec<OwnedFd> = files.flatten().collect();
    let files = files.try_into().map_err(|_| io::Error::other("nothing was handed over"))?;
    Ok((received.bytes, files))
}

/// Where the session of this ticket is found.
pub(crate) fn address(ticket: &Ticket) -> io::Result<SocketAddr> {
    let name =
        blake3::derive_key("Towpath 2026 joining version 1: from a ticket to its socket's name", &ticket.0);
    let name = name[..16].iter().fold("towpath-".to_owned(), |name, byte| format!("{name}{byte:02x}"));
    SocketAddr::from_abstract_name(name)
}
