//! A client or a server that is killed at some moment, without warning.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::towd::Towd;
use crate::world::{
    Tree, World, check_between, check_whole, check_words, ended, fraction, older, parts, rounds, swept, tree,
    until,
};

const SMALL_FILES: usize = 40;
/// So large that it goes on where it was cut off.
const LARGE_BYTES: usize = 18_000_000;

/// Which way the tree goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Put,
    Get,
    Move,
}

struct Round {
    world: World,
    way: Way,
    old: Tree,
    new: Tree,
}

impl Round {
    /// In every second round what is there has much of the new large file, so that not all of it moves.
    fn new(way: Way, number: usize) -> Self {
        let world = World::new(SMALL_FILES, LARGE_BYTES);
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
        Self { world, way, old, new }
    }

    fn source(&self) -> &'static str {
        if self.way == Way::Get { "served/tree" } else { "local/tree" }
    }

    fn destination(&self) -> &'static str {
        if self.way == Way::Get { "local/in/tree" } else { "served/in/tree" }
    }

    fn words(&self, towd: &Towd) -> [String; 5] {
        let words = match self.way {
            Way::Put => ["put", "tree", &towd.target("/in/")],
            Way::Get => ["get", &towd.target("/tree"), "in/"],
            Way::Move => ["mv", "tree", &towd.target("/in/")],
        };
        let [verb, from, to] = words.map(str::to_owned);
        [verb, "--overwrite".to_owned(), "always".to_owned(), from, to]
    }

    /// What is there between the kill and the repetition.
    fn check(&self, what: &str) {
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
    fn repeat(&self, towd: &Towd, what: &str) {
        let listed = if self.way == Way::Get { "in/tree".to_owned() } else { towd.target("/in/tree") };
        self.world.assert_no_part_is_shown(&listed);
        if self.world.at(self.source()).exists() {
            let words = self.words(towd);
            let output = self.world.run(&words.each_ref().map(String::as_str));
            assert!(output.status.success(), "{what}: the repetition failed: {output:?}");
        }
        check_whole(&self.world.at(self.destination()), &self.new, what);
        let folder = self.world.at(self.destination());
        assert_eq!(swept(folder.parent().unwrap()), Vec::<PathBuf>::new(), "{what}: not swept");
        assert!(self.way != Way::Move || !self.world.at(self.source()).exists(), "{what}: the source stays");
    }
}

/// How long it takes when nobody is killed.
fn undisturbed(way: Way) -> Duration {
    let round = Round::new(way, 0);
    let towd = round.world.serve();
    let began = Instant::now();
    let words = round.words(&towd);
    let output = round.world.run(&words.each_ref().map(String::as_str));
    assert!(output.status.success(), "{way:?}: {output:?}");
    let took = began.elapsed();
    check_whole(&round.world.at(round.destination()), &round.new, "undisturbed");
    took
}

fn moment(took: Duration, round: usize) -> Duration {
    took.mul_f64(1.05 * fraction(round as u64))
}

fn kill_clients(way: Way) {
    let took = undisturbed(way);
    for number in 0..rounds(4) {
        let what = format!("{way:?}, client killed, round {number}");
        let round = Round::new(way, number);
        let towd = round.world.serve();
        let words = round.words(&towd);
        let mut tow = round.world.tow(&words.each_ref().map(String::as_str)).spawn().unwrap();
        std::thread::sleep(moment(took, number));
        let _ = tow.kill();
        ended(tow);
        if way != Way::Get {
            // The server is alive: it leaves nothing but what may be taken up again.
            until("no small part is left", || parts(&round.world.at("served")).len() <= 1);
        }
        round.check(&what);
        round.repeat(&towd, &what);
    }
}

fn kill_servers(way: Way) {
    let took = undisturbed(way);
    for number in 0..rounds(4) {
        let what = format!("{way:?}, server killed, round {number}");
        let round = Round::new(way, number);
        let towd = round.world.serve();
        let words = round.words(&towd);
        let tow = round.world.tow(&words.each_ref().map(String::as_str)).spawn().unwrap();
        std::thread::sleep(moment(took, number + 500));
        towd.kill();
        let output = ended(tow);
        check_words(&output, &what);
        match output.status.code() {
            Some(0) => check_whole(&round.world.at(round.destination()), &round.new, &what),
            code => assert_eq!(code, Some(3), "{what}: {output:?}"),
        }
        if way == Way::Get {
            // The client is alive: it leaves nothing but what may be taken up again.
            assert!(parts(&round.world.at("local/in")).len() <= 1, "{what}");
        }
        round.check(&what);
        round.repeat(&round.world.serve(), &what);
    }
}

#[test]
fn a_client_that_is_killed_while_it_puts_leaves_old_or_whole_files() {
    kill_clients(Way::Put);
}

#[test]
fn a_client_that_is_killed_while_it_gets_leaves_old_or_whole_files() {
    kill_clients(Way::Get);
}

#[test]
fn a_client_that_is_killed_while_it_moves_loses_nothing() {
    kill_clients(Way::Move);
}

#[test]
fn a_server_that_is_killed_while_it_takes_leaves_old_or_whole_files() {
    kill_servers(Way::Put);
}

#[test]
fn a_server_that_is_killed_while_it_gives_leaves_old_or_whole_files() {
    kill_servers(Way::Get);
}

#[test]
fn a_server_that_is_killed_during_a_move_loses_nothing() {
    kill_servers(Way::Move);
}
