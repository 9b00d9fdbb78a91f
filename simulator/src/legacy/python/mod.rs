//! What the old code's language did with values: what is true, what a number may look like, how a value is written.
//!
//! The old routers were written in Python 3.11, and much of what they did with odd messages follows from that language
//! and not from anything that somebody decided. A model that is to repeat a recording needs these rules, and has them
//! from here. Nothing in the product uses them.
//!
//! | module | what it knows |
//! |---|---|
//! | [`value`](Value) | values, members, truth, equality, names of types |
//! | [`raised`](Raised) | exceptions |
//! | [`text`] | `str()` and `repr()` |
//! | [`number`] | `float()`, `int()`, and the lenient numbers of typed models |
//! | [`moment`] | dates and times of ISO 8601 as the standard library reads them |
//! | [`heap`] | the order of timers |
//! | [`json`] | reading and writing JSON, with its `NaN`, its long integers and its lost duplicates |

pub mod heap;
pub mod json;
pub mod moment;
pub mod number;
mod raised;
pub mod text;
mod value;

pub use raised::Raised;
pub use value::{Dict, Value};
