//! Styles: one accent for focus, one for marks, dim for frames and dates. What a colour says, a sign or a weight says too.

use ratatui::style::{Color, Modifier, Style};
use ratatui::widgets::BorderType;

use crate::app::Tone;
use crate::config::{Background, Colors};

/// Every style of the screen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme {
    pub(super) focus: Style,
    pub(super) frame: Style,
    pub(super) frame_active: Style,
    pub(super) border_active: BorderType,
    pub(super) dim: Style,
    pub(super) strong: Style,
    pub(super) folder: Style,
    pub(super) link: Style,
    pub(super) program: Style,
    pub(super) special: Style,
    pub(super) mark: Style,
    pub(super) cursor: Style,
    pub(super) cursor_dim: Style,
    /// Whether the cursor's row loses its other colours: where there are few, not all can be read on its background.
    pub(super) cursor_covers: bool,
    pub(super) good: Style,
    pub(super) bad: Style,
    pub(super) bar: Style,
    pub(super) bar_dim: Style,
    /// What the rest of a bar is filled with.
    pub(super) bar_rest: char,
    pub(super) dialog: Style,
    pub(super) field: Style,
    pub(super) button: Style,
    pub(super) button_bad: Style,
    pub(super) button_focus: Style,
}

/// The colours of a theme that has enough of them.
struct Palette {
    text: Color,
    blue: Color,
    amber: Color,
    green: Color,
    red: Color,
    cyan: Color,
    violet: Color,
    dim: Color,
    faint: Color,
    lifted: Color,
    lifted_dim: Color,
    lifted_red: Color,
    ink: Color,
}

const TRUE: Palette = Palette {
    text: Color::Rgb(200, 208, 224),
    blue: Color::Rgb(122, 162, 247),
    amber: Color::Rgb(224, 175, 104),
    green: Color::Rgb(158, 206, 106),
    red: Color::Rgb(247, 118, 142),
    cyan: Color::Rgb(125, 207, 255),
    violet: Color::Rgb(187, 154, 247),
    dim: Color::Rgb(122, 131, 166),
    faint: Color::Rgb(65, 72, 104),
    lifted: Color::Rgb(41, 46, 66),
    lifted_dim: Color::Rgb(28, 32, 46),
    lifted_red: Color::Rgb(64, 32, 44),
    ink: Color::Rgb(17, 20, 28),
};

/// The same on white: darker, so that each has a contrast of 4.5 at least.
const TRUE_LIGHT: Palette = Palette {
    text: Color::Rgb(38, 43, 61),
    blue: Color::Rgb(37, 80, 184),
    amber: Color::Rgb(138, 84, 0),
    green: Color::Rgb(52, 110, 24),
    red: Color::Rgb(176, 25, 58),
    cyan: Color::Rgb(0, 101, 148),
    violet: Color::Rgb(112, 62, 178),
    dim: Color::Rgb(92, 99, 128),
    faint: Color::Rgb(160, 166, 190),
    lifted: Color::Rgb(214, 220, 236),
    lifted_dim: Color::Rgb(232, 235, 243),
    lifted_red: Color::Rgb(248, 214, 220),
    ink: Color::Rgb(255, 255, 255),
};

/// The nearest of the 256 that terminals without true colours have.
const INDEXED: Palette = Palette {
    text: Color::Indexed(253),
    blue: Color::Indexed(111),
    amber: Color::Indexed(179),
    green: Color::Indexed(149),
    red: Color::Indexed(204),
    cyan: Color::Indexed(117),
    violet: Color::Indexed(141),
    dim: Color::Indexed(103),
    faint: Color::Indexed(60),
    lifted: Color::Indexed(237),
    lifted_dim: Color::Indexed(235),
    lifted_red: Color::Indexed(52),
    ink: Color::Indexed(233),
};

const INDEXED_LIGHT: Palette = Palette {
    text: Color::Indexed(235),
    blue: Color::Indexed(25),
    amber: Color::Indexed(94),
    green: Color::Indexed(22),
    red: Color::Indexed(125),
    cyan: Color::Indexed(24),
    violet: Color::Indexed(55),
    dim: Color::Indexed(241),
    faint: Color::Indexed(248),
    lifted: Color::Indexed(253),
    lifted_dim: Color::Indexed(255),
    lifted_red: Color::Indexed(224),
    ink: Color::Indexed(231),
};

const PLAIN: Style = Style::new();
const BOLD: Style = PLAIN.add_modifier(Modifier::BOLD);
const REVERSED: Style = PLAIN.add_modifier(Modifier::REVERSED);
const UNDERLINED: Style = PLAIN.add_modifier(Modifier::UNDERLINED);

impl Theme {
    /// With as many colours as the terminal has.
    pub(super) const fn of(colors: Colors, background: Background) -> Self {
        match (colors, background) {
            (Colors::Off, _) => Self::plain(),
            (Colors::Sixteen, Background::Dark) => Self::sixteen(),
            (Colors::Sixteen, Background::Light) => Self::sixteen_on_light(),
            (Colors::Indexed, Background::Dark) => Self::with(&INDEXED),
            (Colors::Indexed, Background::Light) => Self::with(&INDEXED_LIGHT),
            (Colors::True, Background::Dark) => Self::with(&TRUE),
            (Colors::True, Background::Light) => Self::with(&TRUE_LIGHT),
        }
    }

    /// A line of news: its style and its sign.
    pub(super) const fn tone(&self, tone: Tone) -> (Style, char) {
        match tone {
            Tone::Good => (self.good, '✓'),
            Tone::Bad => (self.bad, '✗'),
            Tone::Plain => (self.dim, ' '),
        }
    }

    const fn with(palette: &Palette) -> Self {
        Self {
            focus: BOLD.fg(palette.blue),
            frame: PLAIN.fg(palette.faint),
            frame_active: PLAIN.fg(palette.blue),
            border_active: BorderType::Rounded,
            dim: PLAIN.fg(palette.dim),
            strong: BOLD,
            folder: BOLD.fg(palette.blue),
            link: PLAIN.fg(palette.cyan),
            program: PLAIN.fg(palette.green),
            special: PLAIN.fg(palette.violet),
            mark: PLAIN.fg(palette.amber),
            cursor: PLAIN.fg(palette.text).bg(palette.lifted),
            cursor_dim: PLAIN.fg(palette.text).bg(palette.lifted_dim),
            cursor_covers: false,
            good: PLAIN.fg(palette.green),
            bad: PLAIN.fg(palette.red),
            bar: PLAIN.fg(palette.blue).bg(palette.lifted),
            bar_dim: PLAIN.fg(palette.dim).bg(palette.lifted),
            bar_rest: ' ',
            dialog: PLAIN.fg(palette.text).bg(palette.lifted_dim),
            field: PLAIN.fg(palette.text).bg(palette.lifted),
            button: PLAIN.fg(palette.text).bg(palette.lifted),
            button_bad: PLAIN.fg(palette.text).bg(palette.lifted_red),
            button_focus: BOLD.fg(palette.ink).bg(palette.blue),
        }
    }

    /// With the sixteen that a person's own terminal defines: foregrounds that show on light and dark, no grey that may be the background.
    const fn sixteen() -> Self {
        Self {
            focus: BOLD.fg(Color::Cyan),
            frame: PLAIN.add_modifier(Modifier::DIM),
            frame_active: PLAIN.fg(Color::Cyan),
            dim: PLAIN.add_modifier(Modifier::DIM),
            folder: BOLD.fg(Color::LightBlue),
            link: PLAIN.fg(Color::Cyan),
            program: PLAIN.fg(Color::Green),
            special: PLAIN.fg(Color::Magenta),
            mark: BOLD.fg(Color::Yellow),
            cursor: PLAIN.fg(Color::Black).bg(Color::Cyan),
            good: PLAIN.fg(Color::Green),
            bad: BOLD.fg(Color::Red),
            bar: PLAIN.fg(Color::Cyan),
            button_focus: BOLD.fg(Color::Black).bg(Color::Cyan),
            ..Self::plain()
        }
    }

    /// Yellow, cyan and light blue are hard to read on white.
    const fn sixteen_on_light() -> Self {
        Self {
            focus: BOLD.fg(Color::Blue),
            frame_active: PLAIN.fg(Color::Blue),
            folder: BOLD.fg(Color::Blue),
            link: PLAIN.fg(Color::Blue),
            mark: BOLD.fg(Color::Magenta),
            cursor: PLAIN.fg(Color::White).bg(Color::Blue),
            bar: PLAIN.fg(Color::Blue),
            button_focus: BOLD.fg(Color::White).bg(Color::Blue),
            ..Self::sixteen()
        }
    }

    /// Without any.
    const fn plain() -> Self {
        Self {
            focus: BOLD,
            frame: PLAIN,
            frame_active: BOLD,
            border_active: BorderType::Thick,
            dim: PLAIN,
            strong: BOLD,
            folder: BOLD,
            link: PLAIN,
            program: PLAIN,
            special: PLAIN,
            mark: BOLD,
            cursor: REVERSED,
            cursor_dim: UNDERLINED,
            cursor_covers: true,
            good: PLAIN,
            bad: BOLD,
            bar: PLAIN,
            bar_dim: PLAIN,
            bar_rest: '░',
            dialog: PLAIN,
            field: UNDERLINED,
            button: PLAIN,
            button_bad: PLAIN,
            button_focus: REVERSED,
        }
    }
}
