//! What a click on a cell means, as the newest frame has drawn it: so that what is clicked is what was seen.

use super::App;
use super::command::Command;
use super::dialog::{Answer, Button, Dialog};
use super::layout::Area;
use crate::model::Side;

/// Something that can be clicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// A button of the topmost layer.
    Button(Answer),
    /// The line that is typed in it.
    Line,
    /// A row of its list.
    Row(usize),
    /// Anything else of it.
    Window,
    /// A word of the key bar.
    Key(Command),
    /// A column's heading, which sorts its pane.
    Heading(Side, Command),
}

/// The spots of a frame.
#[derive(Debug, Clone, Default)]
pub struct Hits {
    spots: Vec<(Area, Spot)>,
    /// The frame shows the state, and not only that there is no room for it.
    is_drawn: bool,
}

impl Hits {
    /// For a frame that shows the state.
    pub const fn of_frame() -> Self {
        Self { spots: Vec::new(), is_drawn: true }
    }

    /// True if the frame shows the topmost layer with all its buttons.
    pub fn is_whole(&self, app: &App) -> bool {
        let buttons = app.dialogs.last().map(Dialog::buttons).unwrap_or_default();
        let shows = |button: &Button| self.spots.iter().any(|(_, spot)| *spot == Spot::Button(button.answer));
        self.is_drawn && buttons.iter().all(shows)
    }

    /// Lies over what was drawn before.
    pub fn push(&mut self, area: Area, spot: Spot) {
        self.spots.push((area, spot));
    }

    /// A layer covers everything below it.
    pub fn clear(&mut self) {
        self.spots.clear();
    }

    pub fn at(&self, x: u16, y: u16) -> Option<Spot> {
        self.spots.iter().rev().find(|(area, _)| area.contains(x, y)).map(|(_, spot)| *spot)
    }

    /// Every spot with its area, the lowest first.
    pub fn iter(&self) -> impl Iterator<Item = &(Area, Spot)> {
        self.spots.iter()
    }
}
