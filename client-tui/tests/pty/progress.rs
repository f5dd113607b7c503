//! Progress over lost connections: no figure of a job falls back on any frame that a person sees, and what was there already is no speed.

use std::cell::Cell;
use std::fs;

use rustix::process::Signal;

use crate::keeping::{connect, large, limit, serve};
use crate::pty::Pty;
use crate::stage::{CTRL_A, F5, F6, Folders, agree, go_to, open_question, quit, wait_for_disk};

const COLUMNS: u16 = 120;
const ROWS: u16 = 40;
const FRAME_END: &[u8] = b"\x1b[?2026l";
/// So many files that the plan is not complete while most of them wait: it may be ahead by 1,024, and by what is under way.
const FILES: usize = 2_400;
const FILE_BYTES: usize = 16_000;
/// Files that have arrived when the server is killed.
const CUT_AFTER: usize = 400;

/// What the strip and the top line say of the only job.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Figures {
    /// `None` while the total grows.
    percent: Option<u64>,
    megabytes: f64,
    files: u64,
    megabytes_per_second: f64,
}

/// The screen after each frame that was written whole.
fn frames(written: &[u8]) -> Vec<Vec<String>> {
    let mut emulator = vt100::Parser::new(ROWS.try_into().unwrap(), COLUMNS.try_into().unwrap(), 0);
    let ends = (0..written.len()).filter(|at| written[*at..].starts_with(FRAME_END));
    let mut from = 0;
    ends.map(|end| {
        emulator.process(&written[from..end]);
        from = end;
        emulator.screen().rows(0, COLUMNS).collect()
    })
    .collect()
}

fn number(text: &str) -> f64 {
    let digits: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    digits.parse().unwrap_or_else(|_| panic!("no number: {text:?}"))
}

/// `None` where no job is shown.
fn figures(frame: &[String]) -> Option<Figures> {
    let row = frame.iter().rev().find(|row| row.contains(" → ") && row.contains(" MB "))?;
    let top = frame.iter().find(|row| row.contains(" file") && row.contains("/s · "))?;
    let sizes = row.split("  ").find(|part| part.contains(" / "))?;
    let percent = row.split_whitespace().find_map(|word| word.strip_suffix('%'));
    let (rate, files) = top.split_once("/s · ")?;
    let rate = rate.rsplit(" · ").next()?;
    let unit = if rate.contains("GB") { 1e3 } else { 1.0 };
    let is_less = !rate.contains("MB") && !rate.contains("GB");
    Some(Figures {
        percent: percent.map(|percent| number(percent) as u64),
        megabytes: number(sizes.split(" / ").next()?),
        files: number(files.split(" of ").next()?) as u64,
        megabytes_per_second: if is_less { 0.0 } else { number(rate) * unit },
    })
}

/// Asserts that nothing falls back, and returns all that was shown.
fn shown(pty: &Pty, limit: f64) -> Vec<Figures> {
    let all: Vec<Figures> = frames(&pty.written()).iter().filter_map(|frame| figures(frame)).collect();
    assert!(all.len() > 10, "too little was seen: {all:?}");
    for pair in all.windows(2) {
        let [then, now] = pair else { unreachable!() };
        let text = format!("{then:?}, then {now:?}");
        assert!(now.megabytes >= then.megabytes, "bytes fall back: {text}");
        assert!(now.files >= then.files, "files fall back: {text}");
        assert!(now.percent >= then.percent, "the percentage falls back: {text}");
        // The limit holds over a tenth of a second or so, and at the beginning the rate looks back no further; what was there already, counted
        // so, would be eight times the limit and more.
        assert!(now.megabytes_per_second < 4.0 * limit, "what did not move is speed: {text}");
    }
    all
}

fn album(folders: &Folders) {
    fs::create_dir(folders.left("album")).unwrap();
    for number in 0..FILES {
        fs::write(folders.left(format!("album/{number:04}")), vec![number as u8; FILE_BYTES]).unwrap();
    }
}

fn arrived(folders: &Folders) -> usize {
    fs::read_dir(folders.right("album")).map_or(0, Iterator::count)
}

/// The last figures that are on the screen now.
fn on_screen(pty: &Pty) -> Figures {
    let found = Cell::new(None);
    pty.wait_until("figures of a job", |screen| {
        let frame: Vec<String> = screen.rows(0, COLUMNS).collect();
        found.set(figures(&frame));
        found.get().is_some()
    });
    found.get().unwrap()
}

#[test]
fn a_job_whose_plan_grows_keeps_its_figures_over_killed_servers() {
    for (key, title) in [(F5, "Copy"), (F6, "Move")] {
        let folders = Folders::new();
        album(&folders);
        let mut server = serve(&folders);
        let mut pty = connect(&folders, &server);
        limit(&mut pty, 8);
        go_to(&mut pty, "album");
        pty.forget_bytes();
        pty.press(key);
        agree(&mut pty, title);
        for killed in 1..=2 {
            wait_for_disk(&pty, "the first of them", || arrived(&folders) > killed * CUT_AFTER);
            server.kill();
            pty.wait_for("disconnected today");
            pty.wait_for("waits");
            let away = on_screen(&pty);
            assert!(away.files > 0 && away.megabytes > 0.0, "{title}: {away:?}");
            server = serve(&folders);
            pty.wait_until("it goes on", |screen| {
                let frame: Vec<String> = screen.rows(0, COLUMNS).collect();
                figures(&frame).is_some_and(|now| now.files > away.files)
            });
        }
        pty.wait_for(if key == F5 { "✓ copied and verified" } else { "✓ moved and verified" });
        let all = shown(&pty, 8.0);
        assert!(all.iter().any(|figures| figures.percent.is_none()), "the plan was complete at once");
        assert_eq!(arrived(&folders), FILES, "{title}");
        quit(pty);
    }
}

#[test]
fn a_large_file_keeps_its_percentage_over_a_killed_server_and_a_killed_tow() {
    let folders = Folders::new();
    large(&folders);
    let mut server = serve(&folders);
    let mut pty = connect(&folders, &server);
    limit(&mut pty, 20);
    go_to(&mut pty, "large");
    pty.forget_bytes();
    pty.press(F5);
    agree(&mut pty, "Copy");
    let is_at = |percent| {
        move |screen: &vt100::Screen| {
            let frame: Vec<String> = screen.rows(0, COLUMNS).collect();
            figures(&frame).and_then(|now| now.percent).is_some_and(|now| now >= percent)
        }
    };
    pty.wait_until("a quarter of it", is_at(40));
    server.kill();
    pty.wait_for("waits");
    assert!(on_screen(&pty).percent >= Some(40), "{:?}", on_screen(&pty));
    server = serve(&folders);
    pty.wait_until("more of it", is_at(60));
    shown(&pty, 20.0);
    pty.signal(Signal::KILL);
    pty.wait_for_end();
    // The next start knows how much there is to do, and what has come is no speed.
    let mut pty = connect(&folders, &server);
    open_question(&mut pty, "Later");
    pty.forget_bytes();
    pty.press("y");
    pty.wait_for("copied and verified: 1 file");
    let all = shown(&pty, 20.0);
    assert!(all.iter().all(|figures| figures.percent.is_some()), "{all:?}");
    quit(pty);
}

#[test]
fn a_folder_of_files_and_a_large_one_keep_all_figures_where_the_plan_is_complete() {
    let folders = Folders::new();
    large(&folders);
    fs::create_dir(folders.left("album")).unwrap();
    for number in 0..300 {
        fs::write(folders.left(format!("album/{number:04}")), vec![7; FILE_BYTES]).unwrap();
    }
    let mut server = serve(&folders);
    let mut pty = connect(&folders, &server);
    limit(&mut pty, 12);
    pty.press(CTRL_A);
    pty.wait_for("2 of 2 marked");
    pty.forget_bytes();
    pty.press(F5);
    agree(&mut pty, "Copy");
    wait_for_disk(&pty, "files and a part of the large one", || {
        arrived(&folders) > 100 && crate::stage::part_bytes(&folders.right("")) > 20 << 20
    });
    server.kill();
    pty.wait_for("waits");
    let away = on_screen(&pty);
    assert!(away.files > 0 && away.percent > Some(10), "{away:?}");
    server = serve(&folders);
    pty.wait_for("copied and verified");
    shown(&pty, 12.0);
    quit(pty);
    drop(server);
}
