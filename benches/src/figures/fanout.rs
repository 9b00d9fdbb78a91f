//! Fan-out per recipient, against pushing a handle into a ring per connection.

use std::{hint::black_box, time::Duration};

use reports::Unit;

use super::{
    Goal, Row,
    rounds::{ROUNDS, Rounds, timed},
};
use crate::workloads::{Audience, FanOut, Rings};

/// Sends per round, so that small audiences are measured over a time that a clock can tell.
const RECIPIENTS_PER_ROUND: u32 = 100_000;

pub(super) fn rows() -> Vec<Row> {
    let cases = [
        ("fanout_users_1000", Audience::Users, 1_000),
        ("fanout_tabs_1000", Audience::Tabs, 1_000),
        ("fanout_users_100000", Audience::Users, 100_000),
    ];
    cases.into_iter().map(|(key, audience, recipients)| row(key, audience, recipients)).collect()
}

fn row(key: &'static str, audience: Audience, recipients: u32) -> Row {
    let mut fan_out = FanOut::new(audience, recipients);
    let mut rings = Rings::new(recipients);
    let sends = (RECIPIENTS_PER_ROUND / recipients).max(1);
    let mut rounds = Rounds::default();
    let encoded = fan_out.router().stats().frames.encoded;
    for round in 0..=ROUNDS {
        let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
        for send in 0..sends {
            theirs += timed(|| rings.send(black_box(u64::from(send))));
            ours += timed(|| fan_out.send());
            assert_eq!(fan_out.clear(), recipients as usize, "everybody is sent to");
            assert_eq!(rings.clear(), recipients as usize);
            fan_out.written();
        }
        if round > 0 {
            rounds.add(ours, theirs, (sends * recipients) as usize);
        }
    }
    let encoded = fan_out.router().stats().frames.encoded - encoded;
    let events = u64::from(sends) * (ROUNDS as u64 + 1);
    assert_eq!(encoded, events, "one event is encoded once");
    let what = match audience {
        Audience::Users => "a broadcast to",
        Audience::Tabs => "a run event to tabs,",
    };
    Row {
        key,
        label: format!("{what} {recipients} connections, against a ring each"),
        value: rounds.ratio().median,
        unit: Unit::Ratio,
        goal: Goal::AtMost(6.0),
        detail: rounds.told("per recipient", "ring"),
    }
}
