//! A second opinion: cap-std, written by others for the same purpose, resolves the same paths below the same folder.

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _};

use super::*;

/// What cap-std comes to: a thing's device and inode, or none where it refuses.
fn told(jail: &Dir, path: &str, how: Use) -> Option<(u64, u64)> {
    let metadata = match how {
        Look => jail.metadata(path),
        Folder => jail.open_dir(path).and_then(|folder| folder.dir_metadata()),
        File | Parent => unreachable!("cap-std opens other things as files, and holds no parents"),
    };
    metadata.ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Links with any text, over one another: `openat2`, the walk and cap-std come to the same thing, or all refuse.
    #[test]
    fn f06_three_resolvers_come_to_the_same_thing(
        texts in proptest::collection::vec(
            ("/?", proptest::collection::vec(
                proptest::sample::select(vec![
                    "a", "b", "c", "file", "..", "..", ".", "", "0", "1", "2", "3", "4", "5", "jail", "none",
                ]),
                1..7,
            )),
            6,
        ),
        places in proptest::collection::vec(proptest::sample::select(vec!["", "a", "a/b", "a/b/c"]), 6),
    ) {
        let tree = Tree::new();
        for (index, ((slash, parts), place)) in texts.iter().zip(&places).enumerate() {
            let text = format!("{slash}{}", parts.join("/"));
            let text = if text.is_empty() { ".".to_owned() } else { text };
            symlink(text, tree.path.join("jail").join(place).join(index.to_string())).unwrap();
        }
        let roots = tree.roots();
        let jailed: Vec<_> = roots.iter().filter(|(root, _)| root.kind == RootKind::Jailed).collect();
        let jail = Dir::open_ambient_dir(tree.path.join("jail"), ambient_authority()).unwrap();
        for (index, place) in places.iter().enumerate() {
            for tail in ["", "/a", "/file", "/b/file", "/0", "/1/x", "/2/3/a"] {
                let path = format!("{place}/{index}{tail}");
                let path = path.trim_start_matches('/');
                for how in [Look, Folder] {
                    let expected = told(&jail, path, how);
                    for (root, _) in &jailed {
                        let ours = used(root, &Location::through(&parsed(path)), how).ok();
                        prop_assert_eq!(ours, expected, "{:?} as {:?} by {:?}", path, how, root.resolver);
                    }
                }
            }
        }
    }
}

#[test]
fn f06_three_resolvers_come_to_the_same_thing_in_every_row_of_the_table() {
    let tree = Tree::with_links();
    let jail = Dir::open_ambient_dir(tree.path.join("jail"), ambient_authority()).unwrap();
    let bases = SAME.iter().map(|row| row.0).chain(DIFFERENT.iter().map(|row| row.0));
    // cap-std takes the empty path for none at all.
    for base in bases.filter(|base| !base.is_empty()) {
        for how in [Look, Folder] {
            let expected = told(&jail, base, how);
            for (root, _) in tree.roots().iter().filter(|(root, _)| root.kind == RootKind::Jailed) {
                let ours = used(root, &Location::through(&parsed(base)), how).ok();
                assert_eq!(ours, expected, "{base:?} as {how:?} by {:?}", root.resolver);
            }
        }
    }
}
