//! The loop: takes all that waits, lets `update` decide, hands effects on, then draws once. No key ever waits for a disk or a network.

use std::time::{Duration, Instant};

use crossterm::event::KeyEventKind;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::effects::Effects;
use super::input::{self, Input};
use super::log;
use super::output;
use super::pace::Pace;
use super::signals::{Asked, HUNG_UP, Signals};
use super::terminal::Terminal;
use super::timers::Timers;
use crate::app::App;
use crate::app::effect::Effect;
use crate::app::event::Event;
use crate::app::hits::Hits;
use crate::app::update::update;
use crate::config::Background;
use crate::ui::{Look, render};

/// Events of the doing wing that may wait.
pub(super) const EVENTS_QUEUED_MAX: usize = 256;
/// Time that a key waits for a frame that is being written when it arrives.
const FRAME_PATIENCE: Duration = Duration::from_millis(500);

/// State that a frame is drawn from.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) look: Look,
    /// Columns and rows of a terminal that does not say how many it has.
    pub(super) size_otherwise: (u16, u16),
    /// True if the terminal is asked for its background, since no setting says.
    pub(super) asks_background: bool,
    /// Origin of the times of clicks.
    pub(super) begun: Instant,
}

impl Screen {
    /// Which background the terminal has.
    fn told(&mut self, background: Background) {
        if self.asks_background {
            self.look.set_background(background);
        }
    }
}

/// Runs the screen to its end; the exit code.
#[allow(clippy::too_many_lines, reason = "one loop over all that can happen")]
pub(super) async fn run(
    mut app: App,
    first: Vec<Effect>,
    mut screen: Screen,
    mut effects: Effects,
    mut events: mpsc::Receiver<Event>,
) -> anyhow::Result<u8> {
    let mut signals = Signals::listen()?;
    let mut terminal = Terminal::take(screen.size_otherwise)?;
    let mut input = input::read()?;
    let mut frames = Frames::default();
    if screen.asks_background {
        terminal.ask_background();
    }
    let mut pace = Pace::default();
    let mut timers = Timers::default();
    let mut tick_at: Option<Instant> = None;
    let mut waiting = first;
    waiting.extend(resized(&mut app, &terminal));
    pace.change();
    loop {
        waiting.extend(frames.seen(&mut app));
        for text in app.take_failures() {
            log::shown(&text);
        }
        for effect in std::mem::take(&mut waiting) {
            match effect {
                Effect::Quit => {
                    frames.draw_last(&app, &screen.look, &mut terminal)?;
                    effects.end().await;
                    return Ok(0);
                }
                Effect::Suspend => {
                    signals.suspend(&mut terminal).await?;
                    waiting.extend(resized(&mut app, &terminal));
                    waiting.extend(update(&mut app, Event::LookedAtAgain));
                    pace.change();
                }
                Effect::Wait { timer, ms } => timers.set(timer, ms),
                effect => effects.perform(effect),
            }
        }
        let frame_at = pace.next_frame(Instant::now());
        tick_at = next_tick(&app, tick_at);
        let next = timers.next();
        let is_out = output::is_out();
        // A frame that is due comes first, and the next is due only a while later: neither keys nor events can starve the others.
        tokio::select! {
            biased;
            () = sleep_until(frame_at), if frame_at.is_some() && is_out => {
                // Keys typed before the frame do not answer it.
                waiting.extend(take_input((&mut app, &mut screen), at_hand(&mut input), &frames.hits));
                frames.draw(&app, &screen.look, &mut terminal)?;
                pace.drawn(Instant::now());
            }
            // A terminal that does not read gets its next frame when it does; all else goes on.
            out = output::out(), if !is_out => if out.is_err() { return leave(effects, HUNG_UP).await },
            // How large the screen is comes before what was typed on it.
            asked = signals.next() => match asked {
                Asked::End(code) => return leave(effects, code).await,
                Asked::Suspend => waiting.push(Effect::Suspend),
                Asked::Continued | Asked::Resized => {
                    if asked == Asked::Continued { terminal.take_again()? } else { terminal.clear()? }
                    waiting.extend(resized(&mut app, &terminal));
                    pace.change();
                }
            },
            typed = input.recv() => {
                // The terminal is gone, and no signal has told.
                let Some(typed) = typed else { return leave(effects, HUNG_UP).await };
                waiting.extend(frames.wait_until_seen(&mut app).await);
                let pieces = std::iter::once(typed).chain(at_hand(&mut input));
                waiting.extend(take_input((&mut app, &mut screen), pieces, &frames.hits));
                pace.change();
            }
            Some(event) = events.recv() => {
                for event in std::iter::once(event).chain(at_hand(&mut events)) {
                    waiting.extend(update(&mut app, event));
                }
                pace.change();
            }
            () = sleep_until(next), if next.is_some() => {
                waiting.extend(timers.take_due().into_iter().flat_map(|timer| update(&mut app, Event::Waited(timer))));
                pace.change();
            }
            () = sleep_until(tick_at), if tick_at.is_some() => {
                tick_at = None;
                waiting.extend(update(&mut app, Event::Tick));
                pace.change();
            }
        }
    }
}

/// What waits already, and no more than may wait.
fn at_hand<T>(waiting: &mut mpsc::Receiver<T>) -> impl Iterator<Item = T> {
    let most = waiting.max_capacity();
    std::iter::from_fn(|| waiting.try_recv().ok()).take(most)
}

/// The newest frame.
#[derive(Debug, Default)]
struct Frames {
    hits: Hits,
    /// It is on its way to the terminal; whether it shows all of the topmost layer.
    on_its_way: Option<bool>,
}

impl Frames {
    fn draw(&mut self, app: &App, look: &Look, terminal: &mut Terminal) -> anyhow::Result<()> {
        let now_ns = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        terminal.draw(|frame| self.hits = render(app, look, now_ns, frame))?;
        self.on_its_way = Some(self.hits.is_whole(app));
        Ok(())
    }

    /// Jobs may take a while to end, and the screen says so, if the terminal reads.
    fn draw_last(&mut self, app: &App, look: &Look, terminal: &mut Terminal) -> anyhow::Result<()> {
        if output::is_out() { self.draw(app, look, terminal) } else { Ok(()) }
    }

    /// Only what the terminal has taken was seen.
    fn seen(&mut self, app: &mut App) -> Vec<Effect> {
        match self.on_its_way.take_if(|_| output::is_out()) {
            Some(is_whole) => update(app, Event::Drawn { is_whole }),
            None => Vec::new(),
        }
    }

    /// A key may be the answer to what a terminal shows already, a moment before we know that it has all of it.
    async fn wait_until_seen(&mut self, app: &mut App) -> Vec<Effect> {
        let _ = tokio::time::timeout(FRAME_PATIENCE, output::out()).await;
        self.seen(app)
    }
}

/// When the screen is to turn or count on; no later than was meant before.
fn next_tick(app: &App, tick_at: Option<Instant>) -> Option<Instant> {
    let soonest = Instant::now() + Duration::from_millis(app.tick_ms()?);
    Some(tick_at.map_or(soonest, |at| at.min(soonest)))
}

/// Leaves the jobs for the next start.
async fn leave(mut effects: Effects, code: u8) -> anyhow::Result<u8> {
    effects.leave_jobs();
    effects.end().await;
    Ok(code)
}

/// The screen may have another size than was known.
fn resized(app: &mut App, terminal: &Terminal) -> Vec<Effect> {
    let (columns, rows) = terminal.size();
    update(app, Event::Resized { columns, rows })
}

/// Input in pieces. One piece is handled as a whole, so that no frame is drawn in the middle of it.
fn take_input(
    (app, screen): (&mut App, &mut Screen),
    pieces: impl Iterator<Item = Vec<Input>>,
    hits: &Hits,
) -> Vec<Effect> {
    let mut effects = Vec::new();
    for input in pieces.flatten() {
        effects.extend(match input {
            Input::Key(key) if key.kind != KeyEventKind::Release => update(app, Event::Key(key)),
            Input::Paste(text) => update(app, Event::Paste(text)),
            Input::Mouse(event) => {
                let (spot, at_ms) = (hits.at(event.column, event.row), screen.begun.elapsed().as_millis());
                update(app, Event::Mouse { event, spot, at_ms: at_ms as u64 })
            }
            Input::Background(background) => {
                screen.told(background);
                Vec::new()
            }
            // Shows changes made while the terminal had no focus.
            Input::Focus(true) => update(app, Event::LookedAtAgain),
            Input::Key(_) | Input::Focus(false) | Input::Attributes => Vec::new(),
        });
    }
    effects
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
