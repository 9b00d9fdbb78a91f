//! Who sent what to whom, in order: a sequence diagram, as data, as text and as a picture.

mod picture;
mod text;

use serde::{Deserialize, Serialize};

pub(crate) use picture::{legend, render};

/// A run as the exchanges between its parties.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// The parties, from left to right.
    pub lanes: Vec<String>,
    /// What happened, in order.
    pub exchanges: Vec<Exchange>,
    /// How much happened beside that and was not kept.
    #[serde(default)]
    pub left_out: u64,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// When, in microseconds since the run began.
    pub at_us: u64,
    /// The lane it starts from.
    pub from: usize,
    /// The lane it goes to; the same lane if it concerns one party alone.
    pub to: usize,
    /// What, in a few words.
    pub label: String,
    /// What it is.
    pub kind: ExchangeKind,
}

/// What an exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeKind {
    /// Something that one party sends to another.
    Message,
    /// Something that happens to one party.
    Note,
    /// A rule is broken there.
    Finding,
}

impl Sequence {
    /// As text for a terminal, at most `width` columns wide if that leaves every lane its least width, and at most
    /// `rows` exchanges long. Ends with a line feed; empty without lanes.
    pub fn to_text(&self, width: usize, rows: usize) -> String {
        text::render(self, width, rows)
    }

    /// Puts a note or a finding among the exchanges, behind those of its time.
    pub fn insert(&mut self, exchange: Exchange) {
        let place = self.exchanges.partition_point(|other| other.at_us <= exchange.at_us);
        self.exchanges.insert(place, exchange);
    }

    /// A lane by number; lanes that are not there have no name.
    pub(crate) fn lane(&self, number: usize) -> &str {
        self.lanes.get(number).map(String::as_str).unwrap_or_default()
    }
}

impl ExchangeKind {
    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            ExchangeKind::Message => "message",
            ExchangeKind::Note => "note",
            ExchangeKind::Finding => "finding",
        }
    }
}

#[cfg(test)]
pub(crate) fn sample() -> Sequence {
    let exchange =
        |at_us, from, to, label: &str, kind| Exchange { at_us, from, to, label: label.to_owned(), kind };
    Sequence {
        lanes: ["user 0", "user 5", "router", "agents"].map(str::to_owned).into(),
        exchanges: vec![
            exchange(1_000, 0, 2, "connect", ExchangeKind::Message),
            exchange(1_000, 2, 0, "welcome", ExchangeKind::Message),
            exchange(2_500, 1, 2, "user_message m0000", ExchangeKind::Message),
            exchange(2_500, 2, 3, "start m0000, user 5", ExchangeKind::Message),
            exchange(1_002_500, 3, 2, "m0000 started", ExchangeKind::Message),
            exchange(1_002_500, 2, 0, "agent_started of user 5", ExchangeKind::Message),
            exchange(1_010_000, 0, 0, "iso.I1 user_id is user-000005-2bda", ExchangeKind::Finding),
            exchange(2_000_000, 1, 1, "loses its connection", ExchangeKind::Note),
        ],
        left_out: 3,
    }
}
