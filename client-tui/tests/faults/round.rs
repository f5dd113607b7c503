//! A tree that is carried to the other side or fetched from there, over older copies of some of it, and what may be found afterwards.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::far::{Over, Server};
use crate::world::{PART, Tree, World, check_between, check_whole, ended, noise, older, parts, swept, tree};

const SMALL_FILES: usize = 40;
/// So large that it goes on where it was cut off.
const LARGE_BYTES: usize = 18_000_000;

/// Which way the tree goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Put,
    Get,
    Move,
}

pub(crate) struct Round {
    pub(crate) world: World,
    pub(crate) way: Way,
    over: Over,
    old: Tree,
    pub(crate) new: Tree,
}

impl Round {
    /// In every second round what is there has much of the new large file, so that not all of it moves.
    pub(crate) fn new(way: Way, over: Over, number: usize) -> Self {
        Self::with(way, over, number, &noise(LARGE_BYTES, 1000))
    }

    /// With a large file of its own.
    pub(crate) fn with(way: Way, over: Over, number: usize, large: &[u8]) -> Self {
        let world = World::new(SMALL_FILES, large.len());
        fs::write(world.at("local/tree/large"), large).unwrap();
        let new = tree(&world.at("local/tree"));
        if !number.is_multiple_of(2) {
            let older = older(&world.at("local/tree/large"));
            for side in ["served/in/tree", "local/in/tree"] {
                fs::write(world.at(side).join("large"), &older).unwrap();
            }
        }
        if way == Way::Get {
            fs::rename(world.at("local/tree"), world.at("served/tree")).unwrap();
        }
        // The same on both sides.
        let old = tree(&world.at("local/in/tree"));
        Self { world, way, over, old, new }
    }

    pub(crate) fn serve(&self, limits: &[&str]) -> Server {
        Server::start(&self.world, self.over, limits)
    }

    pub(crate) fn source(&self) -> &'static str {
        if self.way == Way::Get { "served/tree" } else { "local/tree" }
    }

    pub(crate) fn destination(&self) -> &'static str {
        if self.way == Way::Get { "local/in/tree" } else { "served/in/tree" }
    }

    pub(crate) fn tow(&self, server: &Server) -> Command {
        let words = match self.way {
            Way::Put => ["put", "tree", &server.target("/in/")],
            Way::Get => ["get", &server.target("/tree"), "in/"],
            Way::Move => ["mv", "tree", &server.target("/in/")],
        };
        let [verb, from, to] = words;
        server.tow(&self.world, &[verb, "--json", "--overwrite", "always", from, to])
    }

    /// What is there between the kill and the repetition.
    pub(crate) fn check(&self, what: &str) {
        let destination = self.world.at(self.destination());
        check_between(&destination, &self.old, &self.new, what);
        if self.way == Way::Move {
            let (here, there) = (tree(&self.world.at(self.source())), tree(&destination));
            for (path, thing) in &self.new {
                let is_somewhere = here.get(path) == Some(thing) || there.get(path) == Some(thing);
                assert!(is_somewhere, "{what}: {} is lost", path.display());
            }
        }
    }

    /// The same again: it completes the work, except where a move had removed its source already.
    pub(crate) fn repeat(&self, server: &Server, what: &str) {
        let listed = if self.way == Way::Get { "in/tree".to_owned() } else { server.target("/in/tree") };
        let listed = ended(server.tow(&self.world, &["ls", "--all", &listed]).spawn().unwrap());
        assert!(!String::from_utf8_lossy(&listed.stdout).contains(PART), "{what}: {listed:?}");
        if self.world.at(self.source()).exists() {
            let output = ended(self.tow(server).spawn().unwrap());
            assert!(output.status.success(), "{what}: the repetition failed: {output:?}");
            // It used what was left, or removed it.
            let left = parts(&self.world.at(self.destination()));
            assert_eq!(left, Vec::<PathBuf>::new(), "{what}: the repetition leaves parts");
        }
        check_whole(&self.world.at(self.destination()), &self.new, what);
        let folder = self.world.at(self.destination());
        assert_eq!(swept(folder.parent().unwrap()), Vec::<PathBuf>::new(), "{what}: not swept");
        assert!(self.way != Way::Move || !self.world.at(self.source()).exists(), "{what}: the source stays");
    }
}
