//! What the process's umask takes away. A program of its own, since it sets the umask of all its threads.
#![allow(clippy::disallowed_methods, reason = "fixtures are built and looked at with std::fs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "all of this is tests, helpers too"
)]

#[path = "changes/world.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod world;

use towpath_protocol::request::{Existing, SetMode};
use world::{World, begin, below, copy, make_folder, put};

#[tokio::test]
async fn the_umask_takes_its_bits_from_whatever_is_made_or_set() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    let world = World::new();
    let mut request = put("put", b"content", Existing::Keep);
    request.store.mode = 0o6777;
    world.stored(request).await;
    let mut request = begin("uploaded", 7, Existing::Keep);
    request.store.mode = 0o666;
    world.upload(request, b"content").await.unwrap();
    let mut request = make_folder("folder", Existing::Keep);
    request.mode = 0o077;
    world.stored(request).await;
    assert_eq!(world.mode("put"), 0o750);
    assert_eq!(world.mode("uploaded"), 0o640);
    assert_eq!(world.mode("folder"), 0o750);
    world.ask(SetMode { thing: below("put"), mode: 0o7777 }).await.unwrap();
    assert_eq!(world.mode("put"), 0o750);
    world.totals(copy("put", "copied", Existing::Keep)).await;
    assert_eq!(world.mode("copied"), 0o750);
    world.check();
}
