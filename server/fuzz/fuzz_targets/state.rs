#![no_main]

#[allow(dead_code, reason = "a part of towd")]
#[path = "../../src/clients.rs"]
mod clients;
#[allow(dead_code, reason = "a part of towd")]
#[path = "../../src/pairing.rs"]
mod pairing;
#[allow(dead_code, reason = "a part of towd")]
#[path = "../../src/rights.rs"]
mod rights;
#[allow(dead_code, reason = "a part of towd")]
#[path = "../../src/limits.rs"]
mod limits;
#[path = "../bodies/state.rs"]
mod state;

use std::cell::LazyCell;

use state::Ground;

thread_local!(static GROUND: LazyCell<Ground> = LazyCell::new(Ground::new));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| GROUND.with(|ground| ground.state(bytes)));
