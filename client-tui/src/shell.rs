//! The shell around the thinking wing: the terminal, the loop, and the only place that carries effects out.

pub mod log;
pub mod panic;
pub mod signals;
pub mod terminal;
