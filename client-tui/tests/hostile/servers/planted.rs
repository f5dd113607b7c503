//! A source that plants links, and then names things behind them.

use std::fs;
use std::os::unix::fs::symlink;

use super::super::evil::{FILE, FOLDER, LINK, SMALL, attributes, done, item, walk_page};
use super::*;

/// A walk in pages, each of these items.
fn walk(id: u32, pages: Vec<Vec<Value>>) -> Vec<u8> {
    [pages.into_iter().map(|items| walk_page(id, items)).collect::<Vec<_>>().concat(), done(id)].concat()
}

fn folder(depth: u64, name: &[u8]) -> Value {
    item(depth, name, attributes(FOLDER, 0, None))
}

fn file(depth: u64, name: &[u8]) -> Value {
    item(depth, name, attributes(FILE, SMALL.len(), None))
}

fn link(depth: u64, name: &[u8], target: &[u8]) -> Value {
    item(depth, name, attributes(LINK, 0, Some(target)))
}

/// The walks: what is planted, by what it leads to.
fn walks(target: &[u8]) -> Vec<(&'static str, Vec<Vec<Value>>)> {
    let docs = || folder(0, b"docs");
    vec![
        ("a file behind a link", vec![vec![docs(), link(1, b"d", target), file(2, b"file")]]),
        (
            "a file behind a link, a page later",
            vec![vec![docs(), link(1, b"d", target)], vec![file(2, b"file")]],
        ),
        (
            "a folder of the link's name",
            vec![vec![docs(), link(1, b"d", target), folder(1, b"d"), file(2, b"file")]],
        ),
        (
            "a folder of the link's name, a page later",
            vec![
                vec![docs(), link(1, b"d", target)],
                vec![folder(1, b"d"), file(2, b"file"), file(2, b"new")],
            ],
        ),
        (
            "the link of the folder's name, and then more in it",
            vec![
                vec![docs(), folder(1, b"d")],
                vec![link(1, b"d", target)],
                vec![folder(1, b"d"), file(2, b"file")],
            ],
        ),
        ("a file of the link's name", vec![vec![docs(), link(1, b"d", target)], vec![file(1, b"d")]]),
        ("the item itself a link", vec![vec![link(0, b"docs", target), file(1, b"file"), folder(1, b"new")]]),
        (
            "the item itself first a link, then a folder",
            vec![vec![link(0, b"docs", target)], vec![docs(), file(1, b"file")]],
        ),
        (
            "a link to a link",
            vec![
                vec![docs(), link(1, b"one", target), link(1, b"two", b"one")],
                vec![folder(1, b"two"), file(2, b"file"), folder(2, b"new")],
            ],
        ),
        (
            "a link in a folder in a folder",
            vec![
                vec![docs(), folder(1, b"a"), folder(2, b"b"), link(3, b"c", target)],
                vec![folder(3, b"c"), file(4, b"file"), folder(4, b"new"), link(4, b"other", b"file")],
            ],
        ),
    ]
}

#[test]
fn f01_f06_a_source_that_plants_links_does_not_write_through_them() {
    for overwrite in ["always", "never", "different"] {
        let words = ["get", "-T", "{S}", "copy", "--overwrite", overwrite];
        for index in 0..walks(b"x").len() {
            for is_absolute in [true, false] {
                let home = Home::new();
                let target = home.path("outside");
                let target =
                    if is_absolute { target.as_os_str().as_encoded_bytes() } else { b"../../outside" };
                let (what, pages) = walks(target).swap_remove(index);
                let pages = Arc::new(pages);
                let script = instead(is_walk, move |id| walk(id, pages.as_ref().clone()));
                // Twice: the second time the links are there from the beginning. Where DEST itself has become a link, `-T` means it;
                // without, it is a folder that a person has named, and is followed as any program would.
                for time in ["first", "second"] {
                    let ended = told(&home, what, &words, script.clone());
                    let said = format!("{what}, {overwrite}, the {time} time: {}", ended.said());
                    assert!(ended.status.code() == Some(0) || ended.said().contains("tow: "), "{said}");
                }
            }
        }
    }
}

#[test]
fn f06_links_that_wait_at_the_destination_are_not_written_through() {
    let home = Home::new();
    fs::create_dir(home.path("here/copy")).unwrap();
    symlink(home.path("outside"), home.path("here/copy/docs")).unwrap();
    // Into the folder, where the name is taken by a link to the outside.
    let ended = told(
        &home,
        "a link in the way",
        &["get", "{S}", "copy/", "--overwrite", "always"],
        Arc::new(|_, _| None),
    );
    assert_ne!(ended.status.code(), Some(0), "{}", ended.said());
    assert!(ended.said().contains("tow: "), "{}", ended.said());
}
