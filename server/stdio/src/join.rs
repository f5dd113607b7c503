//! The program of a further channel: it finds the one that serves the session and hands its standard input and output over to it. Plain
//! and blocking: it has nothing else to do.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _, stdin, stdout};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::geteuid;
use towpath_protocol::frame::Decoder;
use towpath_protocol::hello::{PREAMBLE, Ticket};
use towpath_protocol::limits::HELLO_SECONDS_MAX;
use towpath_protocol::message::{Session, ToServer};

use crate::JoinFault;
use crate::rendezvous::{READ_BYTES, address};

/// Makes standard input and output a further stream of the session whose ticket the Hello that comes there has. Returns when that
/// session, or the stream, is over. Nothing is said on standard output where there is no such session.
pub fn join() -> Result<(), JoinFault> {
    let (begin, ticket) = read_hello(stdin().as_fd())?;
    let mut stream = find(&ticket)?;
    hand_over(&mut stream, &begin).map_err(JoinFault::NotHandedOver)?;
    // However that side ends.
    let _ = stream.read(&mut [0]);
    Ok(())
}

/// All that came until it was known which session is meant.
fn read_hello(input: BorrowedFd<'_>) -> Result<(Vec<u8>, Ticket), JoinFault> {
    let deadline = Instant::now() + Duration::from_secs(HELLO_SECONDS_MAX);
    let (mut said, mut bytes) = (Vec::new(), [0; READ_BYTES]);
    loop {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok();
        match poll(&mut [PollFd::new(&input, PollFlags::IN)], left.as_ref()) {
            Ok(0) => return Err(JoinFault::Late { seconds: HELLO_SECONDS_MAX }),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(JoinFault::Input(errno.into())),
        }
        match rustix::io::read(input, &mut bytes) {
            Ok(0) => return Err(JoinFault::NoTicket),
            Ok(read) => said.extend_from_slice(&bytes[..read]),
            Err(Errno::INTR | Errno::AGAIN) => continue,
            Err(errno) => return Err(JoinFault::Input(errno.into())),
        }
        if let Some(ticket) = ticket_in(&said)? {
            return Ok((said, ticket));
        }
    }
}

/// None while the Hello is not complete.
fn ticket_in(said: &[u8]) -> Result<Option<Ticket>, JoinFault> {
    let (preamble, frame) = said.split_at(said.len().min(PREAMBLE.len()));
    if !PREAMBLE.starts_with(preamble) {
        return Err(JoinFault::NoTicket);
    }
    let mut decoder = Decoder::new();
    decoder.push(frame);
    let Some(first) = decoder.next_to_server().map_err(|_| JoinFault::NoTicket)? else { return Ok(None) };
    match first.message {
        Ok(ToServer::Session(Session::Hello(hello))) => hello.join.map(Some).ok_or(JoinFault::NoTicket),
        _ => Err(JoinFault::NoTicket),
    }
}

/// The program that serves the session.
fn find(ticket: &Ticket) -> Result<UnixStream, JoinFault> {
    let stream = address(ticket).and_then(|address| UnixStream::connect_addr(&address));
    let stream = stream.map_err(|error| match error.kind() {
        ErrorKind::ConnectionRefused => JoinFault::NoSession,
        _ => JoinFault::NotHandedOver(error),
    })?;
    let peer = socket_peercred(&stream).map_err(|errno| JoinFault::NotHandedOver(errno.into()))?;
    if peer.uid == geteuid() { Ok(stream) } else { Err(JoinFault::NoSession) }
}

/// With what was read already, after which nothing more is said.
fn hand_over(stream: &mut UnixStream, begin: &[u8]) -> io::Result<()> {
    let (input, output) = (stdin(), stdout());
    let files = [input.as_fd(), output.as_fd()];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&files));
    let sent = sendmsg(&*stream, &[IoSlice::new(begin)], &mut ancillary, SendFlags::NOSIGNAL)?;
    stream.write_all(&begin[sent..])?;
    stream.shutdown(Shutdown::Write)
}
