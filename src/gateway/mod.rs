//! Both sides of a gateway at once: the client in front of it, and the upstream behind it.
//!
//! What the one side sends is seen on the other, so a field's fate is not inferred from answers but seen: forwarded,
//! changed, dropped, refused. No model is needed; answers are scripted. Knows cases, the wire, the client and the results
//! model; nobody below the command line knows it.
//!
//! `draw`, `fill` and `request` make requests of rows; `script` and `stream` make answers; `board` is what both sides
//! share, `upstream` the socket; `run` asks. `recording` keeps both sides, and everything after it is pure: `came` and
//! `place` read, `hold` compares, `arrival` and `returned` look at one trial in either direction, `fate` decides over
//! several, `conduct` over all, and `judge` makes results of it.

mod arrival;
mod board;
mod book;
mod came;
mod claims;
mod conduct;
mod draw;
mod fate;
mod fill;
mod findings;
mod hold;
mod judge;
mod keys;
mod place;
pub mod recording;
mod request;
mod returned;
mod run;
mod script;
mod stream;
mod unclear;
mod upstream;

pub use claims::usual;
pub use judge::{JudgeError, judge};
pub use run::{Event, Finished, Listener, MOST_AT_ONCE, Options, run};
pub use unclear::Unclear;
