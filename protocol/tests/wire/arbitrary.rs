//! Any message that the types can hold and the wire allows, each kind by a strategy of its own.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use towpath_protocol::answer::{
    BlockHashes, Data, Done, FileWhole, Hole, ListPage, MetadataSet, Progress, ReadDone, ReadHead, SpaceInfo,
    StatItem, Stats, Stored, Totals, Unset, UploadAck, UploadReady, WalkItem, WalkPage,
};
use towpath_protocol::entry::{Attributes, Entry, Kind, LinkTarget, Version};
use towpath_protocol::fault::{Fault, FaultCode};
use towpath_protocol::hash::Hash;
use towpath_protocol::hello::{
    Access, Capability, Hello, Limits, Machine, MachineId, NameCase, RootKind, Ticket, Welcome,
};
use towpath_protocol::input::{AbortUpload, Cancel, CommitUpload, More, SpanOf, UploadData, UploadSpan};
use towpath_protocol::message::{
    Answer, Bye, Input, Numbered, Packed, Ping, Pong, Request, Session, ToServer,
};
use towpath_protocol::metadata::{Extended, Metadata, Owner, Parts};
use towpath_protocol::pairing::{Pairing, Proof};
use towpath_protocol::path::{Location, Name, WirePath};
use towpath_protocol::permissions::Permissions;
use towpath_protocol::request::{
    BeginUpload, Blocks, Copy, Depth, Direction, Durability, Existing, Flush, Follow, Hidden, List,
    MakeFolder, MakeLink, Measure, OperationId, Put, Read, ReadMetadata, Remove, Rename, SetMetadata,
    SetMode, SetTimes, SortKey, Space, Stat, StoreAs, UploadToken, Walk, Wants,
};
use towpath_protocol::time::Time;

use super::Message;

fn name() -> impl Strategy<Value = Name> {
    let byte = prop_oneof![3 => select(&b"ab.- \n\x1b\xc3\xa9\xff"[..]), 1 => any::<u8>()];
    prop_oneof![8 => vec(byte.clone(), 1..12), 1 => vec(byte, 200..=255)]
        .prop_filter_map("not a name", |bytes| Name::new(bytes).ok())
}

fn path() -> impl Strategy<Value = WirePath> {
    vec(name(), 0..6).prop_filter_map("not a path", |names| WirePath::new(names).ok())
}

fn location() -> impl Strategy<Value = Location> {
    (path(), path()).prop_map(|(base, path)| Location { base, path })
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,40}"
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn operation() -> impl Strategy<Value = OperationId> {
    any::<[u8; 16]>().prop_map(OperationId)
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => vec(any::<u8>(), 1..300), 1 => Just(vec![0x90; 64 * 1024])]
}

fn version() -> impl Strategy<Value = Version> {
    (any::<u64>(), any::<u64>(), time(), time()).prop_map(|(identity, size, modified, changed)| Version {
        identity,
        size,
        modified,
        changed,
    })
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![
        8 => any::<i64>().prop_map(Time::from_ns),
        1 => (any::<i64>(), any::<u32>()).prop_map(|(seconds, nanoseconds)| Time::new(seconds, nanoseconds)),
        1 => select(&[Time::FIRST_NS, Time::LAST_NS][..]),
    ]
}

fn link_target() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => vec(1..=255_u8, 1..40), 1 => vec(1..=255_u8, 4095)]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    prop_oneof![8 => known_attributes(), 1 => select(Kind::ALL).prop_map(Attributes::unknown)]
}

fn known_attributes() -> impl Strategy<Value = Attributes> {
    let link = (link_target(), option::of(select(Kind::ALL)));
    (select(Kind::ALL), version(), 0..=0o7777_u16, option::of(link)).prop_map(
        |(kind, version, mode, link)| {
            let link = link.filter(|_| kind == Kind::Link);
            let link = link.map(|(bytes, kind)| LinkTarget { bytes: bytes.into(), kind });
            let Version { identity, size, modified, changed } = version;
            Attributes { kind, size, modified, changed, mode, identity, is_unknown: false, link }
        },
    )
}

fn entry() -> impl Strategy<Value = Entry> {
    (name(), attributes()).prop_map(|(name, attributes)| Entry { name, attributes })
}

fn fault() -> impl Strategy<Value = Fault> {
    (select(FaultCode::ALL), option::of(path()), text()).prop_map(|(code, path, detail)| Fault {
        code,
        path,
        detail: detail.into(),
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    (any::<u32>(), any::<u32>(), any::<u64>()).prop_map(
        |(frame_bytes, requests_in_flight, upload_credit_bytes)| Limits {
            frame_bytes,
            requests_in_flight,
            upload_credit_bytes,
        },
    )
}

fn capabilities() -> impl Strategy<Value = Vec<Capability>> {
    vec(text().prop_map(|name| Capability::new(&name)), 0..64)
}

fn parts() -> impl Strategy<Value = Parts> {
    (0..16_u8).prop_map(Parts::from_bits)
}

fn owner() -> impl Strategy<Value = Option<Owner>> {
    option::of(
        (any::<u32>(), option::of(text()))
            .prop_map(|(number, name)| Owner { number, name: name.map(Into::into) }),
    )
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let value = prop_oneof![8 => vec(any::<u8>(), 0..40), 1 => Just(vec![0x90; 64 * 1024])];
    let extended = (vec(1..=255_u8, 1..=255), value).prop_map(|(name, value)| Extended { name, value });
    let few =
        prop_oneof![4 => vec(extended, 0..2), 1 => vec(Just(Extended { name: vec![1], value: vec![] }), 256)];
    (owner(), owner(), few, parts()).prop_map(|(owner, group, extended, unread)| Metadata {
        owner,
        group,
        extended,
        unread,
    })
}

fn wished() -> impl Strategy<Value = Option<Box<Metadata>>> {
    option::of(metadata().prop_map(Box::new))
}

fn store() -> impl Strategy<Value = StoreAs> {
    let choices = (select(Existing::ALL), select(Durability::ALL));
    (any::<u16>(), time(), option::of(version()), choices, wished()).prop_map(
        |(mode, modified, expected, (existing, durability), metadata)| StoreAs {
            mode,
            modified,
            existing,
            expected,
            durability,
            metadata,
        },
    )
}

fn boxed<S: Strategy + 'static>(strategy: S) -> BoxedStrategy<Message>
where
    S::Value: IntoMessage,
{
    strategy.prop_map(IntoMessage::into_message).boxed()
}

/// A body, as the message that holds it.
trait IntoMessage: std::fmt::Debug {
    fn into_message(self) -> Message;
}

impl IntoMessage for Session {
    fn into_message(self) -> Message {
        Message::ToServer(ToServer::Session(self))
    }
}

impl IntoMessage for Request {
    fn into_message(self) -> Message {
        Message::ToServer(ToServer::Request(self))
    }
}

impl IntoMessage for Input {
    fn into_message(self) -> Message {
        Message::ToServer(ToServer::Input(self))
    }
}

impl IntoMessage for Answer {
    fn into_message(self) -> Message {
        Message::Answer(self)
    }
}

/// A strategy for each kind that a client sends.
pub(super) fn to_server() -> Vec<BoxedStrategy<Message>> {
    let pairing = option::of(("[a-zé@]{0,40}", any::<[u8; 32]>()))
        .prop_map(|pairing| pairing.map(|(name, proof)| Pairing { name: name.into(), proof: Proof(proof) }));
    let join = option::of(any::<[u8; 16]>().prop_map(Ticket));
    let hello = (any::<u16>(), text(), capabilities(), limits(), pairing, join).prop_map(
        |(protocol, agent, capabilities, limits, pairing, join)| {
            let agent = agent.into();
            Session::Hello(Hello { protocol, agent, capabilities, limits, pairing, join })
        },
    );
    let mut all = vec![
        boxed(hello),
        boxed(Just(Session::Bye(Bye {}))),
        boxed(Just(Session::Ping(Ping {}))),
        boxed(any::<u64>().prop_map(|number| Session::Numbered(Numbered { number }))),
        boxed(data().prop_map(|frame| Session::Packed(Packed { frame }))),
        boxed(Just(Input::Cancel(Cancel {}))),
        boxed(any::<u32>().prop_map(|pages| Input::More(More { pages }))),
        boxed(
            (any::<u64>(), data())
                .prop_map(|(offset, data)| Input::UploadData(UploadData { offset, data: Bytes::from(data) })),
        ),
        boxed((any::<u64>(), hash()).prop_map(|(len, hash)| Input::CommitUpload(CommitUpload { len, hash }))),
        boxed(any::<bool>().prop_map(|keep| Input::AbortUpload(AbortUpload { keep }))),
        boxed(
            (any::<u64>(), any::<u64>(), select(SpanOf::ALL))
                .prop_map(|(offset, len, of)| Input::UploadSpan(UploadSpan { offset, len, of })),
        ),
    ];
    all.extend(reading());
    all.extend(storing());
    all.extend(changing());
    all
}

fn reading() -> Vec<BoxedStrategy<Message>> {
    let order = (select(SortKey::ALL), select(Direction::ALL), select(Hidden::ALL));
    let list = (location(), order, any::<u32>()).prop_map(|(folder, (sort, direction, hidden), pages)| {
        Request::List(List { folder, sort, direction, hidden, pages })
    });
    let stat = (path(), vec(path(), 0..20), select(Follow::ALL))
        .prop_map(|(base, paths, follow)| Request::Stat(Stat { base, paths, follow }));
    let how = (select(Wants::ALL), any::<bool>());
    let read = (location(), option::of(version()), any::<u64>(), any::<u64>(), how).prop_map(
        |(file, version, offset, len, (wants, holes))| {
            Request::Read(Read { file, version, offset, len, wants, holes })
        },
    );
    let blocks = (location(), option::of(version()), any::<[u64; 3]>()).prop_map(
        |(file, version, [offset, len, block_bytes])| {
            Request::Blocks(Blocks { file, version, offset, len, block_bytes })
        },
    );
    vec![
        boxed(list),
        boxed((location(), any::<u32>()).prop_map(|(start, pages)| Request::Walk(Walk { start, pages }))),
        boxed(stat),
        boxed(read),
        boxed(blocks),
        boxed(path().prop_map(|path| Request::Space(Space { path }))),
        boxed(vec(location(), 0..20).prop_map(|things| Request::Measure(Measure { things }))),
    ]
}

fn storing() -> Vec<BoxedStrategy<Message>> {
    let put = (operation(), location(), store(), hash(), data()).prop_map(
        |(operation, file, store, hash, data)| Request::Put(Put { operation, file, store, hash, data }),
    );
    let bytes = || option::of(any::<u64>());
    let from = (bytes(), option::of(version()), bytes(), bytes());
    let begin = (operation(), location(), store(), any::<u64>(), from).prop_map(
        |(operation, file, store, size, (resume, basis, window_bytes, stored_bytes))| {
            Request::BeginUpload(BeginUpload {
                operation,
                file,
                store,
                size,
                resume,
                basis,
                window_bytes,
                stored_bytes,
            })
        },
    );
    let folder = (operation(), location(), any::<u16>(), select(Existing::ALL)).prop_map(
        |(operation, folder, mode, existing)| {
            Request::MakeFolder(MakeFolder { operation, folder, mode, existing })
        },
    );
    let over = (select(Existing::ALL), option::of(version()), wished());
    let link = (operation(), location(), link_target(), time(), over).prop_map(
        |(operation, link, target, modified, (existing, expected, metadata))| {
            Request::MakeLink(MakeLink { operation, link, target, modified, existing, expected, metadata })
        },
    );
    vec![boxed(put), boxed(begin), boxed(folder), boxed(link)]
}

fn changing() -> Vec<BoxedStrategy<Message>> {
    let mode = (location(), any::<u16>()).prop_map(|(thing, mode)| Request::SetMode(SetMode { thing, mode }));
    let times =
        (location(), time()).prop_map(|(thing, modified)| Request::SetTimes(SetTimes { thing, modified }));
    let over = (select(Existing::ALL), option::of(version()));
    let rename = (operation(), location(), location(), over).prop_map(
        |(operation, from, to, (existing, expected))| {
            Request::Rename(Rename { operation, from, to, existing, expected })
        },
    );
    let how = (select(Existing::ALL), select(Durability::ALL), option::of(version()), any::<bool>());
    let copy = (operation(), location(), location(), how).prop_map(
        |(operation, from, to, (existing, durability, expected, preserve))| {
            Request::Copy(Copy { operation, from, to, existing, durability, expected, preserve })
        },
    );
    let remove = (operation(), location(), select(Depth::ALL), option::of(version()), any::<bool>())
        .prop_map(|(operation, thing, depth, expected, aside)| {
            Request::Remove(Remove { operation, thing, depth, expected, aside })
        });
    let flush = location().prop_map(|folder| Request::Flush(Flush { folder }));
    let ask = (location(), option::of(version()))
        .prop_map(|(thing, version)| Request::ReadMetadata(ReadMetadata { thing, version }));
    let set =
        (location(), any::<u64>(), any::<u16>(), metadata()).prop_map(|(thing, identity, mode, metadata)| {
            Request::SetMetadata(SetMetadata { thing, identity, mode, metadata })
        });
    vec![
        boxed(mode),
        boxed(times),
        boxed(rename),
        boxed(copy),
        boxed(remove),
        boxed(flush),
        boxed(ask),
        boxed(set),
    ]
}

/// A strategy for each kind that a server sends.
pub(super) fn answers() -> Vec<BoxedStrategy<Message>> {
    let mut all = vec![
        boxed(Just(Answer::Done(Done {}))),
        boxed(fault().prop_map(Answer::Fault)),
        boxed(Just(Answer::Pong(Pong {}))),
        boxed(Just(Answer::Bye(Bye {}))),
        boxed(any::<u64>().prop_map(|number| Answer::Numbered(Numbered { number }))),
        boxed(data().prop_map(|frame| Answer::Packed(Packed { frame }))),
        boxed(
            (any::<u64>(), any::<u64>())
                .prop_map(|(free, total)| Answer::SpaceInfo(SpaceInfo { free, total })),
        ),
        boxed(metadata().prop_map(Answer::Metadata)),
        boxed(parts().prop_map(|unset| Answer::MetadataSet(MetadataSet { unset }))),
        boxed(
            (attributes(), parts())
                .prop_map(|(attributes, unset)| Answer::Stored(Stored { attributes, unset })),
        ),
        boxed((any::<[u8; 16]>(), any::<u64>(), option::of(hash()), any::<u64>(), any::<bool>()).prop_map(
            |(token, offset, kept, credit_bytes, basis)| {
                let token = UploadToken(token);
                Answer::UploadReady(UploadReady { token, offset, kept, credit_bytes, basis })
            },
        )),
        boxed(
            (any::<u64>(), any::<u64>())
                .prop_map(|(received, credit_bytes)| Answer::UploadAck(UploadAck { received, credit_bytes })),
        ),
        boxed(any::<[u64; 4]>().prop_map(|[files, folders, bytes, failed]| {
            Answer::Progress(Progress { files, folders, bytes, failed })
        })),
        boxed((any::<[u64; 4]>(), vec(fault(), 0..=64), (any::<u64>(), parts())).prop_map(
            |([files, folders, bytes, failed], faults, (things, parts))| {
                let unset = Unset { parts, things };
                Answer::Totals(Totals { files, folders, bytes, failed, faults, unset })
            },
        )),
        boxed(welcome()),
    ];
    all.extend(pages());
    all.extend(files());
    all
}

fn welcome() -> impl Strategy<Value = Answer> {
    let root = (
        text(),
        select(RootKind::ALL),
        (select(Access::ALL), (0..32_u8).prop_map(Permissions::from_bits)),
        select(NameCase::ALL),
        path(),
    );
    let machine = (any::<[u8; 16]>(), vec(any::<u64>(), 0..=128))
        .prop_map(|(id, above)| Machine { id: MachineId(id), above });
    let known = (option::of(machine), option::of(any::<[u8; 16]>().prop_map(Ticket)));
    (any::<u16>(), text(), capabilities(), limits(), root, known).prop_map(
        |(
            protocol,
            agent,
            capabilities,
            limits,
            (root_name, root_kind, (access, may), name_case, home),
            (machine, ticket),
        )| {
            let welcome = Welcome {
                protocol,
                agent: agent.into(),
                capabilities,
                limits,
                root_name: root_name.into(),
                root_kind,
                access,
                may,
                name_case,
                home,
                machine,
                ticket,
            };
            welcome.into()
        },
    )
}

fn pages() -> Vec<BoxedStrategy<Message>> {
    let item = (any::<u16>(), entry(), option::of(select(FaultCode::ALL)))
        .prop_map(|(depth, entry, fault)| WalkItem { depth, entry, fault });
    let stat = prop_oneof![attributes().prop_map(Ok), select(FaultCode::ALL).prop_map(Err)];
    vec![
        boxed(
            (any::<u64>(), vec(entry(), 0..40))
                .prop_map(|(total, entries)| Answer::ListPage(ListPage { total, entries })),
        ),
        boxed(vec(item, 0..40).prop_map(|items| Answer::WalkPage(WalkPage { items }))),
        boxed(vec(stat.prop_map(StatItem), 0..40).prop_map(|items| Answer::Stats(Stats { items }))),
    ]
}

fn files() -> Vec<BoxedStrategy<Message>> {
    let whole = (attributes(), hash(), any::<bool>(), prop_oneof![Just(Vec::new()), data()]).prop_map(
        |(attributes, hash, grown, data)| Answer::FileWhole(FileWhole { attributes, hash, grown, data }),
    );
    let done = (any::<u64>(), option::of(hash()), any::<bool>())
        .prop_map(|(len, hash, grown)| Answer::ReadDone(ReadDone { len, hash, grown }));
    vec![
        boxed(whole),
        boxed(
            (attributes(), option::of(any::<u64>())).prop_map(|(attributes, stored_bytes)| {
                Answer::ReadHead(ReadHead { attributes, stored_bytes })
            }),
        ),
        boxed(
            (any::<u64>(), data())
                .prop_map(|(offset, data)| Answer::Data(Data { offset, data: Bytes::from(data) })),
        ),
        boxed(done),
        boxed(any::<[u64; 3]>().prop_map(|[offset, len, beyond]| Answer::Hole(Hole { offset, len, beyond }))),
        boxed(
            (vec(hash(), 0..=20), any::<bool>())
                .prop_map(|(hashes, grown)| Answer::BlockHashes(BlockHashes { hashes, grown })),
        ),
    ]
}
