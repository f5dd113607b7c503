//! Input from the terminal. One thread alone reads its bytes; a parser of our own makes input of them.
//!
//! Judged on 2026-11-30. Run with 21 reports and replies, each followed by `q`: termina 0.4 loses the next key behind `CSI > … c` and types
//! APC and C1 as keys (200,000 random inputs never made it panic); termwiz 0.23 types nearly every reply as keys. Read, not run: crossterm
//! 0.29 panics at column 0, types OSC, DCS and APC as keys and waits for ever in `CSI ? … n`; vte has no lone Esc, SS3 keys, old mouse reports
//! or pastes, which is most of what there is to parse. This parser swallows what it does not know to its final byte and cannot fail.

pub mod parser;
mod sequences;

use std::io;
use std::time::Duration;

use crossterm::event::{KeyEvent, MouseEvent};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::sync::mpsc;

use super::terminal;
use crate::config::Background;
use parser::Parser;

/// Pieces of input that may wait.
const QUEUED_MAX: usize = 64;
/// Bytes that are read at a time: one piece.
const READ_BYTES: usize = 1024;
const CTRL_C: u8 = 0x03;

/// One piece of input from a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    Key(KeyEvent),
    Mouse(MouseEvent),
    Paste(String),
    /// True if the terminal has the focus now.
    Focus(bool),
    /// The terminal's answer to which background it has.
    Background(Background),
    /// The terminal's answer to what it is: those to earlier questions have come.
    Attributes,
}

/// Starts to read standard input. What comes in one piece stays in one; the channel closes once the terminal is gone.
pub(super) fn read() -> io::Result<mpsc::Receiver<Vec<Input>>> {
    let (sender, receiver) = mpsc::channel(QUEUED_MAX);
    std::thread::Builder::new().name("input".into()).spawn(move || run(&sender))?;
    Ok(receiver)
}

fn run(sender: &mpsc::Sender<Vec<Input>>) {
    let mut parser = Parser::default();
    let mut buffer = [0; READ_BYTES];
    loop {
        let mut piece = Vec::new();
        let mut take = |input: Input| match input {
            Input::Attributes => terminal::answered(),
            input => piece.push(input),
        };
        match wait_and_read(&mut buffer, parser.patience()) {
            Ok(Some(0)) | Err(_) => return,
            Ok(Some(read)) => {
                if buffer[..read] == [CTRL_C] {
                    parser.interrupt();
                }
                parser.feed(&buffer[..read], &mut take);
            }
            Ok(None) => parser.give_up(&mut take),
        }
        if !piece.is_empty() && sender.blocking_send(piece).is_err() {
            return;
        }
    }
}

/// Bytes read, 0 at the end; `None` if none came in time. The descriptor may block or not, as others left it.
fn wait_and_read(buffer: &mut [u8], patience: Option<Duration>) -> Result<Option<usize>, Errno> {
    let input = rustix::stdio::stdin();
    let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
    loop {
        let mut ready = [PollFd::new(&input, PollFlags::IN)];
        match poll(&mut ready, patience.as_ref()) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error),
        }
        // While the terminal is not ours, what is typed is for another program, which may have read it when we come back.
        if terminal::wait_until_taken() {
            continue;
        }
        match rustix::io::read(input, &mut *buffer) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            read => return read.map(Some),
        }
    }
}

#[cfg(test)]
mod tests;
