//! Sources that do not hold still while they are read: one that shrinks, grows, vanishes or is replaced at some moment. What arrives is
//! one of its states, never a mixture.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::world::{World, check_words, ended, fraction, noise, parts, rounds};

const LARGE_BYTES: usize = 12_000_000;

/// What happens to a source, and how.
type Change = (&'static str, fn(&Path));

const CHANGES: [Change; 4] =
    [("shrinks", shrink), ("grows", grow), ("vanishes", vanish), ("is replaced", replace)];

fn shrink(file: &Path) {
    fs::File::options().write(true).open(file).unwrap().set_len(5_000_001).unwrap();
}

fn grow(file: &Path) {
    fs::File::options().append(true).open(file).unwrap().write_all(&noise(3_000_000, 7)).unwrap();
}

fn vanish(file: &Path) {
    fs::remove_file(file).unwrap();
}

fn replace(file: &Path) {
    let other = file.with_extension("new");
    fs::write(&other, noise(LARGE_BYTES, 8)).unwrap();
    fs::rename(other, file).unwrap();
}

fn check(verb: &str, (what, change): Change) {
    let mut took = Duration::from_secs(1);
    for round in 0..=rounds(3) {
        let world = World::new(0, LARGE_BYTES);
        let towd = world.serve();
        let (from, to, source, destination) = match verb {
            "put" => ("tree/large".to_owned(), towd.target("/got"), "local/tree/large", "served/got"),
            "get" => {
                fs::rename(world.at("local/tree"), world.at("served/tree")).unwrap();
                (towd.target("/tree/large"), "got".to_owned(), "served/tree/large", "local/got")
            }
            _ => ("tree/large".to_owned(), "got".to_owned(), "local/tree/large", "local/got"),
        };
        let (source, destination) = (world.at(source), world.at(destination));
        let old = b"an older one".to_vec();
        fs::write(&destination, &old).unwrap();
        let before = fs::read(&source).unwrap();
        let words = [verb, "--overwrite", "always", &from, &to];
        let what = format!("{verb}, {what}, round {round}");
        let began = Instant::now();
        let tow = world.tow(&words).spawn().unwrap();
        // The first one tells how long it takes: it changes when all is over.
        let (output, after);
        if round == 0 {
            output = ended(tow);
            took = began.elapsed();
            change(&source);
        } else {
            std::thread::sleep(took.mul_f64(fraction(round as u64)));
            change(&source);
            output = ended(tow);
        }
        after = fs::read(&source).ok();
        check_words(&output, &what);
        let got = fs::read(&destination).unwrap();
        let grown_prefix =
            after.as_ref().is_some_and(|after| after.starts_with(&got) && got.len() >= before.len());
        let is_state = got == before || Some(&got) == after.as_ref() || grown_prefix;
        match output.status.code() {
            Some(0) => assert!(is_state, "{what}: {} bytes that were never there", got.len()),
            Some(1 | 4) => assert!(got == old, "{what}: it failed and changed the destination"),
            code => panic!("{what}: {code:?} {output:?}"),
        }
        assert!(parts(destination.parent().unwrap()).is_empty(), "{what}");
        // And again, now that the source holds still.
        let output = world.run(&words);
        let expected = if after.is_some() { 0 } else { 4 };
        assert_eq!(output.status.code(), Some(expected), "{what}: {output:?}");
        let holds = fs::read(&destination).unwrap();
        assert!(holds == after.unwrap_or(got), "{what}: the repetition is not the source");
    }
}

#[test]
fn f28_a_source_that_changes_while_it_is_put_arrives_as_it_was_once() {
    for change in CHANGES {
        check("put", change);
    }
}

#[test]
fn f28_a_source_that_changes_while_it_is_got_arrives_as_it_was_once() {
    for change in CHANGES {
        check("get", change);
    }
}

#[test]
fn f28_a_source_that_changes_while_it_is_copied_arrives_as_it_was_once() {
    for change in CHANGES {
        check("cp", change);
    }
}
