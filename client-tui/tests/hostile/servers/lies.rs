//! What an evil server says instead of the truth.

use std::fs;
use std::sync::Arc;

use towpath_protocol::hash::{Hash, RangeHasher};
use towpath_protocol::message::Input;
use towpath_protocol::path::WirePath;

use super::super::evil::{
    BLOCK_HASHES, FILE, FOLDER, HANG_UP, LARGE_BYTES, LINK, LIST_PAGE, PROGRESS, SMALL, STATS, STORED,
    TOTALS, UPLOAD_ACK, UPLOAD_READY, WELCOME, attributes, data, done, entry, fault, hole, item, list_page,
    read_done, read_head, walk_page, welcome, welcome_with, whole,
};
use super::super::pack::{List, Map, Negative, Nil, No, Number, Raw, bytes, frame, framed, text};
use super::*;

/// Names that are none: what leads elsewhere, what is more than one component, what is too long.
fn false_names() -> Vec<Vec<u8>> {
    let long = vec![b'n'; 256];
    let names: [&[u8]; 12] = [
        b"..",
        b".",
        b"",
        b"/",
        b"a/b",
        b"../../outside/file",
        b"/etc/passwd",
        b"a\0b",
        b"small/",
        b"small/.",
        b"..//x",
        &long,
    ];
    names.iter().map(|name| name.to_vec()).collect()
}

#[test]
fn an_honest_server_is_served_by_the_same_script() {
    let home = Home::new();
    let ended = told(&home, "ls", LS, Arc::new(|_, _| None));
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said());
    let ended = told(&home, "get", GET, Arc::new(|_, _| None));
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said());
    assert_eq!(fs::read(home.path("here/copy/small")).unwrap(), SMALL);
    assert_eq!(fs::read(home.path("here/copy/large")).unwrap(), vec![7; LARGE_BYTES]);
}

#[test]
fn f01_f02_f03_a_name_that_is_none_ends_what_it_came_in() {
    for name in false_names() {
        let what = format!("the name {:?}", String::from_utf8_lossy(&name[..name.len().min(20)]));
        let listed = name.clone();
        refused(
            &what,
            LS,
            "",
            instead(is_list, move |id| {
                [list_page(id, vec![entry(&listed, attributes(FILE, 5, None))]), done(id)].concat()
            }),
        );
        refused(
            &what,
            GET,
            "",
            instead(is_walk, move |id| {
                let items = vec![
                    item(0, b"docs", attributes(FOLDER, 0, None)),
                    item(1, &name, attributes(FILE, SMALL.len(), None)),
                ];
                [walk_page(id, items), done(id)].concat()
            }),
        );
    }
}

#[test]
fn f39_f40_f41_f42_frames_that_lie_end_the_session_and_take_no_memory() {
    let fields = |value: Vec<u8>| Map(vec![("total", Number(1)), ("entries", Raw(value))]);
    let lies: Vec<(&str, Vec<u8>)> = vec![
        ("a frame of 4 GiB", [&u32::MAX.to_be_bytes()[..], &[0x93; 100]].concat()),
        ("a frame of 1 MiB and a byte", [&(1_048_577_u32).to_be_bytes()[..], &[0x93; 100]].concat()),
        ("an empty frame", framed(&[])),
        ("a frame that is no message", framed(&[0xc1; 40])),
        ("a frame with something left over", {
            let mut content = vec![0x93, 0xcc, 131, 0x01, 0x80];
            content.extend([0x80; 9]);
            framed(&content)
        }),
    ];
    for (what, lie) in lies {
        for verb in [LS, GET] {
            let lie = lie.clone();
            refused(what, verb, "broke the protocol", instead(is_stat, move |_| lie.clone()));
        }
    }
    // In these only the answer is broken, and whoever waits for it is told.
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("a list of four thousand million entries", vec![0xdd, 0xff, 0xff, 0xff, 0xff, 0x90]),
        ("an entry of 4 GiB", vec![0x91, 0x92, 0xc6, 0xff, 0xff, 0xff, 0xff, 0x61]),
        ("a million empty lists", [&[0xdd, 0x00, 0x0f, 0xff, 0x00][..], &vec![0x90; 0xf_ff00]].concat()),
        ("a million levels", vec![0x91; 0xf_ff00]),
        ("a text instead of a list", vec![0xa3, b'a', b'b', b'c']),
    ];
    for (what, body) in bodies {
        refused(
            what,
            LS,
            "",
            instead(is_list, move |id| [frame(LIST_PAGE, id, &fields(body.clone())), done(id)].concat()),
        );
    }
}

/// Data frames of sevens: offsets and lengths.
fn sevens(id: u32, parts: &[(u64, usize)]) -> Vec<u8> {
    parts.iter().flat_map(|(offset, len)| data(id, *offset, &vec![7; *len])).collect()
}

/// Head, data, and an end that says that all of it came, with the hash of what should have come.
fn read_of(id: u32, data: &[u8]) -> Vec<u8> {
    let hash = Hash::of(&vec![7; LARGE_BYTES]).0;
    [&read_head(id)[..], data, &read_done(id, LARGE_BYTES as u64, Some(&hash))].concat()
}

fn all_of(id: u32, content: &[u8]) -> Vec<u8> {
    let parts = content.chunks(DATA_BYTES).enumerate();
    parts.flat_map(|(index, part)| data(id, (index * DATA_BYTES) as u64, part)).collect()
}

const DATA_BYTES: usize = 65_536;
const LAST: (u64, usize) = (196_608, LARGE_BYTES - 196_608);

const FALSE_READS: &[Lie] = &[
    ("nothing", |id| read_of(id, &[])),
    ("less than it says", |id| read_of(id, &sevens(id, &[(0, DATA_BYTES)]))),
    ("a gap", |id| read_of(id, &sevens(id, &[(0, DATA_BYTES), (131_072, DATA_BYTES), LAST]))),
    ("an overlap", |id| {
        read_of(id, &sevens(id, &[(0, DATA_BYTES), (65_536, DATA_BYTES), (65_536, DATA_BYTES), LAST]))
    }),
    ("another order", |id| {
        read_of(id, &sevens(id, &[(131_072, DATA_BYTES), (65_536, DATA_BYTES), (0, DATA_BYTES), LAST]))
    }),
    ("an offset at the end of all numbers", |id| read_of(id, &sevens(id, &[(u64::MAX - 5, DATA_BYTES)]))),
    ("data before its head", |id| [data(id, 0, &[7; DATA_BYTES]), read_head(id)].concat()),
    ("more than was asked for", |id| {
        let parts: Vec<_> = (0..400).map(|part: u64| (part * 65_536, DATA_BYTES)).collect();
        read_of(id, &sevens(id, &parts))
    }),
    ("another byte in the middle", |id| {
        let mut content = vec![7; LARGE_BYTES];
        content[100_000] = 8;
        read_of(id, &all_of(id, &content))
    }),
    ("a hole that nobody asked for", |id| read_of(id, &hole(id, 0, LARGE_BYTES as u64, 0))),
    ("no hash", |id| {
        let data = all_of(id, &[8; LARGE_BYTES]);
        [read_head(id), data, read_done(id, LARGE_BYTES as u64, None)].concat()
    }),
    ("the end in the middle", |id| [&read_head(id)[..], &sevens(id, &[(0, DATA_BYTES)]), HANG_UP].concat()),
];

#[test]
fn f29_f38_bytes_that_are_not_those_of_the_file_never_get_its_name() {
    for (what, lie) in FALSE_READS {
        let home = Home::new();
        let ended = told(&home, what, GET, instead(is_read_of_large, lie));
        assert_ne!(ended.status.code(), Some(0), "{what}: {}", ended.said());
        assert!(ended.said().contains("tow: "), "{what}: {}", ended.said());
        assert!(!home.path("here/copy/large").exists(), "{what}: it was put in place");
    }
    // The small one, whole in its answer.
    let home = Home::new();
    let script = instead(is_read, |id| whole(id, b"HELLO", &Hash::of(SMALL).0));
    let ended = told(&home, "a small file with another's hash", GET, script);
    assert_ne!(ended.status.code(), Some(0), "{}", ended.said());
    assert!(!home.path("here/copy/small").exists());
}

#[test]
fn f32_holes_that_are_none_never_become_a_file_and_take_no_memory() {
    let lies = [
        ("longer than all files", 0, u64::MAX, 0),
        ("at the end of all numbers", u64::MAX, 1, 0),
        ("of nothing", 0, 0, 0),
        ("somewhere else", 65_536, 65_536, 0),
        ("where there are bytes, and far beyond", 0, LARGE_BYTES as u64, u64::MAX),
    ];
    for (what, offset, len, beyond) in lies {
        let home = Home::new();
        let script: Script = Arc::new(move |id, message| match message {
            message if is_hello(message) => Some(welcome_with(id, &["holes"])),
            message if is_read_of_large(message) => Some(read_of(id, &hole(id, offset, len, beyond))),
            _ => None,
        });
        let ended = told(&home, what, GET, script);
        assert_ne!(ended.status.code(), Some(0), "{what}: {}", ended.said());
        assert!(!home.path("here/copy/large").exists(), "{what}: it was put in place");
    }
}

/// Of a file that is compared with what is there.
const HUGE_BYTES: u64 = 64 << 20;

#[test]
fn f38_blocks_that_are_not_those_of_the_file_replace_nothing() {
    let zeros_at = |offset: u64| {
        let mut hasher = RangeHasher::new(offset);
        hasher.update_zeros(16_384);
        hasher.finish_part().0
    };
    // Every block is what is there already, says the server, or there are other numbers of them.
    let range: Vec<u8> = (0..256).flat_map(|block| zeros_at(block * 16_384)).collect();
    let lies: [(&str, Vec<u8>); 5] = [
        ("the same hashes for every range", range.clone()),
        ("no hashes", Vec::new()),
        ("one hash too few", range[32..].to_vec()),
        ("half a hash more", [&range[..], &[1; 16]].concat()),
        ("far too many", range.repeat(5)),
    ];
    for (what, hashes) in lies {
        let home = Home::new();
        fs::create_dir_all(home.path("here/copy/docs")).unwrap();
        let there = fs::File::create(home.path("here/copy/docs/large")).unwrap();
        there.set_len(HUGE_BYTES).unwrap();
        let script: Script = Arc::new(move |id, message| match message {
            message if is_hello(message) => Some(welcome_with(id, &["blocks"])),
            message if is_walk(message) => {
                let large = item(1, b"large", attributes(FILE, HUGE_BYTES as usize, None));
                let items = vec![item(0, b"docs", attributes(FOLDER, 0, None)), large];
                Some([walk_page(id, items), done(id)].concat())
            }
            ToServer::Request(Request::Blocks(_)) => {
                Some(frame(BLOCK_HASHES, id, &Map(vec![("hashes", bytes(&hashes)), ("grown", No)])))
            }
            _ => None,
        });
        let words = [GET, &["--overwrite", "always"]].concat();
        let ended = told(&home, what, &words, script);
        assert_ne!(ended.status.code(), Some(0), "{what}: {}", ended.said());
        let kept = fs::File::open(home.path("here/copy/docs/large")).unwrap().metadata().unwrap();
        assert_eq!(
            kept.modified().unwrap(),
            there.metadata().unwrap().modified().unwrap(),
            "{what}: replaced"
        );
    }
}

#[test]
fn f44_f46_numbers_at_their_ends_overflow_nothing() {
    let big = Number(u64::MAX);
    let extreme = move |kind: u64| {
        let numbers = vec![Number(kind), big.clone(), Negative(i64::MIN), Negative(i64::MIN), Number(0o777)];
        List([numbers, vec![big.clone(), Nil, Nil]].concat())
    };
    let listed = extreme.clone();
    let script = instead(is_list, move |id| {
        let entries = (0..100).map(|n: u64| entry(format!("{n}").as_bytes(), listed(FILE))).collect();
        [list_page(id, entries), done(id)].concat()
    });
    let ended = told(&Home::new(), "sizes and times", &["ls", "-l", "{S}"], script);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said());
    let script = instead(is_walk, move |id| {
        let folder = item(0, b"docs", attributes(FOLDER, 0, None));
        let items = (0..3).map(|n: u64| item(1, format!("large{n}").as_bytes(), extreme(FILE)));
        [walk_page(id, [vec![folder], items.collect()].concat()), done(id)].concat()
    });
    refused("files of all the bytes there can be", GET, "", script);

    let totals = |id| {
        let counts = || ["files", "folders", "bytes", "failed"].map(|field| (field, Number(u64::MAX)));
        let unset = ("unset", Map(vec![("things", Number(u64::MAX)), ("parts", Number(15))]));
        let progress = frame(PROGRESS, id, &Map(counts().into()));
        let totals = frame(TOTALS, id, &Map(counts().into_iter().chain([unset]).collect()));
        [progress.clone(), progress, totals].concat()
    };
    for words in [
        &["size", "{S}", "{S}"][..],
        &["rm", "-r", "-y", "{S}", "{S}"],
        &["rm", "-r", "-y", "--json", "{S}", "{S}"],
        &["cp", "-p", "{S}", "{S}/copy"],
        &["mv", "{S}", "{S}/copy"],
    ] {
        let script = instead(is_long_work, totals);
        let ended = told(&Home::new(), "counts of everything", words, script);
        assert!(ended.status.code() != Some(101), "{words:?}: {}", ended.said());
    }

    for credit in [0, 1, u64::MAX] {
        let script = instead(is_upload, move |id| {
            let fields =
                vec![("token", bytes(&[1; 16])), ("offset", Number(0)), ("credit_bytes", Number(credit))];
            let ready = frame(UPLOAD_READY, id, &Map(fields));
            let ack = Map(vec![("received", Number(u64::MAX)), ("credit_bytes", Number(u64::MAX))]);
            [ready, frame(UPLOAD_ACK, id, &ack)].concat()
        });
        refused("credit for everything", PUT, "", script);
    }
    let script = instead(is_upload, |id| {
        let fields =
            vec![("token", bytes(&[1; 16])), ("offset", Number(u64::MAX)), ("credit_bytes", Number(1))];
        frame(UPLOAD_READY, id, &Map(fields))
    });
    refused("an upload that goes on behind its end", PUT, "", script);

    // Limits are lowered and never raised, and none of them is nothing.
    for limit in [0, 1, u64::from(u32::MAX)] {
        let script = instead(is_hello, move |id| {
            let limits = vec![
                ("frame_bytes", Number(limit)),
                ("requests_in_flight", Number(limit)),
                ("upload_credit_bytes", Number(limit)),
            ];
            let mut fields = welcome();
            fields.retain(|(name, _)| *name != "limits");
            fields.push(("limits", Map(limits)));
            frame(WELCOME, id, &Map(fields))
        });
        let home = Home::new();
        let ended = told(&home, "limits", GET, script);
        assert_eq!(ended.status.code(), Some(0), "{limit}: {}", ended.said());
        assert_eq!(fs::read(home.path("here/copy/large")).unwrap().len(), LARGE_BYTES);
    }
}

#[test]
fn f33_a_mode_from_a_server_gives_nobody_more_than_permissions() {
    for mode in [0o4755_u64, 0o2777, 0o1777, 0o17777, 0xffff] {
        let home = Home::new();
        let script = instead(is_walk, move |id| {
            let time = Number(0);
            let with_mode = |kind: u64, size: usize| {
                let numbers = vec![Number(kind), Number(size as u64), time.clone(), time.clone()];
                List([numbers, vec![Number(mode), Number(kind + 1), Nil, Nil]].concat())
            };
            let items = vec![item(0, b"docs", with_mode(FOLDER, 0)), item(1, b"small", with_mode(FILE, 5))];
            [walk_page(id, items), done(id)].concat()
        });
        // What has no special bits is looked at in `check`.
        told(&home, "a mode", GET, script);
    }
}

#[test]
fn answers_of_another_kind_or_to_other_questions_are_refused() {
    let scripts: Vec<(&str, &[&str], Script)> = vec![
        ("a walk instead of a listing", LS, instead(is_list, |id| walk_page(id, Vec::new()))),
        ("the end of a read instead of a listing", LS, instead(is_list, |id| read_done(id, 5, None))),
        (
            "a stat of other paths",
            LS,
            instead(is_stat, |id| frame(STATS, id, &Map(vec![("items", List(Vec::new()))]))),
        ),
        (
            "a walk that skips a level",
            GET,
            instead(is_walk, |id| {
                let items = vec![
                    item(0, b"docs", attributes(FOLDER, 0, None)),
                    item(9, b"deep", attributes(FILE, 5, None)),
                ];
                [walk_page(id, items), done(id)].concat()
            }),
        ),
        ("a listing instead of Welcome", LS, instead(is_hello, |id| list_page(id, Vec::new()))),
        ("Welcome twice", LS, instead(is_list, |id| frame(WELCOME, id, &Map(welcome())))),
        ("a walk into the file", GET, instead(is_read, |id| walk_page(id, Vec::new()))),
    ];
    for (what, words, script) in scripts {
        refused(what, words, "", script);
    }
}

/// Attributes of a copy that is not what was sent.
#[test]
fn f80_a_source_stays_whose_copy_is_said_to_be_another() {
    let not_there = |id, message: &ToServer| {
        let ToServer::Request(Request::Stat(stat)) = message else { return None };
        let of = |path: &WirePath| {
            // The new thing does not exist yet.
            let is_new = path.name().is_some_and(|name| name.as_bytes() == b"upload");
            List(if is_new { vec![Nil, Number(1)] } else { vec![attributes(FOLDER, 0, None), Nil] })
        };
        Some(frame(STATS, id, &Map(vec![("items", List(stat.paths.iter().map(of).collect()))])))
    };
    let lies = [(FILE, 299_999), (FILE, 0), (FOLDER, 300_000), (LINK, 300_000)];
    for (kind, size) in lies {
        for is_small in [false, true] {
            let home = Home::new();
            let size = if is_small { size / 300 } else { size };
            fs::write(home.path("here/upload"), vec![7; if is_small { 1000 } else { 300_000 }]).unwrap();
            let stored = move |id| {
                let target: Option<&[u8]> = (kind == LINK).then_some(b"elsewhere");
                frame(STORED, id, &Map(vec![("attributes", attributes(kind, size, target))]))
            };
            let script: Script = Arc::new(move |id, message| match message {
                ToServer::Input(Input::CommitUpload(_)) | ToServer::Request(Request::Put(_)) => {
                    Some(stored(id))
                }
                message => not_there(id, message),
            });
            let what = format!("stored as kind {kind}, {size} bytes, small {is_small}");
            let ended = told(&home, &what, &["mv", "upload", "{S}/"], script);
            assert_ne!(ended.status.code(), Some(0), "{what}: {}", ended.said());
            assert!(home.path("here/upload").exists(), "{what}: {}", ended.said());
        }
    }
}

#[test]
fn f21_what_a_server_says_of_itself_is_shown_escaped_and_cut() {
    let long = format!("\u{1b}]52;c;b3Nj\u{7}\u{9b}31m{}", "x".repeat(400));
    let detail = long.clone();
    refused(
        "words in a fault",
        LS,
        r"\x1b]52;c;b3Nj\x07\x9b31m",
        instead(is_list, move |id| fault(id, 200, &detail)),
    );
    let detail = long.clone();
    refused("words at the end of all", LS, r"\x1b]52", instead(is_list, move |_| fault(0, 200, &detail)));
    let detail = long.clone();
    refused("words instead of Welcome", LS, r"\x1b]52", instead(is_hello, move |id| fault(id, 200, &detail)));
    // Longer than any such text may be.
    let detail = long.repeat(40);
    refused("many words", LS, "", instead(is_list, move |id| fault(id, 200, &detail)));
    refused(
        "a name of a root that is none",
        LS,
        "",
        instead(is_hello, move |id| {
            let mut fields = welcome();
            fields.retain(|(name, _)| *name != "root_name");
            fields.push(("root_name", text(&"\u{1b}[2J".repeat(500))));
            frame(WELCOME, id, &Map(fields))
        }),
    );
}
