//! Where everything stands on the screen: the one geometry that drawing, clicking and paging go by. Pure: a size and the state in,
//! areas out.

use crate::model::Side;

use super::App;

/// Below this there is no room for two panes.
pub const COLUMNS_MIN: u16 = 40;
pub const ROWS_MIN: u16 = 10;
/// Jobs that show at a time; two rows each.
pub const JOBS_SHOWN_MAX: usize = 3;
/// Up to this height the jobs share one row; from the other one on there is room for empty rows.
const ROWS_LOW: u16 = 14;
const ROWS_AMPLE: u16 = 30;
/// The narrowest pane.
const PANE_COLUMNS_MIN: u16 = 16;

/// A part of the screen, in cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Area {
    pub x: u16,
    pub y: u16,
    pub width: u16,
    pub height: u16,
}

impl Area {
    pub const fn new(x: u16, y: u16, width: u16, height: u16) -> Self {
        Self { x, y, width, height }
    }

    pub const fn right(&self) -> u16 {
        self.x + self.width
    }

    pub const fn bottom(&self) -> u16 {
        self.y + self.height
    }

    pub const fn contains(&self, x: u16, y: u16) -> bool {
        x >= self.x && x < self.right() && y >= self.y && y < self.bottom()
    }

    /// Without a frame of one cell.
    #[must_use]
    pub const fn inner(&self) -> Self {
        Self::new(self.x + 1, self.y + 1, self.width.saturating_sub(2), self.height.saturating_sub(2))
    }
}

/// The parts of the screen, from top to bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub top: Area,
    pub panes: [Area; 2],
    pub jobs: Area,
    pub news: Area,
    pub bar: Area,
}

impl Layout {
    /// None where the screen is too small.
    pub fn of(app: &App, (columns, rows): (u16, u16)) -> Option<Self> {
        if columns < COLUMNS_MIN || rows < ROWS_MIN {
            return None;
        }
        let jobs = app.jobs.len().min(JOBS_SHOWN_MAX) as u16;
        let job_rows = match rows {
            _ if jobs == 0 => 0,
            0..=ROWS_LOW => 1,
            ROWS_AMPLE.. => jobs * 2 + 2,
            _ => jobs * 2,
        };
        let pane_rows = rows - 3 - job_rows;
        let left = (u32::from(columns) * u32::from(app.left_permille) / 1000) as u16;
        let left = left.clamp(PANE_COLUMNS_MIN, columns - PANE_COLUMNS_MIN);
        Some(Self {
            top: Area::new(0, 0, columns, 1),
            panes: [Area::new(0, 1, left, pane_rows), Area::new(left, 1, columns - left, pane_rows)],
            jobs: Area::new(0, 1 + pane_rows, columns, job_rows),
            news: Area::new(0, rows - 2, columns, 1),
            bar: Area::new(0, rows - 1, columns, 1),
        })
    }

    /// A pane's rows: within its frame, below the headings.
    pub const fn list(&self, side: Side) -> Area {
        let inner = self.panes[side as usize].inner();
        Area::new(inner.x, inner.y + 1, inner.width, inner.height.saturating_sub(1))
    }

    /// Whether a cell belongs to the line between the panes.
    pub const fn is_divider(&self, x: u16, y: u16) -> bool {
        let right = &self.panes[1];
        (x == right.x || x.saturating_add(1) == right.x) && y >= right.y && y < right.bottom()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::pane::Pane;
    use crate::model::{LinkId, Place};
    use towpath_protocol::path::WirePath;

    fn app() -> App {
        let pane = || Pane::new(Place { link: LinkId::LOCAL, path: WirePath::root() });
        App::new(pane(), pane(), WirePath::root())
    }

    #[test]
    fn the_parts_fill_the_screen_at_every_size() {
        let app = app();
        for columns in COLUMNS_MIN..200 {
            for rows in ROWS_MIN..60 {
                let layout = Layout::of(&app, (columns, rows)).unwrap();
                let [left, right] = layout.panes;
                assert_eq!((left.right(), right.right()), (right.x, columns));
                assert_eq!(layout.top.bottom(), left.y);
                assert_eq!(left.bottom(), layout.jobs.y);
                assert_eq!(layout.jobs.bottom(), layout.news.y);
                assert_eq!(layout.bar.bottom(), rows);
            }
        }
        assert_eq!(Layout::of(&app, (39, 24)), None);
        assert_eq!(Layout::of(&app, (80, 9)), None);
    }
}
