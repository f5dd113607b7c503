//! Cells to bytes: a backend for ratatui that does not believe terminals about widths.
//!
//! Terminals and tables disagree on the width of Bengali, musical symbols and emoji sequences. So every cell that is not
//! plain is drawn on blanks of its own and the cursor is then put where we count that it is; and whatever stands behind it in its row is
//! drawn after it. A terminal that counts otherwise draws that one name wrongly, and nothing else.

use std::io::{self, Write};

use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Position, Rect, Size};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

/// Draws on `out` what differs, and remembers what is shown.
#[derive(Debug)]
pub(super) struct Cells<W> {
    out: W,
    shown: Buffer,
    /// Where the cursor is; `None` where the terminal may think otherwise.
    cursor: Option<Position>,
    style: Option<Style>,
}

type Style = (Color, Color, Modifier);

impl<W: Write> Cells<W> {
    /// A blank screen.
    pub(super) fn new(out: W, area: Rect) -> Self {
        Self { out, shown: Buffer::empty(area), cursor: None, style: None }
    }

    /// Changed cells of one row, from left to right.
    fn row(&mut self, y: u16, changed: &[(u16, Cell)]) -> io::Result<()> {
        let mut odd_from = None;
        for (x, cell) in changed {
            let Some(shown) = self.shown.cell_mut((*x, y)) else { continue };
            if odd_from.is_none() && !(is_plain(cell.symbol()) && is_plain(shown.symbol())) {
                odd_from = Some(*x);
            }
            *shown = cell.clone();
        }
        let end = odd_from.unwrap_or(u16::MAX);
        for (x, cell) in changed.iter().filter(|(x, _)| *x < end) {
            self.put(*x, y, cell)?;
        }
        let mut x = end;
        while let Some(cell) = self.shown.cell((x, y)).cloned() {
            self.put(x, y, &cell)?;
            x = x.saturating_add(cell.symbol().width().max(1) as u16);
        }
        Ok(())
    }

    fn put(&mut self, x: u16, y: u16, cell: &Cell) -> io::Result<()> {
        let width = cell.symbol().width().max(1) as u16;
        self.go_to(Position { x, y })?;
        self.dress((cell.fg, cell.bg, cell.modifier))?;
        if is_plain(cell.symbol()) {
            write!(self.out, "{}", cell.symbol())?;
            // At the right edge the cursor waits on the last cell.
            self.cursor = (x + width < self.shown.area.right()).then_some(Position { x: x + width, y });
            return Ok(());
        }
        write!(self.out, "{}\x1b[{}G{}", " ".repeat(usize::from(width)), x + 1, cell.symbol())?;
        self.cursor = None;
        Ok(())
    }

    fn go_to(&mut self, to: Position) -> io::Result<()> {
        if self.cursor != Some(to) {
            write!(self.out, "\x1b[{};{}H", to.y + 1, to.x + 1)?;
            self.cursor = Some(to);
        }
        Ok(())
    }

    fn dress(&mut self, style: Style) -> io::Result<()> {
        if self.style == Some(style) {
            return Ok(());
        }
        let (front, back, modifier) = style;
        write!(self.out, "\x1b[0")?;
        for (flag, code) in MODIFIERS {
            if modifier.contains(*flag) {
                write!(self.out, ";{code}")?;
            }
        }
        color(&mut self.out, front, 30)?;
        color(&mut self.out, back, 40)?;
        self.style = Some(style);
        write!(self.out, "m")
    }
}

const MODIFIERS: &[(Modifier, u8)] = &[
    (Modifier::BOLD, 1),
    (Modifier::DIM, 2),
    (Modifier::ITALIC, 3),
    (Modifier::UNDERLINED, 4),
    (Modifier::SLOW_BLINK, 5),
    (Modifier::RAPID_BLINK, 6),
    (Modifier::REVERSED, 7),
    (Modifier::HIDDEN, 8),
    (Modifier::CROSSED_OUT, 9),
];

/// Behind what is set anew each time, so that nothing stands for the terminal's own colour. `base` is 30 for the front, 40 for the back.
fn color(out: &mut impl Write, color: Color, base: u8) -> io::Result<()> {
    let number = match color {
        Color::Reset => return Ok(()),
        Color::Rgb(red, green, blue) => return write!(out, ";{};2;{red};{green};{blue}", base + 8),
        Color::Indexed(number) => return write!(out, ";{};5;{number}", base + 8),
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 60,
        Color::LightRed => 61,
        Color::LightGreen => 62,
        Color::LightYellow => 63,
        Color::LightBlue => 64,
        Color::LightMagenta => 65,
        Color::LightCyan => 66,
        Color::White => 67,
    };
    write!(out, ";{}", base + number)
}

/// A character whose width is the same everywhere: letters of Latin, Greek and Cyrillic, frames and blocks, ideographs, kana and Hangul syllables.
fn is_plain(symbol: &str) -> bool {
    let mut chars = symbol.chars();
    let (Some(c), None) = (chars.next(), chars.next()) else { return false };
    matches!(c,
        ' '..='~'
        | '\u{a1}'..='\u{ac}'
        | '\u{ae}'..='\u{2af}'
        | '\u{391}'..='\u{3ff}'
        | '\u{400}'..='\u{482}'
        | '\u{48a}'..='\u{52f}'
        | '\u{2500}'..='\u{259f}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}')
}

impl<W: Write> Backend for Cells<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut row: (u16, Vec<(u16, Cell)>) = (0, Vec::new());
        for (x, y, cell) in content {
            if y != row.0 {
                self.row(row.0, &row.1)?;
                row = (y, Vec::new());
            }
            row.1.push((x, cell.clone()));
        }
        self.row(row.0, &row.1)?;
        self.style = None;
        write!(self.out, "\x1b[0m")
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        write!(self.out, "\x1b[?25l")
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        write!(self.out, "\x1b[?25h")
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.cursor.unwrap_or_default())
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.cursor = None;
        self.go_to(position.into())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.shown.reset();
        self.cursor = None;
        write!(self.out, "\x1b[0m\x1b[2J")
    }

    fn clear_region(&mut self, _: ClearType) -> io::Result<()> {
        self.clear()
    }

    fn size(&self) -> io::Result<Size> {
        Ok(self.shown.area.as_size())
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.shown.area.as_size(), pixels: Size::default() })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use ratatui::text::Line;
    use ratatui::widgets::Widget;

    use super::*;

    /// A terminal that counts `wrongly`, by the glyphs' places in the text: what it shows where we mean the frame to be.
    fn drawn(frames: &[&[&str]]) -> Vec<u8> {
        let area = Rect::new(0, 0, 12, 3);
        let mut cells = Cells::new(Vec::new(), area);
        let mut before = Buffer::empty(area);
        for frame in frames {
            let mut now = Buffer::empty(area);
            for (y, line) in frame.iter().enumerate() {
                Line::raw(*line).render(Rect::new(0, y as u16, 12, 1), &mut now);
            }
            cells.draw(before.diff(&now).into_iter()).unwrap();
            before = now;
        }
        cells.out
    }

    fn shown(bytes: &[u8]) -> Vec<String> {
        let size = |number| NonZeroU16::new(number).unwrap();
        let mut emulator = vt100::Parser::new(size(3), size(12), 0);
        emulator.process(bytes);
        emulator.screen().rows(0, 12).collect()
    }

    /// Puts something of another width in the place of each odd symbol, as a terminal that counts otherwise would show it.
    fn as_counted_otherwise(bytes: &[u8], symbol: &str, otherwise: &str) -> Vec<u8> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.contains(symbol), "{text:?}");
        text.replace(symbol, otherwise).into_bytes()
    }

    #[test]
    fn what_stands_behind_a_name_stays_in_its_place_however_wide_the_terminal_thinks_that_it_is() {
        for symbol in ["নি", "𝄞", "👩‍👩‍👧", "☺\u{fe0f}", "ﷺ"] {
            let line = format!("│a{symbol}b");
            let room = 12 - 1 - UnicodeWidthStr::width(line.as_str());
            let whole = format!("{line}{}│", " ".repeat(room));
            let bytes = drawn(&[&["│aXYZb     │", "│plain     │"], &[&whole, "│plain     │"]]);
            for otherwise in ["", "i", "漢", "漢漢", "xyzuv"] {
                let shown = shown(&as_counted_otherwise(&bytes, symbol, otherwise));
                assert!(
                    shown[0].starts_with("│a") && shown[0].ends_with('│'),
                    "{symbol} as {otherwise}: {shown:?}"
                );
                assert_eq!(
                    shown[0].chars().filter(|c| *c == 'b').count(),
                    1,
                    "{symbol} as {otherwise}: {shown:?}"
                );
                assert_eq!(shown[1].trim_end(), "│plain     │", "{symbol} as {otherwise}");
            }
        }
    }

    #[test]
    fn plain_cells_cost_no_more_than_their_characters() {
        let bytes = drawn(&[&["│abc│漢字│Ж│"]]);
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.matches("\x1b[").count(), 3, "{text:?}");
        assert!(text.contains("│abc│漢字│Ж│"), "{text:?}");
    }

    #[test]
    fn colours_and_weights_are_set_whole_each_time() {
        let mut out = Vec::new();
        color(&mut out, Color::Rgb(1, 2, 3), 30).unwrap();
        color(&mut out, Color::Indexed(9), 40).unwrap();
        color(&mut out, Color::LightBlue, 30).unwrap();
        color(&mut out, Color::Red, 40).unwrap();
        color(&mut out, Color::Reset, 40).unwrap();
        assert_eq!(out, b";38;2;1;2;3;48;5;9;94;41");
        let mut cells = Cells::new(Vec::new(), Rect::new(0, 0, 4, 1));
        let bold = (Color::Reset, Color::Reset, Modifier::BOLD | Modifier::REVERSED);
        cells.dress(bold).unwrap();
        cells.dress(bold).unwrap();
        assert_eq!(cells.out, b"\x1b[0;1;7m");
    }
}
