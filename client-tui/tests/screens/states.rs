//! Every state of the screen, at the size of an old terminal, of a usual window, and of the smallest that will do.

use towpath::app::effect::{Effect, Timer};
use towpath::app::event::Event;
use towpath::config::{Background, Colors};
use towpath::model::kept::{KeptJob, LeftJob};
use towpath::model::{
    Carry, Conflict, ConflictKind, JobId, JobProgress, LinkId, Outlook, Question, QuestionKind, Side,
};
use towpath_protocol::entry::Kind;
use towpath_protocol::fault::FaultCode;
use towpath_protocol::path::Location;

use crate::names::nasty_names;
use crate::picture::{NOW_NS, picture};
use crate::world::{World, attributes, file, folder, link, path, photos};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 10)];

/// Compares with what was accepted, at all sizes.
fn assert_looks(world: &mut World, name: &str) {
    for size in SIZES {
        assert_looks_in(world, name, Colors::True, size, "");
    }
}

fn assert_looks_in(world: &mut World, name: &str, colors: Colors, size: (u16, u16), suffix: &str) {
    assert_looks_on(world, name, (colors, Background::Dark), size, suffix);
}

fn assert_looks_on(
    world: &mut World,
    name: &str,
    (colors, background): (Colors, Background),
    size: (u16, u16),
    suffix: &str,
) {
    world.resize(size);
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let name = format!("{name}-{}x{}{suffix}", size.0, size.1);
    settings.bind(|| insta::assert_snapshot!(name, picture(&world.app, colors, background, size)));
}

#[test]
fn two_panes() {
    let mut world = World::connected();
    assert_looks(&mut world, "first");
    world.press("Tab Down");
    assert_looks(&mut world, "other-pane");
}

#[test]
fn few_colours_or_none() {
    let mut world = World::connected();
    world.press("Down Space Space Down");
    for (colors, suffix) in
        [(Colors::Indexed, "-indexed"), (Colors::Sixteen, "-sixteen"), (Colors::Off, "-no-colour")]
    {
        assert_looks_in(&mut world, "marks", colors, (80, 24), suffix);
    }
    for (colors, suffix) in [
        (Colors::True, "-on-light"),
        (Colors::Indexed, "-indexed-on-light"),
        (Colors::Sixteen, "-sixteen-on-light"),
    ] {
        assert_looks_on(&mut world, "marks", (colors, Background::Light), (80, 24), suffix);
    }
    world.press("F8");
    assert_looks_in(&mut world, "delete", Colors::Sixteen, (80, 24), "-sixteen");
    assert_looks_in(&mut world, "delete", Colors::Off, (80, 24), "-no-colour");
    world.press("Esc F7");
    assert_looks_in(&mut world, "make-folder", Colors::Off, (80, 24), "-no-colour");
}

#[test]
fn a_folder_that_is_being_read() {
    let mut world = World::new("/home/ann/photos", "/home/ann");
    world.answers = false;
    world.begin();
    let generation = world.app.pane(Side::Left).generation;
    assert_looks(&mut world, "loading-nothing-yet");
    world.send(Event::Listed { generation, total: 100_000, entries: photos() });
    world.send(Event::Tick);
    assert_looks(&mut world, "loading");
}

#[test]
fn marks_and_what_they_hold() {
    let mut world = World::connected();
    world.press("Down Space Space Down Down Space");
    world.press("Down Down Space Space Space");
    assert_looks(&mut world, "marks");
    world.press("#");
    assert_looks(&mut world, "human-sizes");
    world.press("#");
    assert_looks(&mut world, "bytes");
}

#[test]
fn a_filter_and_a_search() {
    let mut world = World::connected();
    world.press("f");
    world.write("raw-000");
    assert_looks(&mut world, "filter-typed");
    world.press("Enter");
    assert_looks(&mut world, "filter");
    world.press("f");
    world.write("zzz");
    assert_looks(&mut world, "filter-of-nothing");
    world.press("Esc /");
    world.write("raw-0012");
    assert_looks(&mut world, "find");
}

#[test]
fn a_first_key_waits_for_its_second() {
    let mut world = World::connected();
    world.press("g");
    assert_looks_in(&mut world, "second-after-g", Colors::True, (80, 24), "");
    world.press("g ,");
    assert_looks(&mut world, "second-after-comma");
}

#[test]
fn sorted_another_way() {
    let mut world = World::connected();
    world.press(", s");
    assert_looks(&mut world, "sorted-by-size");
}

#[test]
fn names_that_are_long_wide_or_nasty() {
    let mut world =
        World::new("/nasty", "/home/ann/a folder/whose path/goes on and on/until it is/too long to show");
    let nasty = nasty_names();
    let (first, second) = nasty.split_at(nasty.len() / 2);
    world.folder(LinkId::LOCAL, "/nasty", first.iter().map(|name| file(name, 1_000_000, 1)).collect());
    world.folder(
        LinkId::LOCAL,
        "/home/ann/a folder/whose path/goes on and on/until it is/too long to show",
        second.iter().map(|name| file(name, 1_000_000, 1)).collect(),
    );
    world.begin();
    assert_looks(&mut world, "nasty-names");
    world.press("End Tab End");
    assert_looks(&mut world, "nasty-names-end");
    world.press("F8");
    assert_looks(&mut world, "nasty-names-delete");
}

#[test]
fn links_and_things_that_are_no_files() {
    let mut world = World::new("/dev", "/");
    let special = |text: &str, kind| {
        let mut entry = file(text, 0, 2);
        entry.attributes.kind = kind;
        entry
    };
    world.folder(
        LinkId::LOCAL,
        "/dev",
        vec![
            link("to-a-folder", "../etc", Some(Kind::Folder)),
            link("to-a-file", "/etc/hosts", Some(Kind::File)),
            link("to-nowhere", "gone/and/lost", None),
            link(
                "far",
                "../../../../a/very/long/way/to/something/that-has-a-long-name.tar.gz",
                Some(Kind::File),
            ),
            special("fifo", Kind::Fifo),
            special("socket", Kind::Socket),
            special("tty", Kind::CharacterDevice),
            special("disk", Kind::BlockDevice),
        ],
    );
    world.folder(LinkId::LOCAL, "/", vec![folder("dev", 3)]);
    world.begin();
    assert_looks(&mut world, "links");
}

#[test]
fn an_empty_folder_and_one_that_may_not_be_read() {
    let mut world = World::new("/empty", "/closed");
    world.folder(LinkId::LOCAL, "/empty", Vec::new());
    world.fault(LinkId::LOCAL, "/closed", FaultCode::PermissionDenied);
    world.begin();
    assert_looks(&mut world, "empty-and-unreadable");
}

#[test]
fn a_connection_that_is_lost() {
    let mut world = World::connected();
    world.send(Event::Disconnected {
        link: LinkId(1),
        why: "the connection was lost".to_owned(),
        at_ns: NOW_NS,
    });
    assert_looks(&mut world, "lost");
    assert_looks_in(&mut world, "lost", Colors::True, (160, 45), "");
    world.press("Tab Down");
    assert_looks(&mut world, "lost-trying");
    let why = "nothing listens there; is towd running?".to_owned();
    world.send(Event::NotConnected { link: LinkId(1), why, outlook: Outlook::MayPass, at_ns: NOW_NS });
    assert_looks(&mut world, "lost-again");
    world.press("Esc");
    assert_looks(&mut world, "lost-active");
}

#[test]
fn questions() {
    let mut world = World::connected();
    world.press("Down Space Space Space F8");
    assert_looks(&mut world, "delete-counting");
    world.measured(412, 3, 886_610_000);
    assert_looks(&mut world, "delete");
    world.press("Right");
    assert_looks(&mut world, "delete-yes");
    world.press("Esc F5");
    assert_looks(&mut world, "copy");
    world.press("Esc F2");
    assert_looks(&mut world, "rename");
    world.press("Esc F7");
    assert_looks(&mut world, "make-folder");
    world.press("Esc :");
    world.write("connme tow://box:7171/pictures");
    assert_looks(&mut world, "command-line");
}

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
    world.send(Event::Waited(Timer::Hands));
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
    world.send(Event::Waited(Timer::Hands));
    assert_looks(&mut world, "no-room");
}

/// Three files are on their way.
fn copying() -> World {
    let mut world = World::connected();
    world.press("End Space Up Up Space Up Up Space F5 Enter");
    world
}

fn progress(world: &mut World, id: JobId, tenth: u64, current: (&str, u64, u64)) {
    let (name, done, size) = current;
    let now = JobProgress {
        files: 1,
        files_total: 3,
        bytes: 7_421_000 * tenth,
        bytes_total: 74_210_000,
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
        },
    };
    let up = ("", "tow://box");
    let long = ["raw-0001-of-the-whole-archive-with-a-name-that-is-longer-than-most.dng"];
    let mut jobs = vec![
        job(1, Carry::Copy, up, &["2023", "2024"], Some((412, 886_610_000))),
        job(2, Carry::Move, ("ssh://ann@attic", ""), &long, None),
    ];
    world.send(Event::JobsLeft(jobs.clone()));
    world.send(Event::Waited(Timer::Hands));
    assert_looks(&mut world, "left");
    world.press("Esc");
    jobs.extend((3..12).map(|ticket| job(ticket, Carry::Copy, up, &["exports"], None)));
    world.send(Event::JobsLeft(jobs));
    world.send(Event::Waited(Timer::Hands));
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

#[test]
fn ranges_pasting_and_completion() {
    let mut world = World::connected();
    world.press("Down v Down Down");
    assert_looks_in(&mut world, "range", Colors::True, (80, 24), "");
    world.press("y Tab p");
    assert_looks_in(&mut world, "paste", Colors::True, (80, 24), "");
    world.press("Esc :");
    world.write("c");
    world.press("Tab");
    assert_looks_in(&mut world, "completion", Colors::True, (80, 24), "");
}

#[test]
fn connections_that_are_made_and_ended() {
    let mut world = World::new("/home/ann/photos", "/home/ann");
    world.folder(LinkId::LOCAL, "/home/ann/photos", photos());
    world.folder(LinkId::LOCAL, "/home/ann", Vec::new());
    world.begin();
    let effect = world.app.open_on(Side::Right, "tow://box:7171/pictures");
    let Effect::Connect { link, .. } = effect else { panic!("{effect:?}") };
    assert_looks(&mut world, "connecting");
    let why = "nothing listens there; is towd running?".to_owned();
    world.send(Event::NotConnected { link, why, outlook: Outlook::MayPass, at_ns: NOW_NS });
    assert_looks(&mut world, "not-connected");
    let mut world = copying();
    world.press(":");
    world.write("byebye");
    world.press("Enter");
    assert_looks(&mut world, "byebye-stops-jobs");
}

const HOST_KEY: &str = "The authenticity of host '[127.0.0.1]:2222 ([127.0.0.1]:2222)' can't be established.\nED25519 key fingerprint is \
    SHA256:3yX6yFzNWS7c0cBaSIMR0t2J4pVGzVb0bfFEzWvO1nU.\nThis key is not known by any other names.\nAre you sure you want to continue \
    connecting (yes/no/[fingerprint])?";

#[test]
fn what_ssh_asks() {
    let mut world = World::new("/home/ann/photos", "/home/ann");
    world.begin();
    let effect = world.app.open_on(Side::Right, "ssh://ann@box/srv");
    let Effect::Connect { link, .. } = effect else { panic!("{effect:?}") };
    let mut ticket = 0;
    let mut ask = |world: &mut World, kind, text: &str, is_again| {
        world.send(Event::QuestionOver { ticket });
        ticket += 1;
        let question = Question { ticket, kind, text: text.to_owned(), is_again };
        world.send(Event::Questioned { link, question });
        world.send(Event::Waited(Timer::Hands));
    };
    let passphrase = "Enter passphrase for key '/home/ann/.ssh/id_ed25519':";
    ask(&mut world, QuestionKind::Secret, passphrase, false);
    world.write("open");
    assert_looks(&mut world, "ssh-passphrase");
    ask(&mut world, QuestionKind::Secret, passphrase, true);
    assert_looks_in(&mut world, "ssh-passphrase-again", Colors::True, (80, 24), "");
    ask(&mut world, QuestionKind::Confirm, HOST_KEY, false);
    assert_looks(&mut world, "ssh-host-key");
    ask(&mut world, QuestionKind::Notice, "Confirm user presence for key ED25519-SK SHA256:abc", false);
    assert_looks_in(&mut world, "ssh-touch", Colors::True, (80, 24), "");
    let text = "Neither towd nor this version of tow is on box (Linux x86_64). Copy this tow to \
        ~/.local/share/towpath/bin/tow-0.1.0 there?";
    world.send(Event::InstallOffered { link, system: "Linux x86_64".to_owned(), text: text.to_owned() });
    world.send(Event::Waited(Timer::Hands));
    assert_looks(&mut world, "install");
}

#[test]
fn the_connect_screen() {
    let mut world = World::connected();
    world.app.bookmarks.set("backup", Some("tow://box/"));
    world.app.bookmarks.set("site", Some("ssh://deploy@www.example.org/srv/www/a-rather-long-path/of/it"));
    world.press("'");
    world.send(Event::TargetsKnown {
        recent: vec!["unix:/run/user/1000/towd.sock".to_owned(), "tow://10.0.0.7:7272/photos".to_owned()],
        hosts: vec!["web-1".to_owned(), "web-2".to_owned()],
    });
    world.press("Down Down");
    assert_looks(&mut world, "connect");
    world.press("Esc '");
    world.write("nowhere");
    world.press("Enter");
    assert_looks(&mut world, "connect-nothing-known");
    world.press("Ctrl-u");
    world.write("tow://box/");
    world.press("Ctrl-b");
    assert_looks_in(&mut world, "bookmark", Colors::True, (80, 24), "");
}

#[test]
fn more_that_is_typed() {
    let mut world = World::connected();
    world.press("+");
    assert_looks_in(&mut world, "mark-by-pattern", Colors::True, (80, 24), "");
    world.press("Esc Ctrl-l");
    assert_looks_in(&mut world, "go-to", Colors::True, (80, 24), "");
    // Onto itself.
    world.press("Esc = Down F5");
    assert_looks(&mut world, "copy-refused");
    world.press("Esc :");
    world.write("help");
    world.press("Enter");
    assert_looks(&mut world, "words");
}

#[test]
fn news_and_log() {
    let mut world = World::connected();
    world.send(Event::Said {
        good: true,
        text: "copied and verified: 412 files, 812.40 MB, 2.1 s".to_owned(),
    });
    assert_looks(&mut world, "good-news");
    let text = "/home/ann/photos/a folder/with a rather long path/raw-0001.dng: no space left on the disk of tow://box";
    world.send(Event::Said { good: false, text: text.to_owned() });
    assert_looks(&mut world, "error");
    world.press("E");
    assert_looks(&mut world, "log");
}

#[test]
fn help() {
    let mut world = World::connected();
    world.press("F1");
    assert_looks(&mut world, "help");
    world.press("Down Down Down");
    assert_looks_in(&mut world, "help-scrolled", Colors::True, (40, 10), "");
}

#[test]
fn a_screen_that_is_too_small() {
    let mut world = World::connected();
    for size in [(39, 24), (80, 9), (12, 4), (1, 1)] {
        assert_looks_in(&mut world, "too-small", Colors::True, size, "");
    }
}
