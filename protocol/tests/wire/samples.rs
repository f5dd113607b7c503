//! One message of each kind, as in a short session: the golden bytes and the examples of PROTOCOL.md.

use bytes::Bytes;
use towpath_protocol::answer::{
    BlockHashes, Data, Done, FileWhole, Hole, ListPage, MetadataSet, Progress, ReadDone, ReadHead, SpaceInfo,
    StatItem, Stats, Stored, Totals, Unset, UploadAck, UploadReady, WalkItem, WalkPage,
};
use towpath_protocol::entry::{Attributes, Entry, Kind, LinkTarget, Version};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::hello::{
    Access, Capability, Hello, Limits, Machine, MachineId, NameCase, RootKind, Welcome,
};
use towpath_protocol::input::{AbortUpload, Cancel, CommitUpload, More, SpanOf, UploadData, UploadSpan};
use towpath_protocol::message::{
    Answer, Bye, Input, Numbered, Packed, Ping, Pong, Request, Session, ToServer,
};
use towpath_protocol::metadata::{Extended, Metadata, Owner, Part, Parts};
use towpath_protocol::path::{Location, Name, WirePath};
use towpath_protocol::permissions::{Permission, Permissions};
use towpath_protocol::request::{
    BeginUpload, Blocks, Copy, Depth, Direction, Durability, Existing, Flush, Follow, Hidden, List,
    MakeFolder, MakeLink, Measure, OperationId, Put, Read, ReadMetadata, Remove, Rename, SetMetadata,
    SetMode, SetTimes, SortKey, Space, Stat, StoreAs, UploadToken, Walk, Wants,
};
use towpath_protocol::time::Time;

use super::Message;

const MODIFIED: Time = Time::from_ns(1_700_000_000_123_456_789);
const CHANGED: Time = Time::from_ns(1_700_000_001_000_000_000);

fn name(name: &str) -> Name {
    Name::try_from(name).unwrap()
}

fn path(path: &str) -> WirePath {
    WirePath::parse(path.as_bytes()).unwrap()
}

fn location(base: &str, below: &str) -> Location {
    Location { base: path(base), path: path(below) }
}

fn operation(number: u8) -> OperationId {
    OperationId([number; 16])
}

fn file_attributes(size: u64) -> Attributes {
    Attributes {
        kind: Kind::File,
        size,
        modified: MODIFIED,
        changed: CHANGED,
        mode: 0o644,
        identity: 0x0123_4567_89ab_cdef,
        is_unknown: false,
        link: None,
    }
}

fn folder_attributes() -> Attributes {
    Attributes { kind: Kind::Folder, mode: 0o755, identity: 77, ..file_attributes(0) }
}

fn link_attributes() -> Attributes {
    let link = Some(LinkTarget { bytes: b"../bin".as_slice().into(), kind: Some(Kind::Folder) });
    Attributes { kind: Kind::Link, mode: 0o777, identity: 78, link, ..file_attributes(0) }
}

fn version() -> Version {
    file_attributes(5).version()
}

fn store() -> StoreAs {
    StoreAs {
        mode: 0o644,
        modified: MODIFIED,
        existing: Existing::Keep,
        expected: None,
        durability: Durability::Relaxed,
        metadata: None,
    }
}

fn metadata() -> Metadata {
    let owner = |number, name: Option<&str>| Some(Owner { number, name: name.map(Into::into) });
    let extended = vec![Extended { name: b"user.comment".to_vec(), value: b"hello".to_vec() }];
    Metadata { owner: owner(1000, Some("ann")), group: owner(2000, None), extended, unread: Parts::NONE }
}

/// What a client says: the id and the message, in the order of the kinds' numbers.
fn from_a_client() -> Vec<(u32, ToServer)> {
    let session = |message| (1, ToServer::Session(message));
    let within = |id, message| (id, ToServer::Input(message));
    let mut all = vec![
        session(Session::Hello(Hello {
            protocol: 1,
            agent: "speaker/1".into(),
            capabilities: vec![Capability::new("example")],
            limits: Limits::OURS,
            pairing: None,
            join: None,
        })),
        (0, ToServer::Session(Session::Bye(Bye {}))),
        (9, ToServer::Session(Session::Ping(Ping {}))),
        within(2, Input::Cancel(Cancel {})),
        within(2, Input::More(More { pages: 4 })),
        (0, ToServer::Session(Session::Numbered(Numbered { number: 7 }))),
        (0, ToServer::Session(Session::Packed(packed(&[0x93, 3, 9, 0x80])))),
        within(10, Input::UploadData(UploadData { offset: 0, data: Bytes::from_static(b"hello") })),
        within(10, Input::CommitUpload(CommitUpload { len: 5, hash: Hash::of(b"hello") })),
        within(10, Input::AbortUpload(AbortUpload { keep: false })),
        within(10, Input::UploadSpan(UploadSpan { offset: 5, len: 16_384, of: SpanOf::Basis })),
    ];
    let requests = reading_requests()
        .into_iter()
        .chain(changing_requests())
        .chain(last_requests())
        .chain(metadata_requests());
    all.extend(requests.map(|(id, request)| (id, ToServer::Request(request))));
    all
}

fn reading_requests() -> Vec<(u32, Request)> {
    vec![
        (
            2,
            Request::List(List {
                folder: Location::through(&path("docs")),
                sort: SortKey::Name,
                direction: Direction::Ascending,
                hidden: Hidden::Shown,
                pages: 4,
            }),
        ),
        (3, Request::Walk(Walk { start: location("docs", "old"), pages: 16 })),
        (
            4,
            Request::Stat(Stat {
                base: path("docs"),
                paths: vec![path("a.txt"), path("old/missing")],
                follow: Follow::No,
            }),
        ),
        (
            5,
            Request::Read(Read {
                file: location("docs", "a.txt"),
                version: Some(version()),
                offset: 0,
                len: 65_536,
                wants: Wants::Data,
                holes: false,
            }),
        ),
        (
            19,
            Request::Blocks(Blocks {
                file: location("docs", "a.txt"),
                version: Some(version()),
                offset: 0,
                len: 4 << 20,
                block_bytes: 16 << 10,
            }),
        ),
        (7, Request::Space(Space { path: WirePath::root() })),
        (8, Request::Measure(Measure { things: vec![location("docs", "old")] })),
    ]
}

fn changing_requests() -> Vec<(u32, Request)> {
    let existing = Existing::Keep;
    vec![
        (
            9,
            Request::Put(Put {
                operation: operation(1),
                file: location("docs", "a.txt"),
                store: StoreAs { existing: Existing::Replace, expected: Some(version()), ..store() },
                hash: Hash::of(b"hello"),
                data: b"hello".to_vec(),
            }),
        ),
        (
            10,
            Request::BeginUpload(BeginUpload {
                operation: operation(2),
                file: location("docs", "b.bin"),
                store: StoreAs { durability: Durability::Synced, ..store() },
                size: 5,
                resume: Some(4 << 20),
                basis: None,
                window_bytes: Some(20 << 20),
                stored_bytes: Some(4),
            }),
        ),
        (
            11,
            Request::MakeFolder(MakeFolder {
                operation: operation(3),
                folder: location("docs", "new"),
                mode: 0o755,
                existing,
            }),
        ),
        (
            12,
            Request::MakeLink(MakeLink {
                operation: operation(4),
                link: location("docs", "bin"),
                target: b"../bin".to_vec(),
                modified: MODIFIED,
                existing,
                expected: None,
                metadata: None,
            }),
        ),
        (13, Request::SetMode(SetMode { thing: location("docs", "new"), mode: 0o750 })),
        (14, Request::SetTimes(SetTimes { thing: location("docs", "new"), modified: MODIFIED })),
        (
            15,
            Request::Rename(Rename {
                operation: operation(5),
                from: location("docs", "a.txt"),
                to: location("docs", "c.txt"),
                existing: Existing::Replace,
                expected: Some(file_attributes(5).version()),
            }),
        ),
        (
            16,
            Request::Copy(Copy {
                operation: operation(6),
                from: location("docs", "old"),
                to: location("", "copy"),
                existing,
                durability: Durability::Relaxed,
                expected: None,
                preserve: false,
            }),
        ),
    ]
}

fn last_requests() -> Vec<(u32, Request)> {
    vec![
        (
            17,
            Request::Remove(Remove {
                operation: operation(7),
                thing: location("docs", "old"),
                depth: Depth::Tree,
                expected: None,
                aside: false,
            }),
        ),
        (18, Request::Flush(Flush { folder: Location { base: path("docs"), path: WirePath::root() } })),
    ]
}

fn metadata_requests() -> Vec<(u32, Request)> {
    vec![
        (
            20,
            Request::ReadMetadata(ReadMetadata {
                thing: location("docs", "a.txt"),
                version: Some(version()),
            }),
        ),
        (
            21,
            Request::SetMetadata(SetMetadata {
                thing: location("docs", "new"),
                identity: 77,
                mode: 0o2755,
                metadata: metadata(),
            }),
        ),
    ]
}

/// What a server says.
fn upload_ready() -> UploadReady {
    UploadReady { token: UploadToken([0x5a; 16]), offset: 0, kept: None, credit_bytes: 8 << 20, basis: false }
}

/// A zstd frame that says how long it is and holds these bytes as they are.
fn packed(content: &[u8]) -> Packed {
    let len = content.len() as u8;
    let head = [0x28, 0xb5, 0x2f, 0xfd, 0x20, len, len << 3 | 1, 0, 0];
    Packed { frame: [&head[..], content].concat() }
}

fn missing() -> Fault {
    Fault::new(FaultCode::NotFound).at(path("docs/old/missing"))
}

/// What the session itself says.
fn from_a_session() -> Vec<(u32, Answer)> {
    vec![
        (2, Done {}.into()),
        (15, missing().because("it was removed a moment ago").into()),
        (
            1,
            Welcome {
                protocol: 1,
                agent: "towpath/0.1.0".into(),
                capabilities: Vec::new(),
                limits: Limits::OURS,
                root_name: "/srv/files".into(),
                root_kind: RootKind::Jailed,
                access: Access::ReadWrite,
                may: Permissions::READ_ONLY.with(Permission::Write),
                name_case: NameCase::Sensitive,
                home: WirePath::root(),
                machine: Some(Machine { id: MachineId([9; 16]), above: vec![0x0123_4567_89ab_cdef, 2] }),
                ticket: None,
            }
            .into(),
        ),
        (9, Pong {}.into()),
        (0, Bye {}.into()),
        (0, Answer::Numbered(Numbered { number: 7 })),
        (0, Answer::Packed(packed(&[0x93, 0xcc, 131, 9, 0x80]))),
    ]
}

fn from_a_server() -> Vec<(u32, Answer)> {
    let mut all = from_a_session();
    all.extend([
        (
            2,
            ListPage {
                total: 3,
                entries: vec![
                    Entry { name: name("old"), attributes: folder_attributes() },
                    Entry { name: name("a.txt"), attributes: file_attributes(5) },
                    Entry { name: name("bin"), attributes: link_attributes() },
                ],
            }
            .into(),
        ),
        (
            3,
            WalkPage {
                items: vec![
                    WalkItem {
                        depth: 0,
                        entry: Entry { name: name("old"), attributes: folder_attributes() },
                        fault: None,
                    },
                    WalkItem {
                        depth: 1,
                        entry: Entry { name: name("shut"), attributes: folder_attributes() },
                        fault: Some(FaultCode::PermissionDenied),
                    },
                ],
            }
            .into(),
        ),
        (
            4,
            Stats { items: vec![StatItem(Ok(file_attributes(5))), StatItem(Err(FaultCode::NotFound))] }
                .into(),
        ),
        (
            5,
            FileWhole {
                attributes: file_attributes(5),
                hash: Hash::of(b"hello"),
                grown: false,
                data: b"hello".to_vec(),
            }
            .into(),
        ),
        (6, ReadHead { attributes: file_attributes(5 << 20), stored_bytes: Some(4096) }.into()),
        (6, Data { offset: 4 << 20, data: Bytes::from_static(b"hello") }.into()),
        (6, ReadDone { len: 1 << 20, hash: Some(Hash([0xab; 32])), grown: false }.into()),
        (6, Hole { offset: (4 << 20) + 5, len: 1 << 16, beyond: 1 << 20 }.into()),
        (19, BlockHashes { hashes: vec![Hash([0xcd; 32])], grown: false }.into()),
        (7, SpaceInfo { free: 1 << 30, total: 1 << 40 }.into()),
        (10, upload_ready().into()),
        (10, UploadAck { received: 5, credit_bytes: 8 << 20 }.into()),
    ]);
    all
}

/// What it says of changes.
fn of_changes() -> Vec<(u32, Answer)> {
    vec![
        (10, Stored { attributes: file_attributes(5), unset: Parts::NONE }.into()),
        (16, Progress { files: 12, folders: 3, bytes: 456_789, failed: 1 }.into()),
        (
            17,
            Totals {
                files: 40,
                folders: 9,
                bytes: 1_234_567,
                failed: 1,
                faults: vec![missing()],
                unset: Unset::default(),
            }
            .into(),
        ),
        (20, metadata().into()),
        (21, MetadataSet { unset: Parts::NONE.with(Part::Owner).with(Part::Special) }.into()),
    ]
}

/// All samples in the order of the kinds' numbers, each with its id.
pub(super) fn all() -> Vec<(u32, Message)> {
    let client = from_a_client().into_iter().map(|(id, message)| (id, Message::ToServer(message)));
    let server =
        from_a_server().into_iter().chain(of_changes()).map(|(id, message)| (id, Message::Answer(message)));
    let mut all: Vec<_> = client.chain(server).collect();
    all.sort_by_key(|(_, message)| message.kind().0);
    all
}
