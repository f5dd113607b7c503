//! `tow`: two panes, two machines.
//!
//! Two wings. The thinking wing (`model`, `app`, `ui`) decides and draws, and touches nothing. The doing wing (`link`,
//! `transfer`, `cli`, `shell`) speaks to services, moves files and owns the terminal. Data goes round one way: key → app →
//! effect → shell → doing → event → app → ui → screen.

pub mod app;
pub mod cli;
pub mod config;
pub mod link;
pub mod model;
pub mod shell;
pub mod transfer;
pub mod ui;
