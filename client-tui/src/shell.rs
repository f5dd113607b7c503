//! The shell around the thinking wing: the terminal, the loop, and the only place that carries effects out.

mod cells;
mod effects;
pub mod input;
mod job_control;
pub mod log;
mod output;
mod pace;
pub mod panes;
pub mod panic;
mod recent;
mod runtime;
pub mod signals;
pub mod terminal;
mod timers;
