//! Routing one message, against parsing it, and with many users against few.

use std::{hint::black_box, time::Duration};

use reports::Unit;

use super::{
    Goal, Row,
    rounds::{ROUNDS, Rounds, timed},
};
use crate::workloads::{Chat, PlainEnvelope};

/// Messages between two looks at the clock.
const BATCH: usize = 16;
/// Batches per round.
const BATCHES: usize = 200;
/// Users of the first figure: enough that no user's window of remembered message ids fills up.
const USERS: u32 = 1_000;
const FEW: u32 = 10;
const MANY: u32 = 1_000_000;
/// Messages after which the few users are replaced, so that as many ids are remembered of them as of the many.
const FEW_BATCHES: usize = 5;

pub(super) fn against_serde() -> Vec<Row> {
    let mut chat = Chat::new(USERS, 10_000);
    let mut rounds = Rounds::default();
    for round in 0..=ROUNDS {
        let (ours, theirs) = (0..BATCHES).fold((Duration::ZERO, Duration::ZERO), |(ours, theirs), _| {
            chat.prepare(BATCH);
            let plain = timed(|| {
                for text in chat.texts() {
                    _ = black_box(serde_json::from_str::<PlainEnvelope<'_>>(black_box(text)));
                }
            });
            let routed = timed(|| chat.route());
            assert_eq!(chat.settle(), BATCH, "every message starts a run");
            (ours + routed, theirs + plain)
        });
        // The first round warms up.
        if round > 0 {
            rounds.add(ours, theirs, BATCH * BATCHES);
        }
    }
    vec![Row {
        key: "routing",
        label: "routing a 300-byte message, against parsing it with serde".to_owned(),
        value: rounds.ratio().median,
        unit: Unit::Ratio,
        goal: Goal::AtMost(2.2),
        detail: rounds.told("routing", "serde"),
    }]
}

pub(super) fn scaling() -> Vec<Row> {
    let mut many = Chat::new(MANY, 1);
    many.warm_up();
    let mut few = Chat::new(FEW, 100_000);
    let mut rounds = Rounds::default();
    for round in 0..=ROUNDS {
        let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
        for batch in 0..BATCHES {
            if batch % FEW_BATCHES == 0 {
                few = Chat::new(FEW, 100_000);
                few.warm_up();
            }
            for (chat, time) in [(&mut many, &mut ours), (&mut few, &mut theirs)] {
                chat.prepare(BATCH);
                *time += timed(|| chat.route());
                assert_eq!(chat.settle(), BATCH, "every message starts a run");
            }
        }
        if round > 0 {
            rounds.add(ours, theirs, BATCH * BATCHES);
        }
    }
    vec![Row {
        key: "routing_scaling",
        label: "routing with 1,000,000 users, against 10".to_owned(),
        value: rounds.ratio().median,
        unit: Unit::Ratio,
        goal: Goal::AtMost(1.6),
        detail: rounds.told("1,000,000 users", "10 users"),
    }]
}
