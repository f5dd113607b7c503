//! The program's own files: unfinished ones, which prove whose they are, and protected ones in the
//! served folder.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::Arc;
use std::time::Duration;

use towpath_files::root::RootSpec;
use towpath_files::service::{ClientId, Grant, Service, ServiceConfig, StoreLimits};
use towpath_protocol::fault::FaultCode;
use towpath_protocol::hello::Access;
use towpath_protocol::message::{Answer, Request};
use towpath_protocol::metadata::Metadata;
use towpath_protocol::path::WirePath;
use towpath_protocol::permissions::Permissions;
use towpath_protocol::request::{
    Blocks, Copy, Depth, Direction, Existing, Follow, Hidden, List, Measure, Read, ReadMetadata, SetMetadata,
    SetMode, SetTimes, SortKey, Stat, Walk, Wants,
};
use towpath_protocol::time::Time;

use super::world::{Talk, World, begin, below, copy, make_folder, make_link, names, put, remove, rename};

/// Names that are like those of unfinished files, and not theirs; the last but one has the form of earlier versions.
const LIKE_OURS: [&str; 5] = [
    ".towpath-part-notes",
    ".towpath-part-",
    ".towpath-part-0123456789ab-0123456789ABCDEF",
    ".towpath-part-0123456789ab",
    ".towpath-part-0123456789ab-0123456789abcdef",
];

fn list(folder: &str) -> Request {
    let (sort, direction, hidden) = (SortKey::Name, Direction::Ascending, Hidden::Shown);
    List { folder: below(folder), sort, direction, hidden, pages: 100 }.into()
}

async fn listed(world: &World, folder: &str) -> Vec<String> {
    let mut talk = world.open(list(folder));
    let mut names = Vec::new();
    while let Ok(Answer::ListPage(page)) = talk.next().await {
        names.extend(page.entries.iter().map(|entry| entry.name.display().to_string()));
    }
    names.sort();
    names
}

fn read(path: &str) -> Request {
    Read { file: below(path), version: None, offset: 0, len: 10, wants: Wants::Data, holes: false }.into()
}

/// The same folder, served by one that sweeps every part that is not open.
fn keeping_nothing(world: &World) -> Arc<Service> {
    let root = RootSpec::Jailed(world.at(""));
    let config = ServiceConfig { root, access: Access::ReadWrite, home: WirePath::root() };
    let limits = StoreLimits { parts_kept: Duration::ZERO, ..StoreLimits::default() };
    Arc::new(Service::with_limits(config, limits).unwrap())
}

#[tokio::test]
async fn f82_a_persons_file_with_a_name_like_ours_is_listed_copied_and_never_swept() {
    let mut world = World::new();
    for (name, content) in LIKE_OURS.iter().zip(["one", "two", "three", "four", "five"]) {
        world.write(name, content);
        fs::set_permissions(world.at(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    world.folder("tree/.towpath-part-aabbccddeeff-0011223344556677");
    world.write("tree/.towpath-part-aabbccddeeff-0011223344556677/in", "in");
    world.link("tree/.towpath-part-aabbccddeeff-0011223344556678", "in");
    world.write("tree/.towpath-part-aabbccddeeff-0011223344556679", "");
    // A copy of a real one proves nothing either.
    let part = world.leave_part("tree").await;
    world.folder("copied");
    let its_copy = part.replace("tree/", "copied/");
    fs::copy(world.at(&part), world.at(&its_copy)).unwrap();

    let real = part.trim_start_matches("tree/").to_owned();
    assert!(!listed(&world, "tree").await.contains(&real));
    assert_eq!(listed(&world, "copied").await, [real.as_str()]);
    world.service = keeping_nothing(&world);
    let before = [names(&world.at("")), names(&world.at("copied"))];
    // Looked at twice: the first look sweeps, the second sees what that left.
    for _ in 0..2 {
        let there = listed(&world, "").await;
        assert!(LIKE_OURS.iter().all(|name| there.iter().any(|shown| shown == name)), "{there:?}");
        assert_eq!(listed(&world, "tree").await.len(), 3);
        assert_eq!(listed(&world, "copied").await.len(), 1);
    }
    assert_eq!([names(&world.at("")), names(&world.at("copied"))], before);
    assert!(!world.exists(&part), "ours is swept");

    let totals = world.totals(Measure { things: vec![below("tree")] }).await;
    assert_eq!((totals.files, totals.folders, totals.bytes), (3, 2, 2));
    let totals = world.totals(copy("tree", "second", Existing::Keep)).await;
    assert_eq!((totals.files, totals.folders, totals.failed), (3, 2, 0), "{:?}", totals.faults);
    assert_eq!(names(&world.at("second")), names(&world.at("tree")));
    assert!(world.ask(read(LIKE_OURS[4])).await.is_ok());
    world.ask(rename(LIKE_OURS[4], "mine", Existing::Keep)).await.unwrap();
    world.ask(rename(".towpath-part-notes", ".towpath-part-list.txt", Existing::Keep)).await.unwrap();
    assert_eq!(world.read("mine"), b"five");
    let totals = world.totals(remove("second", Depth::Tree)).await;
    assert_eq!((totals.files, totals.failed), (3, 0));
}

#[tokio::test]
async fn f82_a_name_of_our_form_is_given_to_nothing_and_the_refusal_says_why() {
    let world = World::new();
    world.write("file", "file");
    world.folder("folder");
    let name = ".towpath-part-0123456789ab-0123456789abcdef";
    let requests: [Request; 7] = [
        put(name, b"mine", Existing::Keep).into(),
        put(name, b"mine", Existing::Replace).into(),
        begin(name, 4, Existing::Keep).into(),
        make_folder(name, Existing::Keep).into(),
        make_link(name, b"file", Existing::Keep).into(),
        rename("file", name, Existing::Keep).into(),
        copy("folder", name, Existing::Keep).into(),
    ];
    for request in requests {
        let shown = format!("{request:?}");
        let fault = world.ask(request).await.unwrap_err();
        assert_eq!(fault.code, FaultCode::PermissionDenied, "{shown}");
        assert!(fault.to_string().contains("kept for unfinished files"), "{fault}");
    }
    assert_eq!(names(&world.at("")), ["file", "folder"]);
    // A name that only begins like it is ordinary.
    for name in &LIKE_OURS[..4] {
        world.stored(put(name, b"mine", Existing::Keep)).await;
    }
}

#[tokio::test]
async fn f82_what_is_ours_is_not_there_for_whoever_names_it() {
    let world = World::new();
    let part = world.leave_part("").await;
    let requests: [Request; 11] = [
        read(&part),
        Blocks { file: below(&part), version: None, offset: 0, len: 1 << 20, block_bytes: 1 << 16 }.into(),
        Walk { start: below(&part), pages: 4 }.into(),
        ReadMetadata { thing: below(&part), version: None }.into(),
        rename(&part, "mine", Existing::Keep).into(),
        copy(&part, "mine", Existing::Keep).into(),
        remove(&part, Depth::Single).into(),
        remove(&part, Depth::Tree).into(),
        SetMode { thing: below(&part), mode: 0o644 }.into(),
        SetTimes { thing: below(&part), modified: Time::from_ns(5) }.into(),
        SetMetadata { thing: below(&part), identity: 1, mode: 0o644, metadata: Metadata::default() }.into(),
    ];
    for request in requests {
        let shown = format!("{request:?}");
        assert_eq!(world.refused(request).await, FaultCode::NotFound, "{shown}");
    }
    assert_eq!(names(&world.at("")), [part.as_str()]);
    assert_eq!(world.mode(&part), 0o600);
}

/// Protected paths, paths that lead there, and protected paths that are absent.
const KEPT: [&str; 8] = [
    "data/state/towpath/server",
    "data/state/towpath/server/clients.json",
    "data/state/towpath/server/inner",
    ".config/towd.toml",
    "audit.jsonl",
    "audit.jsonl.1",
    "free/second-list",
    "free/second-config",
];
const WAYS: [&str; 6] = ["data", "data/state", "data/state/towpath", ".local", ".local/state", ".config"];
const ABSENT: [&str; 6] = [
    "data/state/towpath/client",
    "data/state/towpath/CLIENT",
    "data/state/towpath/client/known",
    "data/state/towpath/server/new",
    "audit.jsonl.22",
    "socket",
];

/// A thing as it is: inode, mode, times of change, and content. None where it is not there.
type Looked = Option<(u64, u32, i64, i64, Vec<u8>)>;

/// A home folder that is served by a program whose state lies in it, reached by a link, and so do its configuration, its log and its socket.
struct Home {
    world: World,
    /// The same folder, with nothing kept.
    open: Arc<Service>,
    before: Vec<Looked>,
}

impl Home {
    fn new() -> Self {
        let mut world = World::new();
        for folder in ["data/state/towpath/server/inner", ".local", ".config", "free/state/towpath/server"] {
            world.folder(folder);
        }
        world.link(".local/state", "../data/state");
        world.write("data/state/towpath/server/clients.json", "the list");
        world.write("free/state/towpath/server/clients.json", "everybody");
        world.write(".config/towd.toml", "root = \"..\"");
        world.write("free/towd.toml", "root = \"/\"");
        world.write("audit.jsonl", "{}");
        world.write("audit.jsonl.1", "{}");
        fs::hard_link(world.at(KEPT[1]), world.at("free/second-list")).unwrap();
        fs::hard_link(world.at(KEPT[3]), world.at("free/second-config")).unwrap();
        let own =
            [".local/state/towpath/server", ".local/state/towpath/client", ".config/towd.toml", "socket"];
        let own = own.map(|own| world.at(own));
        let audit = world.at("audit.jsonl");
        let service = Arc::get_mut(&mut world.service).unwrap();
        for own in own {
            service.keep_from_clients(&own).unwrap();
        }
        service.keep_log_from_clients(&audit).unwrap();
        let before = Self::look(&world);
        Self { open: keeping_nothing(&world), world, before }
    }

    fn look(world: &World) -> Vec<Looked> {
        let paths = KEPT.iter().chain(&WAYS).chain(&ABSENT);
        let look = |path: &&str| {
            let there = fs::symlink_metadata(world.at(path)).ok()?;
            let changed = (there.ctime(), there.ctime_nsec());
            Some((
                there.ino(),
                there.mode(),
                changed.0,
                changed.1,
                fs::read(world.at(path)).unwrap_or_default(),
            ))
        };
        paths.map(look).collect()
    }

    #[track_caller]
    fn check(&self, what: &str) {
        assert_eq!(Self::look(&self.world), self.before, "{what}");
    }

    /// As seen without protection.
    async fn identity(&self, path: &str) -> u64 {
        let stat = Stat { base: WirePath::root(), paths: vec![below(path).path], follow: Follow::No };
        match Talk::open(&self.open, stat.into()).end().await.unwrap() {
            Answer::Stats(stats) => stats.items[0].0.as_ref().map_or(0, |there| there.identity),
            other => panic!("{other:?}"),
        }
    }

    /// Every verb that changes something, at `path`, and those that would bring something there.
    async fn changes(&self, path: &str) -> Vec<Request> {
        let identity = self.identity(path).await;
        let thing = || below(path);
        vec![
            put(path, b"mine", Existing::Replace).into(),
            put(path, b"mine", Existing::ReplaceOlder).into(),
            put(path, b"mine", Existing::Keep).into(),
            begin(path, 4, Existing::Replace).into(),
            make_folder(path, Existing::Keep).into(),
            make_link(path, b"free", Existing::Replace).into(),
            make_link(path, b"free", Existing::Keep).into(),
            SetMode { thing: thing(), mode: 0o777 }.into(),
            SetTimes { thing: thing(), modified: Time::from_ns(5) }.into(),
            SetMetadata { thing: thing(), identity, mode: 0o777, metadata: Metadata::default() }.into(),
            rename(path, "away", Existing::Keep).into(),
            rename("free/towd.toml", path, Existing::Replace).into(),
            rename("free/state", path, Existing::Replace).into(),
            copy("free/towd.toml", path, Existing::Replace).into(),
            remove(path, Depth::Single).into(),
            remove(path, Depth::Tree).into(),
        ]
    }
}

#[tokio::test]
async fn f72_what_is_kept_and_what_leads_there_is_changed_by_no_verb() {
    let home = Home::new();
    for path in KEPT.iter().chain(&WAYS).chain(&ABSENT) {
        for request in home.changes(path).await {
            let shown = format!("{path}: {request:?}");
            let refused = home.world.ask(request).await;
            assert!(refused.is_err(), "{shown}: {refused:?}");
            home.check(&shown);
        }
        // Into a folder that is there, other things may come.
        let joined = home.world.ask(make_folder(path, Existing::Replace)).await;
        assert_eq!(joined.is_ok(), WAYS.contains(path) && *path != ".local/state", "{path}: {joined:?}");
        home.check(path);
    }
    assert_eq!(names(&home.world.at("free")), ["second-config", "second-list", "state", "towd.toml"]);
    // And by what leads there in another way.
    let through = |path: &str| towpath_protocol::path::Location::through(&below(path).path);
    for path in
        [".local/state/towpath/server", ".local/state/towpath/server/clients.json", "free/second-list"]
    {
        let read =
            Read { file: through(path), version: None, offset: 0, len: 9, wants: Wants::Data, holes: false };
        assert!(home.world.ask(read).await.is_err(), "{path}");
    }
    // Neighbours are not protected.
    for path in [
        "data/new",
        "data/state/new",
        "data/state/towpath/new",
        ".local/new",
        ".config/new",
        "audit.jsonl.old",
    ] {
        home.world.stored(put(path, b"new", Existing::Keep)).await;
        home.world.ask(SetMode { thing: below(path), mode: 0o600 }).await.unwrap();
        home.world.ask(rename(path, "free/new", Existing::Keep)).await.unwrap();
        home.world.totals(remove("free/new", Depth::Single)).await;
    }
}

#[tokio::test]
async fn f72_what_is_kept_is_read_by_no_verb() {
    let home = Home::new();
    for path in KEPT.iter().chain(&ABSENT).filter(|path| !path.ends_with("inner")) {
        let requests = [
            read(path),
            Blocks { file: below(path), version: None, offset: 0, len: 1 << 20, block_bytes: 1 << 16 }.into(),
            ReadMetadata { thing: below(path), version: None }.into(),
            copy(path, "copied", Existing::Keep).into(),
            list(path),
        ];
        for request in requests {
            let shown = format!("{path}: {request:?}");
            assert!(home.world.ask(request).await.is_err(), "{shown}");
            assert!(!home.world.exists("copied"), "{shown}");
        }
    }
    // Nor with all around it: those are told, the rest is copied.
    let around = ["data", ".config", "free"];
    for (index, from) in around.iter().enumerate() {
        let to = format!("copied-{index}");
        let totals = home.world.totals(copy(from, &to, Existing::Keep)).await;
        assert_eq!(totals.failed, [1, 1, 2][index], "{from}: {:?}", totals.faults);
    }
    assert!(
        home.world.exists("copied-0/state/towpath") && !home.world.exists("copied-0/state/towpath/server")
    );
    assert!(home.world.exists("copied-2/towd.toml") && !home.world.exists("copied-2/second-list"));
}

#[tokio::test]
async fn f72_a_tree_that_is_copied_over_plants_nothing() {
    let home = Home::new();
    home.world.folder("free/state/towpath/client");
    fs::set_permissions(home.world.at("free/state"), fs::Permissions::from_mode(0o777)).unwrap();
    let modes = WAYS.map(|path| home.world.mode(path));
    for existing in [Existing::Keep, Existing::Replace, Existing::ReplaceOlder] {
        let copied = home.world.ask(Copy { preserve: true, ..copy("free", "data", existing) }).await;
        let failed = copied.map_or(1, |answer| match answer {
            Answer::Totals(totals) => totals.failed,
            other => panic!("{other:?}"),
        });
        assert!(failed > 0, "{existing:?}");
        assert_eq!(home.world.read(KEPT[1]), b"the list");
        assert_eq!(names(&home.world.at("data/state/towpath")), ["server"]);
        assert_eq!(WAYS.map(|path| home.world.mode(path)), modes, "{existing:?}");
    }
    assert!(home.world.exists("data/towd.toml"), "the rest is copied");
}

#[tokio::test]
async fn f72_it_stays_kept_when_its_owner_replaces_or_moves_it() {
    let home = Home::new();
    let world = &home.world;
    // Replaces the file like editors and towd itself do.
    for path in [KEPT[3], KEPT[1]] {
        fs::write(world.at("free/written"), "replaced").unwrap();
        fs::rename(world.at("free/written"), world.at(path)).unwrap();
        assert!(world.ask(read(path)).await.is_err(), "{path}");
        assert!(world.ask(put(path, b"mine", Existing::Replace)).await.is_err(), "{path}");
        fs::hard_link(world.at(path), world.at("free/another")).unwrap();
        assert!(world.ask(read("free/another")).await.is_err(), "{path}");
        assert!(world.ask(SetMode { thing: below("free/another"), mode: 0o666 }).await.is_err(), "{path}");
        fs::remove_file(world.at("free/another")).unwrap();
    }
    // A file that was absent and appears.
    fs::create_dir(world.at("data/state/towpath/client")).unwrap();
    fs::write(world.at("data/state/towpath/client/key"), "secret").unwrap();
    assert!(world.ask(read("data/state/towpath/client/key")).await.is_err());
    assert!(world.ask(list("data/state/towpath/client")).await.is_err());
    // All of it gone, or elsewhere.
    fs::rename(world.at("data"), world.at("moved")).unwrap();
    assert!(world.ask(read("moved/state/towpath/server/clients.json")).await.is_err());
    assert!(world.ask(rename("moved/state", "free/mine", Existing::Keep)).await.is_err());
    assert!(world.ask(make_folder("data", Existing::Keep)).await.is_err());
    assert!(world.ask(rename("free/state", "data", Existing::Keep)).await.is_err());
    // And from a client that has a part of the root.
    let folder = WirePath::parse(b"moved/state").unwrap();
    let grant = Grant { client: ClientId(1), folder, may: Permissions::ALL, quota_bytes: None };
    let service = Arc::new(world.service.for_client(&grant).unwrap());
    let talk = Talk::open(&service, rename("towpath", "mine", Existing::Keep).into());
    assert_eq!(talk.end().await.unwrap_err().code, FaultCode::PermissionDenied);
}

/// A killed server's socket is replaced by the next start, a list by each change: other things get their inode numbers.
#[tokio::test]
async fn f72_what_has_the_inode_number_of_something_that_was_kept_is_not_kept() {
    let mut world = World::new();
    world.write("list", "the list");
    let list = world.at("list");
    Arc::get_mut(&mut world.service).unwrap().keep_from_clients(&list).unwrap();
    let number = fs::metadata(&list).unwrap().ino();
    world.write("written", "replaced");
    fs::rename(world.at("written"), &list).unwrap();
    let mut numbers = Vec::new();
    for at in 0..64 {
        let (file, folder) = (format!("file-{at}"), format!("folder-{at}"));
        let made = world.ask(make_folder(&folder, Existing::Keep)).await;
        made.unwrap_or_else(|fault| panic!("{folder}: {fault}"));
        world.stored(put(&format!("{folder}/file"), b"mine", Existing::Keep)).await;
        world.stored(put(&file, b"mine", Existing::Keep)).await;
        let got = world.ask(read(&file)).await;
        got.unwrap_or_else(|fault| panic!("{file}: {fault}"));
        numbers.extend([&file, &folder].map(|path| fs::metadata(world.at(path)).unwrap().ino()));
    }
    assert!(!numbers.contains(&number), "its number was given away");
    assert!(world.ask(read("list")).await.is_err());
}
