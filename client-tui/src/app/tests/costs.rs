//! What a large folder costs: no key may walk it but those that mean all of it, and an entry is small.

use towpath_protocol::entry::Entry;

use super::play::{app, entry};
use crate::app::event::Event;
use crate::model::Side;

const ENTRIES: usize = 100_000;

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
