#![no_main]


#[path = "../bodies/session.rs"]
mod session;

use std::cell::LazyCell;

use session::Ground;

thread_local!(static GROUND: LazyCell<Ground> = LazyCell::new(Ground::new));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| GROUND.with(|ground| ground.session(bytes)));
