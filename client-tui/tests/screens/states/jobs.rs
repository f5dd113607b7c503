//! Jobs: how far they are, what is in their way, and what was left of them.

use towpath::app::effect::Timer;
use towpath::app::event::Event;
use towpath::config::Colors;
use towpath::model::kept::{KeptJob, LeftJob};
use towpath::model::{Carry, Conflict, ConflictKind, JobId, JobProgress, LinkId};
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::path::Location;

use super::{assert_looks, assert_looks_in, copying};
use crate::picture::NOW_NS;
use crate::world::{World, attributes, path};

#[test]
fn conflicts() {
    let mut world = copying();
    let kinds = [
        (ConflictKind::Newer, Kind::File, 24_123_456, 15_500_000, "raw-0001.dng"),
        (ConflictKind::Older, Kind::File, 9_000, 15_500_000, "2024/notes/a rather long name of a file.md"),
        (ConflictKind::SameTime, Kind::File, 24_123_456, 1_932_110_000, "tour-of-2019.tar.gz"),
        (ConflictKind::Folder, Kind::Folder, 0, 0, "2023"),
        (ConflictKind::LinkOrFile, Kind::Link, 12, 0, "latest"),
    ];
    for (id, (kind, there_kind, here, there, name)) in (1..).zip(kinds) {
        let days = match kind {
            ConflictKind::Newer => (3, 41),
            ConflictKind::Older => (41, 3),
            _ => (7, 7),
        };
        let conflict = Conflict {
            id,
            kind,
            from: Location { base: path("/home/ann/photos"), path: path(name) },
            to: Location { base: path("/backup"), path: path(name) },
            source: attributes(Kind::File, here, days.0),
            there: Some(attributes(there_kind, there, days.1)),
        };
        world.send(Event::JobConflict { id: JobId(1), conflict });
        if id == 1 {
            assert_looks_in(&mut world, "conflict-just-come", Colors::True, (80, 24), "");
        }
    }
    assert_looks(&mut world, "conflicts-wait");
    world.press("o");
    world.send(Event::Waited(Timer::Held));
    assert_looks(&mut world, "conflicts");
    world.press("t Right");
    assert_looks(&mut world, "conflicts-of-a-kind");
    world.press("t j =");
    world.send(Event::JobCompared { id: JobId(1), conflict: 2, outcome: Ok(false) });
    world.press("j j");
    assert_looks(&mut world, "conflicts-folder");
    world.press("k k");
    assert_looks(&mut world, "conflicts-compared");
    world.press("Esc w");
    assert_looks_in(&mut world, "conflicts-put-away", Colors::True, (80, 24), "");
}

#[test]
fn a_destination_without_room() {
    let mut world = copying();
    world.send(Event::JobShort { id: JobId(1), needed: 1_987_150_000, free: 512_000_000 });
    world.press("o");
    assert_looks(&mut world, "no-room");
}

fn progress(world: &mut World, id: JobId, tenth: u64, current: (&str, u64, u64)) {
    let (name, done, size) = current;
    let now = JobProgress {
        files: 1,
        files_total: 3,
        bytes: 7_421_000 * tenth,
        bytes_total: 74_210_000,
        arrived_bytes: 0,
        reused: 0,
        growing: false,
        current: Some((name.to_owned(), done, size)),
        elapsed_ms: 500 * tenth,
        bytes_per_second: 14_842_000,
        left_seconds: Some((10 - tenth) / 2),
    };
    world.send(Event::JobProgress { id, now });
}

#[test]
fn jobs() {
    let mut world = copying();
    assert_looks(&mut world, "job-begun");
    for tenth in 1..=4 {
        progress(&mut world, JobId(1), tenth, ("raw-0001.dng", tenth * 4_000_000, 24_610_000));
    }
    assert_looks(&mut world, "job");
    assert_looks_in(&mut world, "job", Colors::Off, (80, 24), "-no-colour");
    for _ in 0..2 {
        world.press("Down F5 Enter");
    }
    progress(
        &mut world,
        JobId(2),
        9,
        ("raw-0002-with-a-name-that-is-longer-than-its-column.dng", 1, 24_610_000),
    );
    assert_looks(&mut world, "jobs");
    for _ in 0..6 {
        world.press("Down F5 Enter");
    }
    assert_looks(&mut world, "jobs-many");
    world.press("w p Down");
    world.send(Event::JobSaid { id: JobId(2), good: false, path: None, text: "no".to_owned() });
    world.press("%");
    world.write("5");
    assert_looks_in(&mut world, "jobs-rate", Colors::True, (80, 24), "");
    world.press("Enter");
    world.send(Event::JobEnded {
        id: JobId(3),
        good: true,
        stopped: None,
        text: "copied and verified: 3 files, 74.21 MB, 5.0 s".to_owned(),
        done: Vec::new(),
    });
    assert_looks(&mut world, "jobs-list");
    world.press("x");
    assert_looks(&mut world, "cancel");
    world.press("y");
    assert_looks_in(&mut world, "jobs-list-stopping", Colors::True, (80, 24), "");
    world.press("Esc q");
    assert_looks(&mut world, "quit");
}

#[test]
fn jobs_that_do_not_get_on() {
    let mut world = copying();
    world.press("Down F5 Enter");
    for tenth in 1..=3 {
        progress(&mut world, JobId(1), tenth, ("raw-0001.dng", tenth * 4_000_000, 24_610_000));
    }
    for (name, why) in [("raw-0002.dng", "permission denied"), ("raw-0003.dng", "no space left on the disk")]
    {
        let path = Some(path(&format!("/home/ann/photos/{name}")));
        world.send(Event::JobSaid { id: JobId(1), good: false, path, text: why.to_owned() });
    }
    // The other one was cut off.
    world.send(Event::JobEnded {
        id: JobId(2),
        good: false,
        stopped: Some(FaultCode::Disconnected.into()),
        text: "copied and verified: 0 files".to_owned(),
        done: Vec::new(),
    });
    let link = LinkId(1);
    world.send(Event::Disconnected {
        link,
        why: "nothing was heard for 45 seconds".to_owned(),
        at_ns: NOW_NS,
    });
    let now = JobProgress { elapsed_ms: 42_000, bytes_per_second: 0, left_seconds: None, ..still(&world) };
    world.send(Event::JobProgress { id: JobId(1), now });
    world.press("w");
    assert_looks(&mut world, "jobs-held-up");
}

/// How far the first job was.
fn still(world: &World) -> JobProgress {
    world.app.jobs.iter().find(|job| job.id == JobId(1)).unwrap().now.clone()
}

#[test]
fn jobs_that_were_left() {
    let mut world = World::connected();
    let items = |names: &[&str]| {
        let item =
            |name: &&str| (path(&format!("/home/ann/photos/{name}")), path(&format!("/backup/{name}")));
        names.iter().map(item).collect()
    };
    let job = |ticket, carry, (source, destination): (&str, &str), names: &[&str], totals| LeftJob {
        ticket,
        begun_ns: NOW_NS - 26 * 3_600_000_000_000,
        job: KeptJob {
            carry,
            source: source.to_owned(),
            destination: destination.to_owned(),
            items: items(names),
            existing: None,
            limit: None,
            totals,
            place: ticket,
            limit_of_all: None,
        },
    };
    let up = ("", "tow://box");
    let long = ["raw-0001-of-the-whole-archive-with-a-name-that-is-longer-than-most.dng"];
    let mut jobs = vec![
        job(1, Carry::Copy, up, &["2023", "2024"], Some((412, 886_610_000))),
        job(2, Carry::Move, ("ssh://ann@attic", ""), &long, None),
    ];
    world.send(Event::JobsLeft(jobs.clone()));
    assert_looks_in(&mut world, "left-waits", Colors::True, (80, 24), "");
    world.press("o");
    assert_looks(&mut world, "left");
    world.press("f");
    assert_looks_in(&mut world, "left-discard", Colors::True, (80, 24), "");
    world.press("Esc Esc");
    jobs = (3..12).map(|ticket| job(ticket, Carry::Copy, up, &["exports"], None)).collect();
    world.send(Event::JobsLeft(jobs));
    world.press("o");
    assert_looks(&mut world, "left-many");
}

#[test]
fn a_job_that_deletes() {
    let mut world = World::connected();
    world.press("Down Ctrl-a F8");
    world.measured(412, 3, 886_610_000);
    world.press("y");
    let now = JobProgress { files: 103, files_total: 415, elapsed_ms: 900, ..JobProgress::default() };
    world.send(Event::JobProgress { id: JobId(1), now });
    assert_looks(&mut world, "job-deletes");
}
