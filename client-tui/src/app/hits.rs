//! What a click on a cell means, as the newest frame has drawn it: so that what is clicked is what was seen.

use super::command::Command;
use super::dialog::Answer;
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
pub struct Hits(Vec<(Area, Spot)>);

impl Hits {
    /// Lies over what was drawn before.
    pub fn push(&mut self, area: Area, spot: Spot) {
        self.0.push((area, spot));
    }

    /// A layer covers everything below it.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn at(&self, x: u16, y: u16) -> Option<Spot> {
        self.0.iter().rev().find(|(area, _)| area.contains(x, y)).map(|(_, spot)| *spot)
    }

    /// Every spot with its area, the lowest first.
    pub fn iter(&self) -> impl Iterator<Item = &(Area, Spot)> {
        self.0.iter()
    }
}
