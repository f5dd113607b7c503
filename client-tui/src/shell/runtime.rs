//! The loop: takes all that waits, lets `update` decide, hands effects on, then draws once. No key ever waits for a disk or a network.

use std::task::Poll;
use std::time::{Duration, Instant};

use crossterm::event::{Event as Input, EventStream, KeyEventKind};
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::effects::Effects;
use super::pace::Pace;
use super::signals::{Asked, Signals};
use super::terminal::Terminal;
use super::timers::Timers;
use crate::app::App;
use crate::app::effect::Effect;
use crate::app::event::Event;
use crate::app::hits::Hits;
use crate::app::update::update;
use crate::ui::{Look, render};

/// Events of the doing wing that may wait.
pub(super) const EVENTS_QUEUED_MAX: usize = 256;
/// Typed keys that may wait.
const INPUT_QUEUED_MAX: usize = 64;
/// Keys that are taken in one piece.
const PIECE_MAX: usize = 256;

/// Runs the screen to its end; the exit code.
pub(super) async fn run(
    mut app: App,
    first: Vec<Effect>,
    look: &Look,
    mut effects: Effects,
    mut events: mpsc::Receiver<Event>,
) -> anyhow::Result<u8> {
    let mut signals = Signals::listen()?;
    let mut terminal = Terminal::take()?;
    let mut input = read_input();
    let mut pace = Pace::default();
    let mut timers = Timers::default();
    let mut tick_at: Option<Instant> = None;
    let begun = Instant::now();
    let mut hits = Hits::default();
    let mut waiting = first;
    waiting.extend(resized(&mut app)?);
    pace.change();
    loop {
        for effect in std::mem::take(&mut waiting) {
            match effect {
                Effect::Quit => {
                    // Jobs may take a while to end.
                    draw(&app, look, &mut terminal)?;
                    effects.end().await;
                    return Ok(0);
                }
                Effect::Suspend => {
                    signals.suspend(&mut terminal).await?;
                    waiting.extend(resized(&mut app)?);
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
        // A frame that is due comes first, and the next is due only a while later: neither keys nor events can starve the others.
        tokio::select! {
            biased;
            () = sleep_until(frame_at), if frame_at.is_some() => {
                // What was typed before the frame is no answer to what it shows.
                for typed in at_hand(&mut input).flatten() {
                    waiting.extend(take_input(&mut app, typed, &hits, begun));
                }
                hits = draw(&app, look, &mut terminal)?;
                pace.drawn(Instant::now());
                let is_whole = hits.is_whole(&app);
                waiting.extend(update(&mut app, Event::Drawn { is_whole }));
            }
            // How large the screen is comes before what was typed on it.
            asked = signals.next() => match asked {
                Asked::End(code) => {
                    effects.leave_jobs();
                    effects.end().await;
                    return Ok(code);
                }
                Asked::Suspend => waiting.push(Effect::Suspend),
                Asked::Continued | Asked::Resized => {
                    if asked == Asked::Continued { terminal.take_again()? } else { terminal.clear()? }
                    waiting.extend(resized(&mut app)?);
                    pace.change();
                }
            },
            typed = input.recv() => {
                let Some(typed) = typed else { anyhow::bail!("the terminal is gone") };
                for typed in std::iter::once(typed).chain(at_hand(&mut input)).flatten() {
                    waiting.extend(take_input(&mut app, typed, &hits, begun));
                }
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

fn draw(app: &App, look: &Look, terminal: &mut Terminal) -> anyhow::Result<Hits> {
    let now_ns = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
    let mut hits = Hits::default();
    terminal.draw(|frame| hits = render(app, look, now_ns, frame))?;
    Ok(hits)
}

/// When the screen is to turn or count on; no later than was meant before.
fn next_tick(app: &App, tick_at: Option<Instant>) -> Option<Instant> {
    let soonest = Instant::now() + Duration::from_millis(app.tick_ms()?);
    Some(tick_at.map_or(soonest, |at| at.min(soonest)))
}

/// The screen may have another size than was known.
fn resized(app: &mut App) -> anyhow::Result<Vec<Effect>> {
    let (columns, rows) = crossterm::terminal::size()?;
    Ok(update(app, Event::Resized { columns, rows }))
}

/// What is typed, from a task of its own: the stream remembers only the waker of its first poll, so nobody may poll it in passing. What
/// came in one piece stays in one piece, so that no frame is drawn in the middle of it.
fn read_input() -> mpsc::Receiver<Vec<Input>> {
    let (sender, receiver) = mpsc::channel(INPUT_QUEUED_MAX);
    tokio::spawn(async move {
        let mut stream = EventStream::new();
        while let Some(Ok(first)) = stream.next().await {
            let mut piece = vec![first];
            while piece.len() < PIECE_MAX
                && let Some(Ok(next)) = ready(&mut stream).await
            {
                piece.push(next);
            }
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// What is there already, asked with the waker of the task that asks.
async fn ready<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|context| match stream.poll_next_unpin(context) {
        Poll::Ready(item) => Poll::Ready(item),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn take_input(app: &mut App, input: Input, hits: &Hits, begun: Instant) -> Vec<Effect> {
    match input {
        Input::Key(key) if key.kind != KeyEventKind::Release => update(app, Event::Key(key)),
        Input::Paste(text) => update(app, Event::Paste(text)),
        Input::Mouse(event) => {
            let (spot, at_ms) = (hits.at(event.column, event.row), begun.elapsed().as_millis() as u64);
            update(app, Event::Mouse { event, spot, at_ms })
        }
        _ => Vec::new(),
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
