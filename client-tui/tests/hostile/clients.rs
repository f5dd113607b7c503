//! An evil client against `towd`: whatever it says, nothing outside changes, memory stays small, and everybody else is served.

pub(crate) mod world;

use std::fs;
use std::time::{Duration, Instant};

use towpath_protocol::fault::FaultCode;
use towpath_protocol::message::Answer;

use super::memory::PATIENCE;
use super::pack::{List, Map, Number, Raw, Value, at, bytes, frame, framed, path, text};
use world::{Client, World};

const CANCEL: u16 = 4;
const MORE: u16 = 5;
const PING: u16 = 3;
const LIST: u16 = 16;
const WALK: u16 = 17;
const STAT: u16 = 18;
const READ: u16 = 19;
const SPACE: u16 = 20;
const MEASURE: u16 = 21;
const PUT: u16 = 32;
const BEGIN_UPLOAD: u16 = 33;
const UPLOAD_DATA: u16 = 34;
const COMMIT_UPLOAD: u16 = 35;
const MAKE_FOLDER: u16 = 37;
const MAKE_LINK: u16 = 38;
const SET_MODE: u16 = 39;
const SET_TIMES: u16 = 40;
const RENAME: u16 = 41;
const COPY: u16 = 42;
const REMOVE: u16 = 43;

fn store() -> Value {
    Map(vec![
        ("mode", Number(0o644)),
        ("modified", Number(0)),
        ("existing", Number(1)),
        ("durability", Number(0)),
    ])
}

/// A request of each kind about one place.
fn requests(thing: &Value, whole: &Value) -> Vec<(u16, Value)> {
    let operation = || ("operation", bytes(&[3; 16]));
    let good = || at(&[b"new"]);
    let listing = |field: &'static str| {
        let rest = ["sort", "direction", "hidden"].map(|name| (name, Number(0)));
        Map([vec![(field, thing.clone()), ("pages", Number(1))], rest.to_vec()].concat())
    };
    let existing = || ("existing", Number(1));
    vec![
        (LIST, listing("folder")),
        (WALK, Map(vec![("start", thing.clone()), ("pages", Number(1))])),
        (
            STAT,
            Map(vec![
                ("base", List(Vec::new())),
                ("paths", List(vec![whole.clone()])),
                ("follow", Number(0)),
            ]),
        ),
        (READ, Map(vec![("file", thing.clone()), ("offset", Number(0)), ("len", Number(100))])),
        (SPACE, Map(vec![("path", whole.clone())])),
        (MEASURE, Map(vec![("things", List(vec![thing.clone()]))])),
        (
            PUT,
            Map(vec![
                operation(),
                ("file", thing.clone()),
                ("store", store()),
                ("hash", bytes(&[0; 32])),
                ("data", bytes(b"planted")),
            ]),
        ),
        (
            BEGIN_UPLOAD,
            Map(vec![operation(), ("file", thing.clone()), ("store", store()), ("size", Number(7))]),
        ),
        (MAKE_FOLDER, Map(vec![operation(), ("folder", thing.clone()), ("mode", Number(0o755)), existing()])),
        (
            MAKE_LINK,
            Map(vec![
                operation(),
                ("link", thing.clone()),
                ("target", bytes(b"target")),
                ("modified", Number(0)),
                existing(),
            ]),
        ),
        (SET_MODE, Map(vec![("thing", thing.clone()), ("mode", Number(0o777))])),
        (SET_TIMES, Map(vec![("thing", thing.clone()), ("modified", Number(0))])),
        (RENAME, Map(vec![operation(), ("from", thing.clone()), ("to", good()), existing()])),
        (RENAME, Map(vec![operation(), ("from", at(&[b"file"])), ("to", thing.clone()), existing()])),
        (
            COPY,
            Map(vec![
                operation(),
                ("from", thing.clone()),
                ("to", good()),
                existing(),
                ("durability", Number(0)),
            ]),
        ),
        (
            COPY,
            Map(vec![
                operation(),
                ("from", at(&[b"file"])),
                ("to", thing.clone()),
                existing(),
                ("durability", Number(0)),
            ]),
        ),
        (REMOVE, Map(vec![operation(), ("thing", thing.clone()), ("depth", Number(1))])),
    ]
}

#[test]
fn f02_f04_f08_a_path_that_is_none_is_refused_by_every_verb_and_the_session_lives() {
    let mut world = World::new();
    let mut evil = world.evil();
    let long = vec![b'n'; 256];
    let deep: Vec<&[u8]> = vec![b"d"; 129];
    let paths: Vec<Vec<&[u8]>> = vec![
        vec![b".."],
        vec![b"."],
        vec![b""],
        vec![b"a/b"],
        vec![b"../outside"],
        vec![b"file/"],
        vec![b"/etc/passwd"],
        vec![b"a\0b"],
        vec![b"x", b"..", b"..", b"outside"],
        vec![&long],
        deep,
    ];
    for names in paths {
        let what =
            format!("{:?}", names.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>());
        let whole = path(&names);
        let in_path = Map(vec![("base", List(Vec::new())), ("path", whole.clone())]);
        let in_base = Map(vec![("base", whole.clone()), ("path", path(&[b"x"]))]);
        for thing in [in_path, in_base] {
            for (kind, body) in requests(&thing, &whole) {
                let code = evil.refused(&frame(kind, 7, &body), &what);
                assert_eq!(code, FaultCode::Malformed, "{kind} {what}");
            }
        }
        world.check(&what);
    }
}

#[test]
fn f39_f40_f41_f42_frames_that_lie_end_their_session_and_no_other() {
    let mut world = World::new();
    let limits = ["frame_bytes", "requests_in_flight", "upload_credit_bytes"].map(|name| (name, Number(0)));
    let hello_again = Map(vec![
        ("protocol", Number(1)),
        ("agent", text("evil")),
        ("capabilities", List(Vec::new())),
        ("limits", Map(limits.to_vec())),
    ]);
    let ends: Vec<(&str, Vec<u8>)> = vec![
        ("4 GiB", [&u32::MAX.to_be_bytes()[..], &[0x90; 1000]].concat()),
        ("1 MiB and a byte", [&1_048_577_u32.to_be_bytes()[..], &[0x90; 1000]].concat()),
        ("an empty frame", framed(&[])),
        ("empty frames", framed(&[]).repeat(100_000)),
        ("no message", framed(&[0xc1; 40])),
        ("something left over", framed(&[0x93, 3, 7, 0x80, 0x80])),
        ("Hello again", frame(1, 7, &hello_again)),
    ];
    for (what, said) in ends {
        let mut evil = world.evil();
        let _ = evil.say(&said);
        let faults = evil.faults_to_the_end();
        assert!(!faults.is_empty(), "{what}: it was not told why");
        world.check(what);
    }
    let mut evil = world.evil();
    let lists: Vec<(&str, Vec<u8>)> = vec![
        ("a list of four thousand million", vec![0xdd, 0xff, 0xff, 0xff, 0xff, 0x90]),
        ("a million empty lists", [&[0xdd, 0x00, 0x0f, 0xff, 0x00][..], &vec![0x90; 0xf_ff00]].concat()),
        ("a million levels", vec![0x91; 0xf_ff00]),
        ("bytes of 4 GiB", vec![0x91, 0x91, 0xc6, 0xff, 0xff, 0xff, 0xff, 0x61]),
    ];
    for (what, list) in lists {
        let body = Map(vec![("base", List(Vec::new())), ("paths", Raw(list)), ("follow", Number(0))]);
        assert_eq!(evil.refused(&frame(STAT, 7, &body), what), FaultCode::Malformed, "{what}");
        world.check(what);
    }
    let code = evil.refused(&frame(9999, 7, &Map(Vec::new())), "an unknown kind");
    assert_eq!(code, FaultCode::Unsupported);
}

#[test]
fn f43_f48_floods_are_cut_off_or_cost_nothing() {
    let mut world = World::new();
    let small = Map(Vec::new());
    let floods: Vec<(&str, Vec<u8>)> = vec![
        ("pings", frame(PING, 7, &small)),
        ("cancels of nothing", frame(CANCEL, 7, &small)),
        ("grants of nothing", frame(MORE, 7, &Map(vec![("pages", Number(1))]))),
        ("data for nobody", frame(UPLOAD_DATA, 7, &List(vec![Number(0), bytes(&[7; 4096])]))),
        (
            "ends of nothing",
            frame(COMMIT_UPLOAD, 7, &Map(vec![("len", Number(0)), ("hash", bytes(&[0; 32]))])),
        ),
        ("kinds that nobody knows", frame(9999, 7, &small)),
        ("requests that are broken", frame(LIST, 7, &small)),
        ("one request under one id", frame(SPACE, 7, &Map(vec![("path", List(Vec::new()))]))),
    ];
    for (what, one) in floods {
        let mut evil = world.evil();
        // Nothing that comes back is taken: either the server ends it, or all of it went nowhere.
        evil.stream.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
        let many = one.repeat(1000);
        for _ in 0..100 {
            if evil.say(&many).is_err() {
                break;
            }
        }
        world.check(what);
    }
    // Requests without end, each under an id of its own.
    let mut evil = world.evil();
    evil.stream.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
    for id in 1..50_000 {
        if evil.say(&frame(WALK, id, &Map(vec![("start", at(&[])), ("pages", Number(1))]))).is_err() {
            break;
        }
    }
    world.check("requests without end");
}

fn begin(id: u32, size: u64) -> Vec<u8> {
    let body = Map(vec![
        ("operation", bytes(&[id as u8; 16])),
        ("file", at(&[b"new"])),
        ("store", store()),
        ("size", Number(size)),
    ]);
    frame(BEGIN_UPLOAD, id, &body)
}

#[test]
fn f38_f44_data_that_breaks_the_rules_leaves_nothing() {
    let mut world = World::new();
    let data =
        |offset: u64, len: usize| frame(UPLOAD_DATA, 7, &List(vec![Number(offset), bytes(&vec![7; len])]));
    let commit =
        |len: u64| frame(COMMIT_UPLOAD, 7, &Map(vec![("len", Number(len)), ("hash", bytes(&[0; 32]))]));
    let lies: Vec<(&str, u64, Vec<u8>)> = vec![
        ("a gap", 100, data(50, 50)),
        ("an overlap", 100, [data(0, 60), data(50, 50)].concat()),
        ("an offset at the end of all numbers", u64::MAX, data(u64::MAX - 3, 50)),
        ("more than was announced", 100, data(0, 200)),
        ("less than was announced", 100, [data(0, 50), commit(50)].concat()),
        ("another length at the end", 100, [data(0, 100), commit(u64::MAX)].concat()),
        ("another hash", 100, [data(0, 100), commit(100)].concat()),
        ("no data", 100, commit(100)),
        ("no bytes in data", 100, data(0, 0)),
        ("too many bytes in data", 1 << 20, data(0, 65_537)),
        ("another exchange's input", 100, frame(MORE, 7, &Map(vec![("pages", Number(1))]))),
        ("all the bytes that there can be", u64::MAX, Vec::new()),
    ];
    for (what, size, said) in lies {
        let mut evil = world.evil();
        evil.say(&[begin(7, size), said].concat()).unwrap();
        let is_refused = loop {
            match evil.hear() {
                Some((7, Answer::Fault(_))) => break true,
                Some((7, Answer::UploadReady(_) | Answer::UploadAck(_))) => {}
                other => panic!("{what}: {other:?}"),
            }
        };
        assert!(is_refused, "{what}");
        world.check(what);
    }
    // Far more than there is credit for.
    let mut evil = world.evil();
    evil.say(&begin(7, 1 << 40)).unwrap();
    evil.stream.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
    for part in 0..2000 {
        if evil.say(&data(part * 65_536, 65_536)).is_err() {
            break;
        }
    }
    drop(evil);
    // The part goes as soon as the server notices that its client is gone.
    let end = Instant::now() + PATIENCE;
    while fs::read_dir(world.dir.path().join("served")).unwrap().count() > 1 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    world.check("more than the credit");
    // More pages than there is credit for, and more credit than a number holds.
    let mut evil = world.evil();
    let walk = frame(WALK, 7, &Map(vec![("start", at(&[])), ("pages", Number(u64::from(u32::MAX)))]));
    assert_eq!(evil.refused(&walk, "credit for four thousand million pages"), FaultCode::LimitExceeded);
    world.check("more pages than a number holds");
}

#[test]
fn f45_a_client_of_one_byte_a_second_is_left_in_time_and_keeps_nobody_out() {
    let mut world = World::new();
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let socket = world.socket();
            std::thread::spawn(move || {
                let mut client = Client::silent(&socket);
                let began = Instant::now();
                for byte in b"TOWPATH1\0\0\0\x7c\x93\x01\x01\x84\xaa".iter().cycle() {
                    if client.say(&[*byte]).is_err() {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(500));
                    assert!(began.elapsed() < PATIENCE, "it is never left");
                }
                began.elapsed()
            })
        })
        .collect();
    for _ in 0..10 {
        drop(world.evil());
        world.check("slow clients");
    }
    for client in slow {
        let took = client.join().unwrap();
        assert!(took < Duration::from_secs(20), "left after {took:?}");
    }
    world.check("slow clients that have gone");
}
