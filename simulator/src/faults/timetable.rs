//! When what befalls clients and the node is to happen: drawn before the run begins, so that nothing that happens in it
//! shifts the times.

use super::chain::{names, user_dice};
use crate::prng::{Domain, Prng};
use crate::scenario::{Fault, FaultKind, Scenario};

/// Something that is to happen at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) at_us: u64,
    pub(crate) deed: Deed,
}

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// The end of one of the user's tabs dies; which, is this number modulo the tabs.
    HalfOpen { user: u32, tab: u64 },
    /// One of the user's tabs stops reading.
    Stall { user: u32, tab: u64, for_us: u64 },
    /// The connections of everybody whom the rule of that number strikes are lost.
    Avalanche { rule: usize },
    /// The node takes in nothing for that long.
    Pause { for_us: u64 },
    /// The node dies, and is back after that time.
    Crash { for_us: u64 },
    /// The node is told to drain.
    Deploy,
    /// The node's clock jumps ahead by that much.
    Jump { by_us: u64 },
    /// The node's clock gains that many microseconds per second from now on.
    Drift { gain: u64 },
    /// What the router asks others for fails, or works again.
    Services { away: bool },
}

/// All that is to happen, earliest first.
pub(crate) fn timetable(scenario: &Scenario, seed: u64) -> Vec<Due> {
    let mut due = Vec::new();
    for (rule, (fault, name)) in scenario.faults.iter().zip(names(&scenario.faults)).enumerate() {
        if fault.kind.is_of_node() {
            of_node(fault, &mut Prng::stream(seed, Domain::Fault, name), &mut due);
        } else if fault.kind == FaultKind::Avalanche {
            let at_us = fault.during.draw(&mut Prng::stream(seed, Domain::Fault, name));
            due.push(Due { at_us, deed: Deed::Avalanche { rule } });
        } else if fault.kind.is_of_clients() {
            let users = (0..scenario.users.count).filter(|user| fault.concerns(*user));
            due.extend(users.filter_map(|user| of_client(fault, user, &mut user_dice(seed, name, user))));
        }
    }
    due.sort_by_key(|due| due.at_us);
    due
}

/// Whether an avalanche strikes a user.
pub(crate) fn strikes(scenario: &Scenario, seed: u64, rule: usize, user: u32) -> bool {
    let Some((fault, name)) = scenario.faults.iter().zip(names(&scenario.faults)).nth(rule) else {
        return false;
    };
    fault.concerns(user) && user_dice(seed, name, user).chance(fault.share.get())
}

fn of_client(fault: &Fault, user: u32, dice: &mut Prng) -> Option<Due> {
    let struck = dice.chance(fault.share.get());
    let (at_us, tab, for_us) = (fault.during.draw(dice), dice.next_u64(), fault.by().draw(dice));
    let deed = if fault.kind == FaultKind::Stall {
        Deed::Stall { user, tab, for_us }
    } else {
        Deed::HalfOpen { user, tab }
    };
    struck.then_some(Due { at_us, deed })
}

fn of_node(fault: &Fault, dice: &mut Prng, due: &mut Vec<Due>) {
    let happens = dice.chance(fault.share.get());
    let (at_us, by) = (fault.during.draw(dice), fault.by().draw(dice));
    if !happens {
        return;
    }
    let (from_us, to_us) = (fault.during.low.us(), fault.during.high.us());
    let mut push = |at_us, deed| due.push(Due { at_us, deed });
    match fault.kind {
        FaultKind::Pause => push(at_us, Deed::Pause { for_us: by }),
        FaultKind::Crash => push(at_us, Deed::Crash { for_us: by }),
        FaultKind::Deploy => push(at_us, Deed::Deploy),
        FaultKind::Jump => push(at_us, Deed::Jump { by_us: by }),
        FaultKind::Skew => {
            push(from_us, Deed::Drift { gain: by });
            push(to_us, Deed::Drift { gain: 0 });
        }
        FaultKind::ServicesAway => {
            push(from_us, Deed::Services { away: true });
            push(to_us, Deed::Services { away: false });
        }
        FaultKind::Pass
        | FaultKind::Delay
        | FaultKind::Lose
        | FaultKind::Duplicate
        | FaultKind::Reorder
        | FaultKind::Corrupt
        | FaultKind::Cut
        | FaultKind::Clog
        | FaultKind::SwizzleClog
        | FaultKind::HalfOpen
        | FaultKind::Stall
        | FaultKind::Avalanche => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{MicrosRange, Share, UserRange};

    fn with(faults: Vec<Fault>) -> Scenario {
        let mut scenario = Scenario { faults, ..Scenario::default() };
        scenario.users.count = 20;
        scenario
    }

    #[test]
    fn everything_has_its_time_within_its_rule() {
        let during = MicrosRange::new(10_000_000, 20_000_000);
        let clients = [FaultKind::HalfOpen, FaultKind::Stall, FaultKind::Avalanche];
        let kinds = FaultKind::ALL.into_iter().filter(|kind| kind.is_of_node() || clients.contains(kind));
        let scenario = with(kinds.map(|kind| Fault::new(kind, during)).collect());
        let due = timetable(&scenario, 3);
        assert_eq!(due, timetable(&scenario, 3));
        assert!(due.is_sorted_by_key(|due| due.at_us));
        assert!(due.iter().all(|due| (10_000_000..=20_000_000).contains(&due.at_us)));
        assert_eq!(due.len(), 20 + 20 + 1 + 4 + 2 + 2);
    }

    #[test]
    fn shares_choose_users_and_whether_the_node_is_hit() {
        let during = MicrosRange::new(0, 10);
        let half = |kind| Fault { share: Share::new(0.5), ..Fault::new(kind, during) };
        let struck = timetable(&with(vec![half(FaultKind::Stall)]), 1).len();
        assert!((4..=16).contains(&struck), "{struck}");
        let crashes =
            (0..64).filter(|seed| !timetable(&with(vec![half(FaultKind::Crash)]), *seed).is_empty());
        assert!((16..48).contains(&crashes.count()));
        let two = Some(UserRange { low: 2, high: 3 });
        let scenario = with(vec![Fault { users: two, ..Fault::new(FaultKind::Avalanche, during) }]);
        assert_eq!((0..20).filter(|user| strikes(&scenario, 1, 0, *user)).collect::<Vec<_>>(), [2, 3]);
    }
}
