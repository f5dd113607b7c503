//! Styles: one accent for focus, one for marks, dim for frames and dates. Without colours the same shows by weight and reverse.

use ratatui::style::{Color, Modifier, Style};

/// Every style of the screen.
#[derive(Debug, Clone, Copy)]
pub struct Theme {
    pub(super) focus: Style,
    pub(super) frame: Style,
    pub(super) frame_active: Style,
    pub(super) dim: Style,
    pub(super) strong: Style,
    pub(super) folder: Style,
    pub(super) link: Style,
    pub(super) program: Style,
    pub(super) special: Style,
    pub(super) mark: Style,
    pub(super) cursor: Style,
    pub(super) cursor_dim: Style,
    pub(super) good: Style,
    pub(super) bad: Style,
    pub(super) accent_bar: Style,
    pub(super) dim_bar: Style,
    pub(super) dialog: Style,
    pub(super) button: Style,
    pub(super) button_focus: Style,
}

const BLUE: Color = Color::Rgb(122, 162, 247);
const AMBER: Color = Color::Rgb(224, 175, 104);
const GREEN: Color = Color::Rgb(158, 206, 106);
const RED: Color = Color::Rgb(247, 118, 142);
const CYAN: Color = Color::Rgb(125, 207, 255);
const VIOLET: Color = Color::Rgb(187, 154, 247);
const DIM: Color = Color::Rgb(101, 110, 148);
const FAINT: Color = Color::Rgb(65, 72, 104);
const LIFTED: Color = Color::Rgb(41, 46, 66);
const LIFTED_DIM: Color = Color::Rgb(28, 32, 46);

impl Theme {
    /// With colours.
    pub const fn colours() -> Self {
        let plain = Style::new();
        Self {
            focus: plain.fg(BLUE).add_modifier(Modifier::BOLD),
            frame: plain.fg(FAINT),
            frame_active: plain.fg(BLUE),
            dim: plain.fg(DIM),
            strong: plain.add_modifier(Modifier::BOLD),
            folder: plain.fg(BLUE).add_modifier(Modifier::BOLD),
            link: plain.fg(CYAN),
            program: plain.fg(GREEN),
            special: plain.fg(VIOLET),
            mark: plain.fg(AMBER),
            cursor: plain.bg(LIFTED),
            cursor_dim: plain.bg(LIFTED_DIM),
            good: plain.fg(GREEN),
            bad: plain.fg(RED),
            accent_bar: plain.fg(BLUE).bg(LIFTED),
            dim_bar: plain.fg(DIM).bg(LIFTED),
            dialog: plain.bg(LIFTED_DIM),
            button: plain.bg(LIFTED),
            button_focus: plain.bg(BLUE).fg(Color::Black).add_modifier(Modifier::BOLD),
        }
    }

    /// Without any.
    pub const fn plain() -> Self {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        let reversed = plain.add_modifier(Modifier::REVERSED);
        Self {
            focus: bold,
            frame: plain,
            frame_active: bold,
            dim: plain,
            strong: bold,
            folder: bold,
            link: plain,
            program: plain,
            special: plain,
            mark: bold,
            cursor: reversed,
            cursor_dim: plain.add_modifier(Modifier::UNDERLINED),
            good: plain,
            bad: bold,
            accent_bar: plain,
            dim_bar: plain,
            dialog: plain,
            button: plain,
            button_focus: reversed,
        }
    }
}
