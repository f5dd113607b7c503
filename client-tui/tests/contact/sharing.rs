//! Clients that may add and not delete: each has its own folders, and none has what others put there.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::time::{Duration, SystemTime};

use crate::world::{World, said};

/// Permissions and time of modification.
fn state(world: &World, path: &str) -> (u32, SystemTime) {
    let found = fs::metadata(world.at(path)).unwrap();
    (found.permissions().mode() & 0o777, found.modified().unwrap())
}

/// Gives a thing permissions and a time `hours` after a fixed one.
fn set(world: &World, path: &str, mode: u32, hours: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_hours(450_000 + hours);
    File::open(world.at(path)).unwrap().set_modified(time).unwrap();
    fs::set_permissions(world.at(path), Permissions::from_mode(mode)).unwrap();
}

fn done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
}

#[test]
fn f77_a_tree_that_a_client_adds_keeps_modes_and_times_until_others_put_something_there() {
    let world = World::new();
    for folder in ["here/tree", "here/tree/shut", "here/tree/sub", "here/tree/sub/deep"] {
        fs::create_dir(world.at(folder)).unwrap();
        fs::write(world.at(folder).join("file"), folder).unwrap();
    }
    let server = world.serve("127.0.0.1:0", "towd", &[], "    tow1");
    let target = server.target();
    for client in ["ann", "bob"] {
        let code = world.towd("towd", &["pair", "--allow", "list,read,write", "--name", client]);
        done(&world.tow(client, &["ls", &target], Some(code.trim())));
    }
    let folders = [("tree/sub/deep", 0o700), ("tree/sub", 0o700), ("tree/shut", 0o500), ("tree", 0o700)];
    for round in 0..2 {
        for (number, (folder, mode)) in folders.into_iter().enumerate() {
            set(&world, &format!("here/{folder}"), mode, 10 * round + number as u64);
        }
        let output = world.tow("ann", &["put", "tree", &target], None);
        done(&output);
        assert!(!said(&output).contains("not kept"), "{}", said(&output));
        for (folder, _) in folders {
            let [here, there] = ["here", "root"].map(|side| state(&world, &format!("{side}/{folder}")));
            assert_eq!(here, there, "{folder} in round {round}");
        }
        // The next one stores more in folders that it made, one of them read-only.
        set(&world, "here/tree/shut", 0o700, 0);
        fs::write(world.at(&format!("here/tree/shut/more {round}")), "more").unwrap();
    }
    // From now on ann cannot lock bob out.
    done(&world.tow("bob", &["put", "mine.txt", &format!("{target}tree/sub/")], None));
    let before = state(&world, "root/tree/sub");
    set(&world, "here/tree/shut", 0o500, 20);
    set(&world, "here/tree/sub", 0o500, 20);
    let output = world.tow("ann", &["put", "tree", &target], None);
    done(&output);
    assert!(said(&output).contains("not kept: mode, modification time, of 1 thing"), "{}", said(&output));
    assert_eq!(state(&world, "root/tree/sub"), before);
    assert_eq!(state(&world, "root/tree/shut"), state(&world, "here/tree/shut"));
    done(&world.tow("bob", &["put", "mine.txt", &format!("{target}tree/sub/another")], None));
    server.end();
}
