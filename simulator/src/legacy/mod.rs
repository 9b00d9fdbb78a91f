//! Executable models of what this router replaces: one per old part, with its defects as switches.
//!
//! A model is a plain value with typed calls. It has no clock and no randomness, sends by returning what it would have
//! sent, and reads no recording. With every [`Hazard`] on it does what was recorded, with every one off what was
//! intended; so recordings hold the models to the old parts, and generated sequences hold the canonical router to the
//! models far beyond the recordings.
//!
//! `goldenpath conform --subject legacy` plays the recorded cases on the models; `goldenpath sim --subject legacy` runs a
//! whole server made of them between the simulator's clients and agents.

pub mod broadcast;
pub mod core_router;
pub mod event_loop;
pub mod event_router;
pub mod hazards;
pub mod manager;
pub mod message_router;
pub mod message_types;
pub mod plain;
mod played;
pub mod python;
pub mod quality_router;
pub mod queues;
pub mod scoped_router;
pub mod server;
pub mod shown;
pub mod sink;
pub mod tool_dispatcher;
pub mod user_id;

pub use hazards::{Catalogue, Hazard, Hazards};
pub use played::Played;
pub use server::LegacyServer;
