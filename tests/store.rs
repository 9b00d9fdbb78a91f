//! The shared store on a real `redis-server`, which each test starts for itself on a free port and in a folder of its own.
//!
//! The scripts are held to the model that simulations use: random sequences of operations must get equal answers and send
//! equal wakes. `GOLDENPATH_STORE_SEQUENCES` says how many. Never skipped: without the server these tests fail and say
//! what to install.

#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "what the sequences came across is half of what they are for")]

#[path = "store/agreement.rs"]
mod agreement;
#[path = "store/link.rs"]
mod link;
#[path = "store/node.rs"]
mod node;
#[path = "store/sequence.rs"]
mod sequence;
#[path = "store/server.rs"]
mod server;
