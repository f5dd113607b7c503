//! Many small files cost no further round trip each by all this care.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use towpath_protocol::frame::Decoder;
use towpath_protocol::message::ToServer;

use crate::world::World;

type Counts = Arc<Mutex<BTreeMap<&'static str, u64>>>;

/// Passes each connection to `socket` on to `to`, and counts the requests that cross.
fn count(to: PathBuf, socket: &Path) -> Counts {
    let (listener, counts) = (UnixListener::bind(socket).unwrap(), Counts::default());
    let counted = counts.clone();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), UnixStream::connect(&to).unwrap());
            let (down_from, down_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || pass(down_from, down_to, |_| {}));
            let (counted, mut decoder, mut preamble) = (counted.clone(), Decoder::new(), 8);
            decoder.allow_frames_up_to(1 << 20);
            std::thread::spawn(move || {
                pass(client, server, move |bytes| {
                    let skipped = preamble.min(bytes.len());
                    preamble -= skipped;
                    decoder.push(&bytes[skipped..]);
                    while let Some(incoming) = decoder.next_to_server().unwrap() {
                        if let Ok(ToServer::Request(request)) = incoming.message {
                            *counted.lock().unwrap().entry(request.name()).or_default() += 1;
                        }
                    }
                });
            });
        }
    });
    counts
}

fn pass(mut from: UnixStream, mut to: UnixStream, mut seen: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        seen(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[test]
fn f80_a_new_file_is_moved_by_one_request_each_way() {
    const FILES: u64 = 300;
    for is_up in [true, false] {
        let world = World::new();
        for folder in ["here", "r"] {
            fs::create_dir_all(world.at(folder)).unwrap();
        }
        let from = if is_up { "here" } else { "r" };
        for number in 0..FILES {
            world.write(&format!("{from}/t/{}/{number}", number % 3), number.to_string());
        }
        let _towd = world.serve("r");
        let counts = count(world.at("state of towd/socket"), &world.at("counted"));
        let far = format!("unix:{}?path=t", world.at("counted").display());
        let words = if is_up { ["here/t", &far] } else { [far.as_str(), "here/t"] };
        let moved = world.tow(&["mv", "-T", words[0], words[1]]);
        assert!(moved.status.success(), "{moved:?}");
        assert_eq!(world.names(from), Vec::<String>::new());
        let counts = counts.lock().unwrap().clone();
        let (each, all): (&[&str], u64) =
            if is_up { (&["Put"], FILES) } else { (&["Read", "Remove"], 2 * FILES) };
        for request in each {
            assert!(counts[request] >= FILES && counts[request] <= FILES + 10, "up {is_up}: {counts:?}");
        }
        // Four folders besides, and what the job itself asks.
        assert!(counts.values().sum::<u64>() <= all + 60, "up {is_up}: {counts:?}");
    }
}
