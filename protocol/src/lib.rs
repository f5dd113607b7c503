//! Towpath's wire protocol: bytes to messages and back.
//!
//! This crate does no I/O. It knows no tokio, no file system, no socket, no clock and no terminal; time, sockets and disks
//! are other people's. Whatever a peer can say is bounded (see [`limits`]) before anything is allocated for it.
//! `PROTOCOL.md` beside this crate is the contract in prose, complete enough to write a client from it alone.
//!
//! Who reads what: [`message`] holds the one table of message kinds; [`request`], [`input`] and [`answer`] the bodies;
//! [`frame`] turns them into bytes and back; [`path`], [`entry`] and [`fault`] are the words they share.

pub mod answer;
pub mod display;
pub mod entry;
pub mod fault;
pub mod frame;
pub mod fuzz;
pub mod hash;
pub mod hello;
pub mod input;
pub mod limits;
pub mod message;
pub mod order;
pub mod outgoing;
pub mod path;
pub mod request;
mod wire;
