//! Executable models of what this router replaces: one per old part, with its defects as switches.
//!
//! A model is a plain value with typed calls. It has no clock and no randomness, sends by returning what it would have
//! sent, and reads no recording. With every [`Hazard`] on it does what was recorded, with every one off what was
//! intended; so recordings hold the models to the old parts, and generated sequences hold the canonical router to the
//! models far beyond the recordings.
//!
//! `goldenpath conform --subject legacy` plays the recorded cases on the models; `goldenpath sim --subject legacy` runs a
//! whole server made of them between the simulator's clients and agents.

pub mod hazards;
pub mod queues;

pub use hazards::{Catalogue, Hazard, Hazards};
