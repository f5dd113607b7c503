//! Moves files between links: uploads, downloads, copies here and copies there are one code, a reader on one link and a
//! writer on another. It knows no screen and no command line.
//!
//! `run` is a job's life, `shared` what all its parts know: `start` proves that it can begin, `plan` walks each source, compares it
//! with the destination in batches and sends `work`; `conflicts` settles what is in the way while the rest runs, as `undecided`
//! hears from outside; `carry` does one file, `large` those that do not fit in one message, of which only what differs from what
//! is there need move, `alone` what a service can do by itself; `twin` does what is left where the same is there;
//! `leaving` takes the source of a move away, and never the only copy; `placed` keeps a job from replacing what it put there itself;
//! `links` resolves those that are followed; `excludes` and `listed` say what of a source is meant; `tally` counts, `rate` tells how fast. `dry` tells what would be done instead of doing it.
//! `journal` keeps what survives the end of the program.

mod alone;
mod carry;
mod conflicts;
mod dry;
pub mod excludes;
mod fold;
pub mod job;
pub mod journal;
mod large;
mod leaving;
mod links;
pub mod listed;
mod metadata;
pub mod placed;
mod plan;
mod prefix;
mod rate;
mod run;
mod shared;
mod space;
mod start;
mod tally;
pub mod throttle;
mod twin;
pub mod undecided;
mod work;

pub use carry::is_same_content;
pub use conflicts::{is_decided, is_kept};
pub use links::behind;
pub use run::run;
pub use start::DESTINATION_INSIDE;
