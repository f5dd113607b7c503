//! What a large folder costs: no key may walk it but those that mean all of it, and an entry is small.

use towpath_protocol::entry::Entry;

use super::play::{Play, app, entry};
use crate::app::effect::{Effect, Timer};
use crate::app::event::Event;
use crate::model::Side;

const ENTRIES: usize = 100_000;

/// A folder of 250,000 names; every hundredth ends in `00`.
fn quarter_million() -> Play {
    let mut play = app();
    play.effects.extend(play.app.reload(Side::Left));
    let generation = play.app.pane(Side::Left).generation;
    let entries = (0..250_000).map(|at| entry(&format!("name-{at:06}"))).collect();
    play.event(Event::Listed { generation, total: 250_000, entries })
        .event(Event::ListEnded { generation, outcome: Ok(()) })
}

fn shown(play: &Play) -> usize {
    play.app.pane(Side::Left).rows.shown.len()
}

const LOOK_ON: [Effect; 1] = [Effect::Wait { timer: Timer::Rows, ms: 0 }];

/// Until nothing is left to look at.
fn looked_through(mut play: Play) -> Play {
    while play.app.pane(Side::Left).rows.is_looking() {
        play = play.event(Event::Waited(Timer::Rows));
    }
    play
}

#[test]
fn a_filter_looks_at_a_part_of_a_large_folder_at_a_time_and_its_results_grow() {
    let play = quarter_million().press("f 9");
    assert_eq!(play.effects, LOOK_ON);
    let first = shown(&play);
    let play = play.event(Event::Waited(Timer::Rows));
    assert!(first > 0 && shown(&play) > first);
    assert_eq!(play.effects, LOOK_ON);
    let whole = looked_through(play);
    let expected = (0..250_000).filter(|at| format!("{at:06}").contains('9')).count();
    assert_eq!((shown(&whole), whole.effects.len()), (expected, 0));
    // A letter more, and one less, while the first is still looked for.
    let play = quarter_million().press("f 9").types("9").press("Backspace").types("8");
    let expected = (0..250_000).filter(|at| format!("{at:06}").contains("98")).count();
    assert_eq!(shown(&looked_through(play)), expected);
}

#[test]
fn the_cursor_is_back_on_its_name_once_the_filter_has_come_to_it() {
    let play = looked_through(quarter_million().press("G f").types("249"));
    assert_eq!(play.here(), "name-249999");
    let play = looked_through(play.press("Backspace").press("Backspace"));
    assert_eq!(play.here(), "name-249999");
    // Who moves meanwhile has moved.
    let play = looked_through(quarter_million().press("G f").types("9").press("Up"));
    assert_ne!(play.here(), "name-249999");
}

#[test]
fn marking_all_that_pass_marks_all_of_them_at_once() {
    let play = quarter_million().press("f").types("00").press("Enter C-a");
    let expected = (0..250_000).filter(|at| format!("{at:06}").contains("00")).count();
    assert_eq!(play.app.pane(Side::Left).rows.marks.len(), expected);
}

#[test]
fn a_search_goes_on_until_it_has_found_or_seen_all() {
    let play = looked_through(quarter_million().press("/").types("249999"));
    assert_eq!(play.here(), "name-249999");
    let play = looked_through(quarter_million().press("/").types("zz").press("Enter n"));
    assert_eq!((play.here().as_str(), play.said()), ("../", "zz: no match"));
    let play = quarter_million().press("/").types("249999").press("Enter Down");
    assert_eq!(looked_through(play).here(), "name-025000", "who moves has given it up");
}

#[test]
fn an_entry_costs_less_than_two_hundred_bytes() {
    // A row, a mark's bit (a byte to be sure), the entry, and its name of 40 bytes with what the allocator adds.
    let bytes = size_of::<u32>() + 1 + size_of::<Entry>() + 40 + 16;
    assert!(bytes <= 200, "{bytes}");
    assert!(size_of::<Entry>() <= 88, "{}", size_of::<Entry>());
}

#[test]
fn a_complete_listing_keeps_no_spare_room() {
    let mut play = app();
    play.effects.extend(play.app.reload(Side::Left));
    let generation = play.app.pane(Side::Left).generation;
    for page in 0..ENTRIES / 500 {
        let entries = (0..500).map(|at| entry(&format!("name-{:06}", page * 500 + at))).collect();
        let effects = crate::app::update::update(
            &mut play.app,
            Event::Listed { generation, total: ENTRIES as u64, entries },
        );
        assert!(effects.is_empty());
    }
    let play = play.event(Event::ListEnded { generation, outcome: Ok(()) });
    let rows = &play.app.pane(Side::Left).rows;
    assert_eq!(rows.entries.len(), ENTRIES);
    assert!(rows.entries.capacity() < ENTRIES + ENTRIES / 10, "{}", rows.entries.capacity());
    assert_eq!(play.press("C-a * G Space").marked(), format!("name-{:06}", ENTRIES - 1));
}
