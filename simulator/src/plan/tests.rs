use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::scenario::{embedded, router_defaults};
use crate::script::{Terminal, canary_in, script};

fn plan(extra: &str) -> Plan {
    let text = format!("schema = 1\nname = \"x\"\nabout = \"\"\n{extra}");
    Plan::new(Scenario::parse("x", &text).unwrap_or_else(|error| panic!("{error}")), 1)
}

fn says(user: &UserPlan) -> impl Iterator<Item = (&Action, &Say)> {
    user.actions.iter().filter_map(|action| match &action.kind {
        ActionKind::Say(say) => Some((action, &**say)),
        ActionKind::Connect
        | ActionKind::Ping
        | ActionKind::Heartbeat
        | ActionKind::Typing { .. }
        | ActionKind::Unknown { .. }
        | ActionKind::Malformed(_)
        | ActionKind::Quality(_)
        | ActionKind::Stop { .. }
        | ActionKind::Disconnect
        | ActionKind::Reconnect
        | ActionKind::StallReading { .. }
        | ActionKind::Leave => None,
    })
}

/// Every embedded scenario, cut to 300 users.
fn embedded_plans() -> impl Iterator<Item = (&'static str, Plan)> {
    embedded().iter().map(|(name, text)| {
        let mut scenario = Scenario::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
        scenario.users.count = scenario.users.count.min(300);
        (*name, Plan::new(scenario, 1))
    })
}

#[test]
fn the_same_seed_gives_the_same_plan_and_another_another() {
    let one: Vec<UserPlan> = plan("[users]\ncount = 50").users().collect();
    assert_eq!(one, plan("[users]\ncount = 50").users().collect::<Vec<_>>());
    let other = Plan::new(plan("").scenario().clone(), 2);
    for user in one {
        assert_ne!(user.actions, other.user(user.index).actions);
        assert_ne!((user.canary, user.id), (other.canary(user.index), other.user_id(user.index)));
    }
}

#[test]
fn a_user_does_not_depend_on_the_others() {
    assert_eq!(plan("[users]\ncount = 8").user(7), plan("[users]\ncount = 1000000").user(7));
}

/// Pinned: a plan that changes under a stored seed must be noticed.
#[test]
fn the_default_plan_is_pinned() {
    let user = plan("").user(7);
    assert_eq!((user.id.as_str(), user.canary.as_str()), ("user-000007-82ef", "cny-a7fca6870a538e8c"));
    assert_eq!((user.tabs, user.connect_at_us, user.leave_at_us), (1, 19_574_275, 114_504_741));
    let times: Vec<u64> = user.actions.iter().map(|action| action.at_us).collect();
    assert_eq!(
        times,
        [
            19_574_275,
            27_110_660,
            44_052_127,
            47_922_054,
            64_676_793,
            71_531_118,
            77_917_395,
            86_612_171,
            94_613_997,
            114_504_741
        ]
    );
    let ends: Vec<u64> = says(&user).map(|(_, say)| say.expected.ends_at_us).collect();
    assert_eq!(ends, [66_423_560, 52_213_213, 56_511_047, 74_377_964, 101_947_845, 113_374_741, 112_684_150]);
}

#[test]
fn names_are_unique_and_well_formed() {
    let plan = plan("[users]\ncount = 5000");
    let (mut ids, mut canaries, mut threads) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    for user in plan.users() {
        assert_eq!(plan.index_of(&user.id), Some(user.index));
        let mut messages = BTreeSet::new();
        for (_, say) in says(&user) {
            assert!(messages.insert(say.message_id.clone()));
            assert_eq!(canary_in(&say.text), Some(user.canary.as_str()));
            assert!(say.text.starts_with(&user.canary) && say.text.len() <= 373);
            assert_eq!(*threads.entry(say.thread.clone()).or_insert(user.index), user.index);
        }
        assert_eq!(canary_in(&user.canary), Some(user.canary.as_str()));
        assert!(ids.insert(user.id) && canaries.insert(user.canary));
    }
    assert_eq!((plan.index_of("user-000007-xxxx"), plan.index_of("user-005000-0000")), (None, None));
}

/// The shares of the workload model over 5,000 users, within about three standard deviations.
#[test]
fn the_default_plan_follows_the_workload_model() {
    let plan = plan("[users]\ncount = 5000");
    let summary = plan.summary();
    let near = |got: u64, of: u64, want: f64, tolerance: f64| {
        let share = got as f64 / of as f64;
        assert!((share - want).abs() <= tolerance, "{share} instead of {want}\n{summary:#?}");
    };
    let messages = summary.frames_in - summary.cancelled;
    near(summary.tabs, summary.users, 1.25, 0.025);
    near(messages, summary.users, 6.5, 0.05);
    near(summary.runs, messages, 0.85, 0.006);
    near(summary.malformed, messages, 0.02, 0.0025);
    near(summary.unknown, messages, 0.01, 0.0017);
    near(summary.timed_out, summary.runs, 0.005, 0.0013);
    near(summary.agent_errors, summary.runs, 0.01, 0.002);
    near(summary.with_tool_error, summary.runs, 0.0255, 0.003);
    near(summary.cancelled, summary.runs, 0.01, 0.002);
    near(summary.disconnects, summary.runs, 0.02, 0.003);
    let mut sizes: Vec<usize> = plan
        .users()
        .flat_map(|user| says(&user).map(|(_, say)| say.text.len()).collect::<Vec<_>>())
        .collect();
    sizes.sort_unstable();
    let quantile = |percent: usize| sizes[sizes.len() * percent / 100];
    assert!((32..=34).contains(&quantile(50)), "median {}", quantile(50));
    assert!((78..=90).contains(&quantile(90)), "p90 {}", quantile(90));
    let late = plan.users().filter(|user| user.connect_at_us >= 30_000_000).count();
    assert!((2_490..=2_510).contains(&late), "arrivals are spread evenly: {late}");
}

#[test]
fn tabs_act_only_while_connected_and_all_leave() {
    for (name, plan) in embedded_plans() {
        for user in plan.users() {
            let mut up = vec![false; usize::from(user.tabs)];
            let mut left = 0;
            let mut now_us = 0;
            for Action { at_us, tab, kind } in &user.actions {
                assert!(*at_us >= now_us, "{name}: sorted");
                now_us = *at_us;
                let connected = &mut up[usize::from(*tab)];
                let opens = matches!(kind, ActionKind::Connect | ActionKind::Reconnect);
                assert_eq!(*connected, !opens, "{name}: {} tab {tab} at {at_us}: {kind:?}", user.id);
                *connected = !matches!(kind, ActionKind::Disconnect | ActionKind::Leave);
                left += u8::from(matches!(kind, ActionKind::Leave));
            }
            assert_eq!((left, now_us), (user.tabs, user.leave_at_us), "{name}");
            for (_, say) in says(&user) {
                assert!(say.expected.ends_at_us < user.leave_at_us, "{name}: {say:?}");
            }
        }
    }
}

/// Users who do nothing but send, as fast as they may, and mostly bad frames.
fn abusive() -> Plan {
    let session = "messages = 300\nthink_time = \"0s\"\nmix = { chat = 1, malformed = 2 }";
    plan(&format!("[users]\ncount = 20\n[session]\n{session}"))
}

/// The router's own token bucket, run limit and abuse limit never refuse what any scenario plans.
#[test]
fn plans_stay_within_the_limits_in_force() {
    for (name, plan) in embedded_plans().chain([("abusive", abusive())]) {
        let (per_s, burst) = plan.scenario().limits.rate();
        for user in plan.users() {
            let (mut tokens, mut last_us) = (u64::from(burst) * 1_000_000, 0);
            let mut rejected = Vec::new();
            for Action { at_us, kind, .. } in &user.actions {
                if matches!(
                    kind,
                    ActionKind::Connect | ActionKind::Leave | ActionKind::Disconnect | ActionKind::Reconnect
                ) {
                    continue;
                }
                tokens = (tokens + (at_us - last_us) * u64::from(per_s)).min(u64::from(burst) * 1_000_000);
                last_us = *at_us;
                tokens = tokens
                    .checked_sub(1_000_000)
                    .unwrap_or_else(|| panic!("{name}: {} too fast at {at_us}", user.id));
                if matches!(kind, ActionKind::Malformed(_)) {
                    rejected.push(*at_us);
                }
            }
            let abuse = rejected.windows(router_defaults::ABUSE_FRAMES as usize);
            assert!(
                abuse.into_iter().all(|w| w[w.len() - 1] - w[0] > router_defaults::ABUSE_WINDOW_US),
                "{name}"
            );
            let open_at = |at_us: u64| {
                says(&user)
                    .filter(|(action, say)| action.at_us <= at_us && at_us < say.expected.ends_at_us)
                    .count()
            };
            let most = says(&user).map(|(action, _)| open_at(action.at_us)).max().unwrap_or(0);
            assert!(
                most <= plan.scenario().limits.runs_max() as usize,
                "{name}: {} has {most} open runs",
                user.id
            );
            assert!(u32::from(user.tabs) <= plan.scenario().limits.connections_max(), "{name}");
        }
    }
}

#[test]
fn stops_and_disconnects_fall_into_the_middle_of_a_run() {
    let plan = plan("[users]\ncount = 500\n[session]\nstop_share = 0.5\n[network]\ndisconnect_share = 0.5");
    let (mut stops, mut disconnects) = (0, 0);
    for user in plan.users() {
        let open: Vec<(&Action, &Say)> = says(&user).collect();
        for Action { at_us, kind, .. } in &user.actions {
            if let ActionKind::Stop { message_id } = kind {
                let (action, say) = open.iter().find(|(_, say)| *say.message_id == **message_id).unwrap();
                assert_eq!(say.expected.terminal, Terminal::Cancelled);
                assert!(action.at_us < *at_us && *at_us < say.expected.ends_at_us);
                stops += 1;
            }
            if matches!(kind, ActionKind::Disconnect) {
                assert!(
                    open.iter()
                        .any(|(action, say)| action.at_us < *at_us && *at_us < say.expected.ends_at_us)
                );
                disconnects += 1;
            }
        }
    }
    let runs = plan.summary().runs;
    assert!(
        stops > runs / 5 && disconnects > runs / 4,
        "{stops} stops and {disconnects} disconnects in {runs} runs"
    );
}

#[test]
fn a_message_during_set_up_leaves_with_the_last_connect() {
    let plan = plan("[users]\ncount = 200\n[session]\nduring_setup = 1\n[limits]\nready_after = \"300ms\"");
    for user in plan.users() {
        let connect = user
            .actions
            .iter()
            .filter(|action| action.kind == ActionKind::Connect)
            .map(|action| action.at_us);
        let last_us = connect.max().unwrap();
        let sent: Vec<u64> =
            user.actions[usize::from(user.tabs)..].iter().map(|action| action.at_us).collect();
        assert_eq!(sent[0], last_us);
        assert!(sent[1..].iter().all(|&at_us| at_us >= last_us + 300_000), "{user:#?}");
    }
}

/// In the scenarios that compare both worlds, a user's events lie at least 50 ms apart, so that order does
/// not depend on speed.
#[test]
fn events_of_the_agree_scenarios_lie_apart() {
    for (name, plan) in embedded_plans().filter(|(name, _)| name.starts_with("agree")) {
        let summary = plan.summary();
        assert_eq!((summary.users, summary.runs, summary.completed), (40, 200, 200), "{name}");
        assert_eq!(summary.disconnects > 30, name == "agree-reconnect", "{name}");
        assert!(summary.ends_at_us < 11_500_000, "{name} takes {} us", summary.ends_at_us);
        for user in plan.users() {
            let mut times: Vec<u64> = user.actions.iter().map(|action| action.at_us).collect();
            times.truncate(times.len() - usize::from(user.tabs) + 1);
            for (action, say) in says(&user) {
                let script = script(plan.profile(), plan.seed(), &user.id, &say.message_id);
                times.extend(script.beats.iter().map(|beat| action.at_us + beat.at_us));
            }
            times.sort_unstable();
            let least = times.windows(2).map(|pair| pair[1] - pair[0]).min();
            assert!(least >= Some(50_000), "{name}: {} has events {least:?} us apart", user.id);
        }
    }
}

/// The load scenario is played in wall-clock time, so its length and size are promises.
#[test]
fn the_load_scenario_takes_half_a_minute() {
    let (_, plan) = embedded_plans().find(|(name, _)| *name == "load").unwrap();
    let summary = plan.summary();
    assert!(summary.runs >= 3_000 && summary.ends_at_us <= 32_000_000, "{summary}");
}
