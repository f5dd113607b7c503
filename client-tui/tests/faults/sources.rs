//! Sources that do not hold still while they are read: one that shrinks, grows, vanishes or is replaced at some moment. What arrives is
//! one of its states, never a mixture.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::strace::{Tracer, has_strace};
use crate::towd::Towd;
use crate::world::{World, check_words, ended, fraction, is_part, noise, parts, rounds, until};

const LARGE_BYTES: usize = 12_000_000;
const OLD: &[u8] = b"an older one";

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

/// A file that is copied over an older one.
struct Round {
    world: World,
    towd: Towd,
    source: PathBuf,
    destination: PathBuf,
    words: [String; 5],
    before: Vec<u8>,
    what: String,
}

impl Round {
    fn new(verb: &str, what: String) -> Self {
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
        fs::write(&destination, OLD).unwrap();
        let before = fs::read(&source).unwrap();
        let words = [verb, "--overwrite", "always", &from, &to].map(str::to_owned);
        Self { world, towd, source, destination, words, before, what }
    }

    fn tow_under(&self, other: &[&str]) -> Command {
        self.world.tow_under(other, &self.words.each_ref().map(String::as_str))
    }

    /// Bytes that are beside the destination.
    fn arriving(&self) -> u64 {
        let folder = self.destination.parent().unwrap();
        let parts = fs::read_dir(folder).unwrap().flatten().filter(|entry| is_part(&entry.path()));
        parts.filter_map(|part| part.metadata().ok()).map(|part| part.len()).sum()
    }

    /// What holds after any end, and after the same again, now that the source holds still.
    fn check(&self, output: &Output) {
        let what = &self.what;
        check_words(output, what);
        let after = fs::read(&self.source).ok();
        let got = fs::read(&self.destination).unwrap();
        let grown_prefix =
            after.as_ref().is_some_and(|after| after.starts_with(&got) && got.len() >= self.before.len());
        let is_state = got == self.before || Some(&got) == after.as_ref() || grown_prefix;
        match output.status.code() {
            Some(0) => assert!(is_state, "{what}: {} bytes that were never there", got.len()),
            Some(1 | 4) => {
                assert!(got == OLD, "{what}: it failed and changed the destination");
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(said.contains("large: ") && said.lines().count() == 1, "{what}: {said}");
            }
            code => panic!("{what}: {code:?} {output:?}"),
        }
        assert!(parts(self.destination.parent().unwrap()).is_empty(), "{what}");
        let output = ended(self.tow_under(&[]).spawn().unwrap());
        let expected = if after.is_some() { 0 } else { 4 };
        assert_eq!(output.status.code(), Some(expected), "{what}: {output:?}");
        let holds = fs::read(&self.destination).unwrap();
        assert!(holds == after.unwrap_or(got), "{what}: the repetition is not the source");
    }
}

/// It changes at some moment, in the first round when all is over.
fn check(verb: &str, (what, change): Change) {
    let mut took = Duration::from_secs(1);
    for number in 0..=rounds(3) {
        let round = Round::new(verb, format!("{verb}, {what}, round {number}"));
        let began = Instant::now();
        let tow = round.tow_under(&[]).spawn().unwrap();
        // The first one tells how long it takes.
        let output = if number == 0 {
            let output = ended(tow);
            took = began.elapsed();
            change(&round.source);
            output
        } else {
            std::thread::sleep(took.mul_f64(fraction(number as u64)));
            change(&round.source);
            ended(tow)
        };
        round.check(&output);
    }
}

/// It changes when some of it has arrived and some has not, since reading takes its time.
fn check_in_the_middle(verb: &str, change: Change) {
    // On a busy machine even the change takes long.
    let is_seen =
        [20, 100, 500, 2500].into_iter().any(|read_ms| changed_in_the_middle(verb, change, read_ms));
    assert!(is_seen, "{verb}, {}: it was always over already", change.0);
}

/// False if all was read before the change. Each read takes so many milliseconds.
fn changed_in_the_middle(verb: &str, (what, change): Change, read_ms: u32) -> bool {
    let round = Round::new(verb, format!("{verb}, {what} in the middle"));
    let call = if verb == "cp" { "copy_file_range" } else { "pread64" };
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:delay_enter={}", read_ms * 1000));
    let options = ["-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let (mut tow, tracer) = if verb == "get" {
        // None where it cannot be shown here.
        let Some(tracer) = Tracer::attach(&round.towd, &options) else { return true };
        (round.tow_under(&[]), Some(tracer))
    } else {
        (round.tow_under(&[&["strace", "-qq"][..], &options].concat()), None)
    };
    let is_over = || fs::read(&round.destination).unwrap() != OLD;
    let tow = tow.spawn().unwrap();
    until("some of it has arrived", || round.arriving() > 0 || is_over());
    change(&round.source);
    let may_be_in_the_middle = !is_over() && round.arriving() < LARGE_BYTES as u64;
    let output = ended(tow);
    drop(tracer);
    let (expected, words) = match what {
        "vanishes" => (4, "no such file or folder"),
        // A copy within one place takes what has come as well.
        "grows" if verb != "cp" => (0, "grew meanwhile"),
        _ => (0, ""),
    };
    let is_told =
        output.status.code() == Some(expected) && String::from_utf8_lossy(&output.stderr).contains(words);
    // Data that has not arrived may have been read already: on a busy machine the writing side falls behind. Then the change came too late.
    let was_read = output.status.success()
        && output.stderr.is_empty()
        && fs::read(&round.destination).unwrap() == round.before;
    let is_in_the_middle = may_be_in_the_middle && (is_told || !was_read);
    assert!(!is_in_the_middle || is_told, "{}: {output:?}", round.what);
    round.check(&output);
    is_in_the_middle
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

#[test]
fn f28_a_source_that_changes_in_the_middle_of_any_copy_arrives_as_it_was_once() {
    if !has_strace() {
        return;
    }
    for verb in ["put", "get", "cp"] {
        for change in CHANGES {
            check_in_the_middle(verb, change);
        }
    }
}
