//! What waits in the router: runs for an agent, messages for the end of set-up; and what becomes of it.

use proptest::{prelude::*, test_runner::Config as Runs};
use router::{
    Authority, Config, ConnId, Effect, Input, Letter, RedriveRefusal, RunRequest,
    queue::{Outlet, Reason},
    waiting::{Backend, backend},
};

use crate::harness::World;

const SECOND: u64 = 1_000_000;

fn bounded(agents_max: u32) -> World {
    World::new(Config { agents_max, ..Config::default() })
}

/// What the redrive of a letter was answered.
fn redrive(world: &mut World, authority: &Authority, user: &str, letter: u64) -> Result<(), RedriveRefusal> {
    world.other.clear();
    world.input(Input::Redrive { authority, user, letter });
    let outcome = world.other.iter().find_map(|effect| match effect {
        Effect::Redriven(redriven) => Some(redriven.outcome),
        _ => None,
    });
    outcome.expect("each redrive is answered")
}

fn letters(world: &World) -> Vec<Letter> {
    world.router.dead_letters(None, 0, usize::MAX)
}

#[test]
fn runs_above_the_bound_wait_and_users_take_turns() {
    let mut world = bounded(1);
    let (ada, eve) = (world.connect("ada"), world.connect("eve"));
    let first = world.chat(ada, "a1");
    for id in ["a2", "a3", "a4"] {
        world.chat(ada, id);
    }
    world.chat(eve, "e1");
    assert_eq!(world.runs.len(), 1, "one agent works");
    assert_eq!((world.router.queue_stats().runs_waiting, world.router.queue_stats().agents_working), (4, 1));
    assert_eq!(world.router.stats().runs.open, 5, "each message was taken in");
    world.play(&first);
    for at in 1..5 {
        let run = world.runs[at].clone();
        world.play(&run);
    }
    let order: Vec<_> = world.runs.iter().map(|run| &*run.request_id).collect();
    assert_eq!(order, ["a1", "a2", "e1", "a3", "a4"], "one of each user, in turns");
    let account = world.router.queue_stats().account;
    assert_eq!((account.offered, account.delivered, account.waiting, account.leased), (5, 5, 0, 0));
}

#[test]
fn a_waiting_run_that_is_stopped_never_reaches_an_agent() {
    let mut world = bounded(1);
    let ada = world.connect("ada");
    let first = world.chat(ada, "a1");
    world.chat(ada, "a2");
    world.say(ada, r#"{"type":"stop_agent","payload":{}}"#);
    let cancelled = world.other.iter().filter(|effect| matches!(effect, Effect::CancelRun { .. })).count();
    assert_eq!(cancelled, 1, "only the one that works is told");
    let ends = world.frames(ada).iter().filter(|frame| frame["error_code"] == "CANCELLED").count();
    assert_eq!((ends, world.runs.len(), letters(&world).len()), (2, 1, 0));
    world.play(&first);
    assert_eq!(world.router.queue_stats().account.waiting, 0);
}

#[test]
fn a_crowd_is_refused_before_it_is_taken_in() {
    let mut world = World::new(Config { agents_max: 1, runs_waiting_max: 2, ..Config::default() });
    let ada = world.connect("ada");
    for id in ["a1", "a2", "a3", "a4"] {
        world.chat(ada, id);
    }
    assert_eq!(world.last(ada)["error_code"], "OVERLOADED");
    assert_eq!(world.router.stats().runs.open, 3);
}

#[test]
fn a_run_nobody_worked_on_is_a_letter_and_can_be_worked_on_again() {
    let mut world = World::new(Config { agents_max: 1, agent_deadline_us: 10 * SECOND, ..Config::default() });
    let authority = world.router.take_authority().expect("the first to ask");
    let (ada, eve) = (world.connect("ada"), world.connect("eve"));
    world.chat(ada, "a1");
    world.chat(eve, "e1");
    world.wait(10 * SECOND);
    let dead = letters(&world);
    let told: Vec<_> =
        dead.iter().map(|letter| (&*letter.user, letter.reason, letter.is_redrivable)).collect();
    assert_eq!(told, [("ada", Reason::Expired, true), ("eve", Reason::Expired, true)]);
    assert_eq!(
        world.last(eve)["error_code"],
        "TIMEOUT",
        "the run itself says how it ended, and that is enough"
    );
    assert_eq!(dead[1].request.as_deref(), Some("e1"));

    let letter = dead[1].number;
    assert_eq!(redrive(&mut world, &authority, "ada", letter), Err(RedriveRefusal::Unknown), "not hers");
    assert_eq!(redrive(&mut world, &authority, "eve", letter), Ok(()));
    let again = world.runs.last().cloned().expect("a run");
    assert_eq!((&*again.user, &*again.request_id, again.text()), ("eve", "e1", "hello"));
    assert_eq!(redrive(&mut world, &authority, "eve", letter), Err(RedriveRefusal::Waits));
    world.play(&again);
    let types = world.types(eve);
    assert_eq!(types[types.len() - 5..], crate::harness::FIVE);
    assert_eq!(redrive(&mut world, &authority, "eve", letter), Err(RedriveRefusal::Unknown), "it is done");
    assert_eq!(letters(&world).len(), 1);
}

#[test]
fn a_letter_whose_second_try_fails_is_the_same_letter() {
    let mut world = World::new(Config { agent_deadline_us: SECOND, ..Config::default() });
    let authority = world.router.take_authority().expect("the first to ask");
    let ada = world.connect("ada");
    world.chat(ada, "a1");
    world.wait(SECOND);
    let first = letters(&world);
    assert_eq!(redrive(&mut world, &authority, "ada", first[0].number), Ok(()));
    world.wait(SECOND);
    let second = letters(&world);
    assert_eq!((second.len(), second[0].number), (1, first[0].number));
    assert_eq!(second[0].failures.len(), 1, "what went wrong is kept");
    world.input(Input::Drain);
    assert_eq!(redrive(&mut world, &authority, "ada", first[0].number), Err(RedriveRefusal::ShuttingDown));
}

#[test]
fn what_was_sent_before_its_connection_was_served_is_a_letter_and_its_user_is_told() {
    let mut world = World::new(Config { ready_after_us: SECOND, ..Config::default() });
    let authority = world.router.take_authority().expect("the first to ask");
    let tab = world.connect("ada");
    for id in ["a1", "a2"] {
        world.say(
            tab,
            &format!(r#"{{"type":"user_message","message_id":"{id}","payload":{{"content":"x"}}}}"#),
        );
    }
    world.input(Input::Closed { conn: tab });
    let dead = letters(&world);
    assert_eq!(dead.len(), 2);
    assert!(dead.iter().all(|letter| letter.reason == Reason::ConnectionGone && !letter.is_redrivable));
    assert_eq!(redrive(&mut world, &authority, "ada", dead[0].number), Err(RedriveRefusal::ConnectionGone));
    let back = world.connect("ada");
    world.wait(SECOND);
    let notice = world.frames(back).iter().find(|frame| frame["type"] == "dead_letters").expect("told");
    assert_eq!(notice["payload"]["count"], 1, "at once of the first");
    world.wait(60 * SECOND);
    let counts: Vec<_> = world.frames(back).iter().filter(|frame| frame["type"] == "dead_letters").collect();
    assert_eq!((counts.len(), &counts[1]["payload"]["count"]), (2, &1.into()), "of the other a minute later");
    assert_eq!(world.router.queue_stats().notices, 2);
}

#[test]
fn what_is_held_is_bounded_for_all_connections_together() {
    let mut world =
        World::new(Config { ready_after_us: SECOND, held_bytes_total_max: 100, ..Config::default() });
    let (ada, eve) = (world.connect("ada"), world.connect("eve"));
    let text = r#"{"type":"ping","payload":{"pad":"0123456789012345678901234567890"}}"#;
    world.say(ada, text);
    world.say(eve, text);
    assert_eq!(world.last(eve)["error_code"], "OVERLOADED");
    assert_eq!(world.router.queue_stats().held_bytes, text.len() as u64);
    world.wait(SECOND);
    assert_eq!((world.types(ada), world.router.queue_stats().held_bytes), (vec!["pong"], 0));
}

#[test]
fn letters_are_bounded_and_leave_in_the_end() {
    let mut world = World::new(Config {
        agent_deadline_us: SECOND,
        dead_letters_per_user_max: 3,
        dead_letter_ttl_us: 100 * SECOND,
        ..Config::default()
    });
    let ada = world.connect("ada");
    for n in 0..5 {
        world.chat(ada, &format!("a{n}"));
    }
    world.wait(SECOND);
    let kept: Vec<_> = letters(&world).into_iter().filter_map(|letter| letter.request).collect();
    assert_eq!(kept.iter().map(|id| &**id).collect::<Vec<_>>(), ["a2", "a3", "a4"]);
    assert_eq!(world.router.dead_letters(None, 0, 2).len(), 2);
    assert_eq!(world.router.dead_letters(Some("eve"), 0, 2).len(), 0);
    world.wait(100 * SECOND);
    assert_eq!(letters(&world), []);
}

#[test]
fn the_back_end_is_a_function_of_the_outlet_and_of_whether_a_store_is_shared() {
    let outlets = [Outlet::Worker(0), Outlet::User, Outlet::Log(1), Outlet::Connection(1)];
    assert!(outlets.iter().all(|outlet| backend(false, *outlet) == Backend::Memory));
    let shared: Vec<_> = outlets.iter().map(|outlet| backend(true, *outlet).name()).collect();
    assert_eq!(shared, ["store", "store", "store", "memory"]);
    assert_eq!(bounded(0).router.queue_stats().runs_backend, Backend::Memory);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Say(u8),
    Finish(u8),
    Fail(u8),
    Stop(u8),
    Redrive(u8),
    Leave(u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4_u8).prop_map(Step::Say),
        6 => any::<u8>().prop_map(Step::Finish),
        1 => any::<u8>().prop_map(Step::Fail),
        1 => (0..4_u8).prop_map(Step::Stop),
        2 => any::<u8>().prop_map(Step::Redrive),
        1 => (0..4_u8).prop_map(Step::Leave),
        3 => (1..4 * SECOND).prop_map(Step::Wait),
    ]
}

/// Agents that work, by the latest start of each run.
fn at_work(world: &World) -> Vec<RunRequest> {
    let ended = |run: &RunRequest| {
        world
            .other
            .iter()
            .any(|effect| matches!(effect, Effect::CancelRun { run: over, .. } if *over == run.run))
    };
    world.runs.iter().filter(|run| !ended(run)).cloned().collect()
}

proptest! {
    #![proptest_config(Runs { cases: 200, failure_persistence: None, ..Runs::default() })]

    /// Whatever is said, done, stopped, left and worked on again: never more agents than the bound, every book adds up after
    /// every input (the harness asks), nobody gets another's run, and in the end nothing waits.
    #[test]
    fn bounded_agents_are_never_more_than_the_bound_and_nothing_is_left_waiting(
        agents_max in 1..4_u32,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new(Config {
            agents_max,
            agent_deadline_us: 5 * SECOND,
            runs_per_user_max: 4,
            rate_per_s: 1_000,
            rate_burst: 1_000,
            ..Config::default()
        });
        let authority = world.router.take_authority().expect("the first to ask");
        let names = ["ada", "eve", "joe", "kim"];
        let mut tabs: Vec<ConnId> = names.iter().map(|name| world.connect(name)).collect();
        world.other.clear();
        let (mut said, mut finished) = (0, Vec::new());
        for step in steps {
            let open: Vec<RunRequest> =
                at_work(&world).into_iter().filter(|run| !finished.contains(&run.run)).collect();
            prop_assert!(open.len() <= agents_max as usize, "{} agents at work", open.len());
            match step {
                Step::Say(user) => {
                    said += 1;
                    let text = format!(r#"{{"type":"chat","message_id":"m{said}","payload":{{"content":"x"}}}}"#);
                    world.say(tabs[user as usize], &text);
                }
                Step::Finish(at) if !open.is_empty() => {
                    let run = open[at as usize % open.len()].clone();
                    finished.push(run.run);
                    world.play(&run);
                }
                Step::Fail(at) if !open.is_empty() => {
                    let run = open[at as usize % open.len()].clone();
                    finished.push(run.run);
                    world.agent(&run, router::AgentEvent::Started { agent: "a", task: "" });
                    world.agent(&run, router::AgentEvent::Failed { code: "X", message: "no" });
                }
                Step::Finish(_) | Step::Fail(_) => {}
                Step::Stop(user) => world.say(tabs[user as usize], r#"{"type":"stop_agent","payload":{}}"#),
                Step::Redrive(at) => {
                    let dead = letters(&world);
                    if !dead.is_empty() {
                        let letter = &dead[at as usize % dead.len()];
                        let (user, number) = (letter.user.clone(), letter.number);
                        world.input(Input::Redrive { authority: &authority, user: &user, letter: number });
                    }
                }
                Step::Leave(user) => {
                    world.input(Input::Closed { conn: tabs[user as usize] });
                    let kept = std::mem::take(&mut world.other);
                    tabs[user as usize] = world.connect(names[user as usize]);
                    world.other = kept;
                }
                Step::Wait(micros) => world.wait(micros),
            }
        }
        for (name, tab) in names.iter().zip(&tabs) {
            let foreign = world.frames(*tab).iter().filter_map(|frame| frame["user_id"].as_str());
            prop_assert!(foreign.into_iter().all(|user| user == *name));
        }
        // Agents that say nothing more run into their deadlines; so may who waits for one. Then all agents are well.
        world.wait(6 * SECOND);
        for _ in 0..400 {
            match at_work(&world).into_iter().find(|run| !finished.contains(&run.run)) {
                Some(run) => {
                    finished.push(run.run);
                    world.play(&run);
                }
                None if world.router.queue_stats().runs_waiting == 0 => break,
                // Many failures make agents rest a while.
                None => world.wait(SECOND),
            }
        }
        let stats = world.router.queue_stats();
        prop_assert_eq!((stats.runs_waiting, stats.agents_working, world.router.stats().runs.open), (0, 0, 0));
    }
}
