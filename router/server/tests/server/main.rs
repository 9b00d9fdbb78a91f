//! The server over real sockets. Nothing here measures time; the one timeout only ends a test that hangs.

#[expect(deprecated, reason = "the facades are what is tested")]
mod compat;
mod deliver;
mod emitter;
mod end;
mod golden_path;
mod handlers;
mod harness;
mod limits;
mod login;
mod operations;
mod panics;
mod quality;
mod routes;
mod tools;
