//! The benchmarks. A body prepares units, does them one by one under the clock, and puts back what they left.

mod core;
mod event;
mod fan_out;
mod queue;
mod reconnect;
mod registration;
mod text;

use self::core::Core;
pub use self::core::Tally;
use crate::fnv::Fnv;

/// Something to measure.
pub trait Body {
    /// Units that are prepared together.
    fn batch(&self) -> usize;

    /// Writes down the next units, not timed.
    fn prepare(&mut self, units: usize);

    /// Does one of them, timed.
    fn step(&mut self, unit: usize);

    /// Checks what the units did, adds it up, and puts back what they left. Not timed.
    fn settle(&mut self, units: usize, tally: &mut Tally);
}

/// One benchmark of the table.
#[derive(Clone, Copy, Debug)]
pub struct Benchmark {
    /// Its name: what it is about, a dot, what is measured.
    pub name: &'static str,
    /// What one unit is.
    pub unit: &'static str,
    /// Whether the gate judges the 99th percentile of single units, too.
    pub has_p99: bool,
    /// What it feeds the router with, as text.
    pub corpus: fn() -> String,
    /// Sets it up.
    pub make: fn() -> Box<dyn Body>,
}

impl Benchmark {
    /// Every benchmark, in the order in which they are reported.
    pub const ALL: &'static [Benchmark] = &[
        Benchmark {
            name: "route.user_message",
            unit: "message to its StartRun",
            has_p99: true,
            corpus: text::UserMessages::corpus,
            make: || Box::new(text::UserMessages::new()),
        },
        Benchmark {
            name: "route.agent_event",
            unit: "run event to one connection",
            has_p99: false,
            corpus: || event::THINKING.corpus(),
            make: || Box::new(event::Events::new(&event::THINKING)),
        },
        Benchmark {
            name: "route.unknown_type",
            unit: "message of a type that nobody knows",
            has_p99: false,
            corpus: || text::UNKNOWN_TYPE.to_owned(),
            make: || Box::new(text::Answered::new(text::UNKNOWN_TYPE)),
        },
        Benchmark {
            name: "route.jsonrpc",
            unit: "JSON-RPC message",
            has_p99: false,
            corpus: || text::JSONRPC.to_owned(),
            make: || Box::new(text::Answered::new(text::JSONRPC)),
        },
        Benchmark {
            name: "fanout.broadcast_1000",
            unit: "message to 1,000 connections",
            has_p99: true,
            corpus: fan_out::corpus,
            make: || Box::new(fan_out::Broadcasts::new()),
        },
        Benchmark {
            name: "reconnect.replay_100",
            unit: "connection that is sent 100 missed events",
            has_p99: false,
            corpus: reconnect::corpus,
            make: || Box::new(reconnect::Reconnects::new()),
        },
        Benchmark {
            name: "registration.handlers",
            unit: "router with its handlers, ready for a first message",
            has_p99: false,
            corpus: || "default limits".to_owned(),
            make: || Box::new(registration::Registrations::default()),
        },
        Benchmark {
            name: "registration.custom_handlers",
            unit: "ten custom handlers registered, of three types each",
            has_p99: false,
            corpus: registration::corpus,
            make: || Box::new(registration::CustomHandlers::new()),
        },
        Benchmark {
            name: "queue.offer_lease_ack",
            unit: "150-byte message through the queue, 1,000 users",
            has_p99: false,
            corpus: queue::corpus,
            make: || Box::new(queue::Passages::new()),
        },
        Benchmark {
            name: "encode.event_2k",
            unit: "run event with 2 KiB of text that needs escapes",
            has_p99: false,
            corpus: || event::LONG.corpus(),
            make: || Box::new(event::Events::new(&event::LONG)),
        },
    ];

    /// What the benchmark feeds the router with, as a hash: two sides compare only if it agrees.
    pub fn corpus(&self) -> String {
        let mut hash = Fnv::default();
        hash.text(self.name);
        hash.text(self.unit);
        hash.text(&(self.corpus)());
        hash.hex()
    }

    /// Sets the benchmark up.
    pub fn make(&self) -> Box<dyn Body> {
        (self.make)()
    }
}
