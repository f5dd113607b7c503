//! Towpath's wire protocol: bytes to messages and back.
//!
//! This crate does no I/O. It knows no tokio, no file system, no socket, no clock and no terminal; time, sockets and disks
//! are other people's. `PROTOCOL.md` beside this crate is the contract in prose, complete enough to write a client from it
//! alone; tests hold it to the code.
//!
//! # Two ways through
//!
//! In: bytes → [`frame::Decoder`] cuts frames, the length checked before anything is allocated → the array `[kind, id, body]`
//! → the one table in [`message`] says which type a kind's body is → a typed message, or word that it is none. Both ends of a
//! session, and the fuzz body, use this one decoder. Out: a typed message → [`frame`] encodes it, a file's bytes without
//! copying them → [`outgoing`] decides which frame's bytes go next, control before bulk.
//!
//! A client in the same process as the file service takes no way at all: the same types go in and come out, no bytes between.
//!
//! # What each module is for
//!
//! | module | |
//! | --- | --- |
//! | [`limits`] | every bound, with its unit; assertions tie them together |
//! | [`message`] | the one table of kinds, the families, ids, lanes, which answers are final |
//! | [`hello`] | preamble, Hello, Welcome, how limits are lowered |
//! | [`request`], [`input`] | what a client asks, and says within an exchange that is open |
//! | [`answer`], [`fault`] | what a server answers, and what went wrong |
//! | [`path`], [`entry`], [`time`] | names, paths, locations; attributes and versions; moments |
//! | [`frame`], [`outgoing`] | messages as bytes, in and out |
//! | [`pace`] | how fast a line is, and how little may wait before it |
//! | [`packing`] | frames made smaller for slow lines |
//! | [`sequence`] | the frames of several streams, in the order in which they were said |
//! | [`hash`] | BLAKE3 of files, computed in ranges |
//! | [`credit`] | how far an upload may be ahead |
//! | [`order`] | the orders of a listing, for both sides |
//! | [`pairing`] | fingerprints, one-time codes and their proofs |
//! | [`permissions`] | what a client may do, and what each request needs |
//! | [`display`] | other people's bytes, made safe to print |
//! | [`fuzz`] | what must hold for any bytes, as a function |
//!
//! # Rules that hold everywhere in it
//!
//! - What a peer can say is bounded before it is stored: frames, nesting, lists, texts, names.
//! - A value of a checked type ([`path::Name`], [`path::WirePath`]) is trusted from then on; nothing is parsed twice.
//! - A broken frame ends the session ([`frame::FrameError`]); a bad body is one request's matter ([`frame::Undecodable`]).
//! - What numbers mean together (offsets without gaps, credit, order of messages) is judged by who receives them: the session
//!   and the service on one side, the link on the other.
//! - Bodies are maps that can grow; the few arrays are frozen for version 1. Numbers are never given a second meaning.

pub mod answer;
pub mod credit;
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
pub mod metadata;
pub mod order;
pub mod outgoing;
pub mod pace;
pub mod packing;
pub mod pairing;
pub mod path;
pub mod permissions;
pub mod request;
pub mod sequence;
pub mod time;
mod wire;
