//! The file service: answers protocol requests beneath one root, and speaks frames for it over any byte stream.
//!
//! It knows no socket, no TLS, no client and no screen. It has two doors. `towd` calls [`session`] with a stream for each
//! connection; the client calls the very same [`Service`](service::Service) in its own process for its local pane: typed
//! values in, typed values out, no bytes in between. So local and remote have the same features, the same jail and the
//! same errors.
//!
//! A request's way: `session` (frames, order, credit, cancel) → `service` (one line a kind) → `service/*` (one file a
//! family) → `root` (the only way from a wire path to something the system opens) → `disk` (the only system calls on
//! people's files). `machine` tells whose files they are; [`asides`] remembers what a move has set aside, and gives it its name back after
//! a crash. [`private_files`] is apart: the programs' own state, which no peer can name.

pub mod asides;
mod disk;
pub mod exchange;
mod fair;
pub mod machine;
pub mod memory;
pub mod private_files;
mod queue;
pub mod root;
pub mod service;
pub mod session;
#[cfg(test)]
#[path = "../../../client-tui/tests/support/skip.rs"]
mod skip;
