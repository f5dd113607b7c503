//! Every state of the screen, at the size of an old terminal, of a usual window, and of the smallest that will do.

mod connections;
mod jobs;
mod panes;
mod words;

use towpath::config::{Background, Colors};

use crate::picture::picture;
use crate::world::World;

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

/// Three files are on their way.
fn copying() -> World {
    let mut world = World::connected();
    world.press("End Space Up Up Space Up Up Space F5 Enter");
    world
}
