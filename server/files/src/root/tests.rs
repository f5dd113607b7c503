//! Shapes of paths and links, each resolved by both ways of resolving and below both kinds of root, with one outcome.

mod oracle;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// How a row of the table uses its location.
#[derive(Debug, Clone, Copy)]
enum Use {
    Look,
    Folder,
    File,
    Parent,
}
use Use::{File, Folder, Look, Parent};

/// What a row is to come to.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// The thing at this path below the test's folder (for `Parent`: the folder that is held).
    At(&'static str),
    No(FaultCode),
}
use Outcome::{At, No};

const ESCAPES: Outcome = No(FaultCode::OutsideRoot);
const THROUGH_LINK: Outcome = No(FaultCode::OutsideRoot);
const MISSING: Outcome = No(FaultCode::NotFound);
const NO_FOLDER: Outcome = No(FaultCode::NotAFolder);
const CIRCLE: Outcome = No(FaultCode::LinkLoop);

/// `jail/` is served by the jailed root, all of it by the whole one.
struct Tree {
    dir: TempDir,
    path: PathBuf,
}

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        fs::create_dir_all(path.join("jail/a/b/c")).unwrap();
        fs::create_dir_all(path.join("outside/a")).unwrap();
        for file in ["jail/file", "jail/a/b/file", "outside/file", "outside/a/file"] {
            fs::write(path.join(file), file).unwrap();
        }
        let tree = Self { dir, path };
        rustix::fs::mkfifoat(CWD, tree.path.join("jail/fifo"), Mode::from_raw_mode(0o600)).unwrap();
        tree
    }

    /// The tree with the links of the table.
    fn with_links() -> Self {
        let tree = Self::new();
        let text = tree.path.to_str().unwrap().to_owned();
        let long = format!("a/{}", "n".repeat(256));
        let links: &[(&str, &str)] = &[
            ("to_a", "a"),
            ("to_file", "file"),
            ("to_file_slash", "file/"),
            ("to_file_dot", "file/."),
            ("to_file_up", "file/../a"),
            ("to_a_slash", "a/"),
            ("to_a_slashes", ".//a///b//"),
            ("to_fifo", "fifo"),
            ("here", "."),
            ("a/up_and_down", "../a/b"),
            ("a/b/c/top", "../../.."),
            ("back_in", "../jail/a"),
            ("out", "../outside"),
            ("out_file", "../outside/file"),
            ("a/b/c/out_deep", "../../../../outside"),
            ("absolute", &format!("{text}/outside")),
            ("absolute_inside", &format!("{text}/jail/a")),
            ("magic", "/proc/self/cwd"),
            ("dangling", "nowhere"),
            ("dangling_up", "nowhere/../a"),
            ("circle_1", "circle_2"),
            ("circle_2", "circle_1"),
            ("itself", "itself"),
            ("in_itself", "in_itself/a"),
            ("long", &long),
            ("hop_0", "a"),
        ];
        for (link, target) in links {
            symlink(target, tree.path.join("jail").join(link)).unwrap();
        }
        for hop in 1..=40 {
            symlink(format!("hop_{}", hop - 1), tree.path.join(format!("jail/hop_{hop}"))).unwrap();
        }
        tree
    }

    /// Every root, with what its paths have in front here.
    fn roots(&self) -> Vec<(Root, WirePath)> {
        let jail = self.path.join("jail");
        let mut roots = Vec::new();
        for resolver in [Resolver::Kernel, Resolver::Walk] {
            let whole = Root::open(&RootSpec::Whole).unwrap();
            let jailed = Root::open(&RootSpec::Jailed(jail.clone())).unwrap();
            assert_eq!(jailed.resolver, Resolver::Kernel, "this test needs a kernel with openat2");
            let front = WirePath::parse(jail.as_os_str().as_bytes()).unwrap();
            roots.push((Root { resolver, ..whole }, front));
            roots.push((Root { resolver, ..jailed }, WirePath::root()));
        }
        roots
    }

    fn identity_at(&self, path: &str) -> (u64, u64) {
        let metadata = fs::symlink_metadata(self.path.join(path)).unwrap();
        (metadata.dev(), metadata.ino())
    }
}

fn parsed(path: &str) -> WirePath {
    WirePath::parse(path.as_bytes()).unwrap()
}

/// The device and inode of what was opened.
fn used(root: &Root, location: &Location, used: Use) -> Result<(u64, u64), FaultCode> {
    let opened = match used {
        Look => root.thing(location),
        Folder => root.open_folder(location),
        File => root.open_file(location),
        Parent => root.parent_of(location).map(|(folder, name)| {
            assert_eq!(Some(&name), location.path.name());
            folder
        }),
    };
    let stat = rustix::fs::fstat(opened.map_err(|fault| fault.code)?).unwrap();
    Ok((stat.st_dev, stat.st_ino))
}

/// Base, path, use; outcome below the jailed root, outcome below the whole one.
type Row = (&'static str, &'static str, Use, Outcome, Outcome);

/// Rows with one outcome for both kinds of root.
const SAME: &[(&str, &str, Use, Outcome)] = &[
    // Plain ways.
    ("", "file", Look, At("jail/file")),
    ("", "file", File, At("jail/file")),
    ("", "file", Parent, At("jail")),
    ("", "a/b/file", File, At("jail/a/b/file")),
    ("", "a/b/file", Parent, At("jail/a/b")),
    ("a", "b/file", File, At("jail/a/b/file")),
    ("a/b", "file", Parent, At("jail/a/b")),
    ("a/b", "", Folder, At("jail/a/b")),
    ("", "a/b", Folder, At("jail/a/b")),
    ("a/b/file", "", File, At("jail/a/b/file")),
    ("", "none", Look, MISSING),
    ("", "none", Parent, At("jail")),
    ("", "none/none", Parent, MISSING),
    ("none", "", Folder, MISSING),
    ("none", "file", File, MISSING),
    // Files where folders are needed, and the other way round.
    ("", "file/x", Look, NO_FOLDER),
    ("", "file/x", Parent, NO_FOLDER),
    ("file", "x", Parent, NO_FOLDER),
    ("", "file", Folder, NO_FOLDER),
    ("", "a", File, No(FaultCode::IsAFolder)),
    // Fifos are looked at and never waited for.
    ("", "fifo", Look, At("jail/fifo")),
    ("", "fifo", File, No(FaultCode::SpecialFile)),
    ("to_fifo", "", File, No(FaultCode::SpecialFile)),
    ("", "fifo/x", Look, NO_FOLDER),
    // Links in a base are followed.
    ("to_a", "", Folder, At("jail/a")),
    ("to_a", "b/file", File, At("jail/a/b/file")),
    ("to_file", "", File, At("jail/file")),
    ("to_a_slash", "b", Parent, At("jail/a")),
    ("to_a_slashes", "file", File, At("jail/a/b/file")),
    ("here/here/a/up_and_down", "file", File, At("jail/a/b/file")),
    ("a/b/c/top/to_a", "b", Look, At("jail/a/b")),
    ("hop_39", "", Look, At("jail/a")),
    // Links in a path are things, never ways.
    ("", "to_a", Look, At("jail/to_a")),
    ("", "to_a", Parent, At("jail")),
    ("", "to_a", Folder, THROUGH_LINK),
    ("", "to_a/b", Look, THROUGH_LINK),
    ("", "to_a/b", Parent, THROUGH_LINK),
    ("", "to_file", File, THROUGH_LINK),
    ("", "out", Look, At("jail/out")),
    ("", "out/file", File, THROUGH_LINK),
    ("", "absolute/file", Parent, THROUGH_LINK),
    ("", "magic/x", Look, THROUGH_LINK),
    ("a", "up_and_down/file", File, THROUGH_LINK),
    ("", "circle_1", Look, At("jail/circle_1")),
    ("", "dangling", Look, At("jail/dangling")),
    ("", "dangling", File, THROUGH_LINK),
    // A slash behind a link's text demands a folder.
    ("to_file_slash", "", Look, NO_FOLDER),
    ("to_file_dot", "", Look, NO_FOLDER),
    ("to_file_up", "", Look, NO_FOLDER),
    ("to_file", "x", Look, NO_FOLDER),
    // Links that lead nowhere.
    ("dangling", "", Look, MISSING),
    ("dangling_up", "", Look, MISSING),
    ("circle_1", "", Look, CIRCLE),
    ("circle_1", "x", Parent, CIRCLE),
    ("itself", "", Folder, CIRCLE),
    ("in_itself", "", Folder, CIRCLE),
    ("hop_40", "", Look, CIRCLE),
    ("long", "", Look, No(FaultCode::NameTooLong)),
];

/// Rows where the kind of the root decides.
const DIFFERENT: &[Row] = &[
    ("out", "", Folder, ESCAPES, At("outside")),
    ("out", "file", File, ESCAPES, At("outside/file")),
    ("out", "new", Parent, ESCAPES, At("outside")),
    ("out/a", "file", Look, ESCAPES, At("outside/a/file")),
    ("out_file", "", File, ESCAPES, At("outside/file")),
    ("a/b/c/out_deep", "file", File, ESCAPES, At("outside/file")),
    ("back_in", "b/file", File, ESCAPES, At("jail/a/b/file")),
    ("absolute", "file", File, ESCAPES, At("outside/file")),
    ("absolute_inside", "b", Look, ESCAPES, At("jail/a/b")),
    ("magic", "", Look, ESCAPES, CIRCLE),
    ("magic", "x", Parent, ESCAPES, CIRCLE),
];

#[test]
fn every_shape_of_path_has_one_outcome_whoever_resolves_it() {
    let tree = Tree::with_links();
    let same = SAME.iter().map(|&(base, path, used, outcome)| (base, path, used, outcome, outcome));
    for (base, path, how, jailed, whole) in same.chain(DIFFERENT.iter().copied()) {
        for (root, front) in tree.roots() {
            let base_path = front.join_path(&parsed(base)).unwrap();
            let location = Location { base: base_path, path: parsed(path) };
            let outcome = if root.kind == RootKind::Jailed { jailed } else { whole };
            let expected = match outcome {
                At(path) => Ok(tree.identity_at(path)),
                No(code) => Err(code),
            };
            let row = format!("{base:?} + {path:?} as {how:?}, {:?} {:?}", root.kind, root.resolver);
            assert_eq!(used(&root, &location, how), expected, "{row}");
        }
    }
}

#[test]
fn the_root_itself_can_be_read_and_looked_at_but_is_held_by_nothing() {
    let tree = Tree::new();
    let it = Location::through(&WirePath::root());
    assert_eq!(Location::of(&WirePath::root()), it);
    for (root, _) in tree.roots() {
        let expected = if root.kind == RootKind::Whole { Path::new("/") } else { &tree.path.join("jail") };
        let expected = fs::metadata(expected).map(|metadata| (metadata.dev(), metadata.ino())).unwrap();
        assert_eq!(used(&root, &it, Look), Ok(expected));
        assert_eq!(used(&root, &it, Folder), Ok(expected));
        assert_eq!(used(&root, &it, File), Err(FaultCode::IsAFolder));
        assert_eq!(used(&root, &it, Parent), Err(FaultCode::Busy));
    }
}

#[test]
fn what_a_base_leads_to_is_not_one_name_in_one_folder() {
    let tree = Tree::with_links();
    for (root, front) in tree.roots() {
        let base = front.join_path(&parsed("to_a")).unwrap();
        assert_eq!(used(&root, &Location::through(&base), Parent), Err(FaultCode::Malformed));
    }
}

#[test]
fn faults_name_the_whole_path() {
    let tree = Tree::new();
    for (root, front) in tree.roots() {
        let location = Location { base: front.clone(), path: parsed("a/none") };
        let fault = root.open_folder(&location).unwrap_err();
        assert_eq!(fault.path, Some(front.join_path(&parsed("a/none")).unwrap()));
    }
}

#[test]
fn the_longest_path_that_can_be_said_can_be_resolved() {
    let tree = Tree::new();
    let names = vec![Name::new(vec![b'n'; 255]).unwrap(); 15];
    let jail = tree.roots().swap_remove(1).0;
    let mut folder = jail.open_folder(&Location::through(&WirePath::root())).unwrap();
    for name in &names {
        rustix::fs::mkdirat(&folder, name.as_bytes(), Mode::RWXU).unwrap();
        folder = rustix::fs::openat(&folder, name.as_bytes(), READ_FOLDER, Mode::empty()).unwrap();
    }
    let expected = rustix::fs::fstat(&folder).map(|stat| (stat.st_dev, stat.st_ino)).unwrap();
    let path = WirePath::new(names).unwrap();
    for (root, _) in tree.roots().into_iter().filter(|(root, _)| root.kind == RootKind::Jailed) {
        let below = Location { base: WirePath::root(), path: path.clone() };
        assert_eq!(used(&root, &below, Folder), Ok(expected));
        assert_eq!(used(&root, &Location::through(&path), Folder), Ok(expected));
    }
}

#[test]
fn a_root_that_is_renamed_is_still_served() {
    let tree = Tree::new();
    let roots = tree.roots();
    fs::rename(tree.path.join("jail"), tree.path.join("moved")).unwrap();
    fs::create_dir(tree.path.join("jail")).unwrap();
    for (root, _) in roots.iter().filter(|(root, _)| root.kind == RootKind::Jailed) {
        assert_eq!(used(root, &Location::of(&parsed("file")), File), Ok(tree.identity_at("moved/file")));
    }
}

#[test]
fn a_folder_that_turns_into_a_link_and_back_never_leads_out() {
    let tree = Tree::new();
    let jail = tree.path.join("jail");
    fs::create_dir(jail.join("flip")).unwrap();
    fs::write(jail.join("flip/file"), "inside").unwrap();
    symlink("../outside", jail.join("link")).unwrap();
    let outside = tree.identity_at("outside/file");
    let roots = tree.roots();
    std::thread::scope(|scope| {
        let flipper = scope.spawn(|| {
            for _ in 0..500 {
                fs::rename(jail.join("flip"), jail.join("aside")).unwrap();
                fs::rename(jail.join("link"), jail.join("flip")).unwrap();
                fs::rename(jail.join("flip"), jail.join("link")).unwrap();
                fs::rename(jail.join("aside"), jail.join("flip")).unwrap();
            }
        });
        while !flipper.is_finished() {
            for (root, _) in roots.iter().filter(|(root, _)| root.kind == RootKind::Jailed) {
                for (base, path) in [("", "flip/file"), ("flip", "file"), ("flip/file", "")] {
                    let location = Location { base: parsed(base), path: parsed(path) };
                    assert_ne!(used(root, &location, File), Ok(outside));
                }
            }
        }
    });
}

#[test]
fn a_root_that_cannot_be_served_says_why() {
    let tree = Tree::new();
    let open = |path: &str| Root::open(&RootSpec::Jailed(tree.path.join(path))).unwrap_err();
    assert!(matches!(open("none"), RootError::Missing(_)));
    assert!(matches!(open("jail/file"), RootError::NotAFolder(_)));
    assert!(open("no\x1bne").to_string().ends_with("no\\x1bne: no such folder"));
}

#[test]
fn a_typed_path_keeps_its_links_and_loses_its_dots() {
    let tree = Tree::with_links();
    let local = |typed: &str| local_path(&tree.path.join(typed)).map(|path| path.to_bytes());
    let below =
        |path: &str| Ok(WirePath::parse(tree.path.join(path).as_os_str().as_bytes()).unwrap().to_bytes());
    assert_eq!(local("jail/to_a"), below("jail/to_a"));
    assert_eq!(local("jail/./to_a//b/"), below("jail/to_a/b"));
    assert_eq!(local("jail/none/new"), below("jail/none/new"));
    assert_eq!(local("jail/a/.."), below("jail"));
    // Behind a link, `..` is where the link leads to, not where it stands.
    assert_eq!(local("jail/out/../jail/to_file"), below("jail/to_file"));
    assert_eq!(local("jail/a/b/c/out_deep/.."), below(""));
    assert_eq!(local("none/../jail").unwrap_err().code, FaultCode::NotFound);
    assert_eq!(local_path(Path::new("")).unwrap_err().code, FaultCode::NotFound);
    let here = working_folder().unwrap();
    assert_eq!(local_path(Path::new(".")).unwrap(), here);
    assert_eq!(local_path(Path::new("new")).unwrap(), here.join(&Name::try_from("new").unwrap()).unwrap());
    assert_eq!(local_path(Path::new("..")).ok(), here.parent());
    drop(tree.dir);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Links with any text: the walk comes to what the kernel comes to, fault for fault.
    #[test]
    fn the_walk_goes_where_the_kernel_goes(
        texts in proptest::collection::vec(
            ("/?", proptest::collection::vec(
                proptest::sample::select(vec!["a", "b", "c", "file", "..", "..", ".", "", "0", "1", "2", "3", "none"]),
                1..6,
            )),
            4,
        ),
        places in proptest::collection::vec(proptest::sample::select(vec!["", "a", "a/b"]), 4),
    ) {
        let tree = Tree::new();
        for (index, ((slash, parts), place)) in texts.iter().zip(&places).enumerate() {
            let text = format!("{slash}{}", parts.join("/"));
            let text = if text.is_empty() { ".".to_owned() } else { text };
            symlink(text, tree.path.join("jail").join(place).join(index.to_string())).unwrap();
        }
        let roots = tree.roots();
        for (index, place) in places.iter().enumerate() {
            let link = parsed(&format!("{place}/{index}"));
            for path in ["", "a", "file", "b/file", "0", "1/x"] {
                for how in [Look, Folder, File, Parent] {
                    for (kernel, walk) in [(&roots[0], &roots[2]), (&roots[1], &roots[3])] {
                        let base = kernel.1.join_path(&link).unwrap();
                        let location = Location { base, path: parsed(path) };
                        prop_assert_eq!(
                            used(&kernel.0, &location, how),
                            used(&walk.0, &location, how),
                            "{:?} as {:?}", location, how
                        );
                    }
                }
            }
        }
    }
}
