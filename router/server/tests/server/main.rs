//! The server over real sockets. Nothing here measures time; the one timeout only ends a test that hangs.

mod deliver;
mod end;
mod golden_path;
mod harness;
mod limits;
mod login;
mod operations;
