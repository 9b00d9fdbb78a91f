//! The side of the gate that is timed end to end: the real server and its clients over loopback sockets. See
//! `gate_worker::protocol`; this program speaks it, too.
//!
//! It is a program of its own because the other one must stay thin: this one brings a runtime, sockets and tokens along,
//! and takes a minute to build for the first time. Server and clients share one thread, so that the two sides of the gate
//! never run at once, and the thread's time on a processor is the whole cost.
#![forbid(unsafe_code)]

mod chat;

use std::process::ExitCode;

use gate_worker::{bodies::Benchmark, program};

const BENCHMARKS: [Benchmark; 1] = [Benchmark {
    name: "loopback.user_message",
    unit: "message over a socket, to the last of its run's five events",
    has_p99: false,
    corpus: chat::corpus,
    make: || Box::new(chat::Chat::new()),
}];

fn main() -> ExitCode {
    program::run(&BENCHMARKS)
}
