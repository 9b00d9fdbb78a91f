//! Each defect with its switch on and off: one small scene, two outcomes.

use router::{
    Instant,
    tools::{Grants, Level, Person, Plan, Policy},
};
use serde_json::{Value, json};

use super::*;
use crate::legacy::{Hazard, Hazards};

const START: Instant = Instant::from_micros(1_700_000_000_000_000);

fn context(user: &str) -> Context {
    Context::new(user, "thread-1", &format!("run-{user}"), "request-1").expect("real ids")
}

fn person(plan: &str) -> Person {
    Person { plan: Plan::named(plan), grants: Grants::default() }
}

/// A dispatcher with the tool `search`, and what stands around it.
struct Scene {
    made: Dispatcher,
    permissions: Permissions,
    person: Person,
    events: Vec<BridgeCall>,
}

impl Scene {
    fn of(hazards: Hazards) -> Self {
        let emitter = Some(Wire::to_recorder(Bridge::Works));
        let made = Dispatcher::new(hazards, context("ada"), &["search"], emitter).expect("tools are taken");
        Self::around(hazards, made)
    }

    fn around(hazards: Hazards, made: Dispatcher) -> Self {
        let permissions = Permissions::new(hazards);
        Self { made, permissions, person: person("free"), events: Vec::new() }
    }

    fn begin(&mut self, tool: &str) -> Result<Begun, Raised> {
        let run = self.made.context().map_or_else(String::new, |ids| ids.run.clone());
        let call = ToolCall { tool: &tool.into(), parameters: &json!({"q": 1}), person: &self.person };
        self.made.dispatch_tool(START, &call, &run, false, &mut self.permissions, &mut self.events)
    }

    fn call(&mut self, tool: &str, ending: Ending) -> Answer {
        match self.begin(tool).expect("it lives") {
            Begun::Answered(answer) => answer,
            Begun::Running(running) => self.end(running, ending),
        }
    }

    fn keyword(&mut self, keyword: KeywordContext) -> Result<Answer, Raised> {
        let call = ToolCall { tool: &"search".into(), parameters: &json!({"q": 1}), person: &self.person };
        let begun = self.made.dispatch(START, &call, keyword, &mut self.permissions, &mut self.events)?;
        Ok(match begun {
            Begun::Answered(answer) => answer,
            Begun::Running(running) => self.end(running, Ending::Answered(json!(1))),
        })
    }

    fn end(&mut self, running: Running, ending: Ending) -> Answer {
        self.made.end(START, running, ending, &mut self.permissions, &mut self.events)
    }
}

fn fails() -> Ending {
    Ending::Failed { kind: "ValueError".to_owned(), message: "tool blew up".to_owned() }
}

fn only(hazard: Hazard) -> Hazards {
    Hazards::of([hazard])
}

/// Plays a scene with one switch on, and with none.
fn both<R>(hazard: Hazard, scene: impl Fn(Hazards) -> R) -> (R, R) {
    (scene(only(hazard)), scene(Hazards::NONE))
}

#[test]
fn t1_a_registry_without_methods_fails_every_operation() {
    let (on, off) = both(Hazard::T1, |hazards| {
        let with_tools = Dispatcher::new(hazards, context("ada"), &["search"], None).map(|_| ());
        let mut made = Dispatcher::new(hazards, context("ada"), &[], None).expect("without tools");
        let asked = [made.tools().is_err(), made.has_tool("x").is_err(), made.register("x").is_err()];
        (with_tools.is_err(), asked, made.clean_up().is_err(), made.is_active())
    });
    assert_eq!(on, (true, [true; 3], true, true));
    assert_eq!(off, (false, [false; 3], false, false));
}

#[test]
fn t2_and_t3_a_keyword_call_never_succeeds() {
    let error = "Tool execution failed: ValueError() takes no keyword arguments";
    let (on, off) = both(Hazard::T2, |hazards| Scene::of(hazards).keyword(KeywordContext::Absent));
    assert_eq!(on, Ok(Answer::Failure(error.to_owned())));
    assert_eq!(off, Ok(Answer::Success(json!(1))));
    let (on, off) = both(Hazard::T3, |hazards| Scene::of(hazards).keyword(KeywordContext::Map));
    assert_eq!(
        on,
        Ok(Answer::Failure("Tool execution failed: 'dict' object has no attribute 'user_id'".to_owned()))
    );
    assert_eq!(off, Ok(Answer::Success(json!(1))));
    let (on, off) = both(Hazard::T3, |hazards| Scene::of(hazards).keyword(KeywordContext::Object));
    assert_eq!(on.map_err(|raised| raised.class), Err("ValidationError".to_owned()));
    assert_eq!(off, Ok(Answer::Success(json!(1))));
}

#[test]
fn t4_t5_and_t25_events_are_lost_or_misaddressed() {
    let factory = |hazards: Hazards, handed: Handed<'_>, way: Way| {
        let given = Given::Context(context("ada"));
        let made = Factory::new(hazards).create(START, way, &given, handed, &["search"]).expect("made");
        let claims = made.claims_events;
        let mut scene = Scene::around(hazards, made.dispatcher);
        assert_eq!(scene.call("search", Ending::Answered(json!(1))), Answer::Success(json!(1)));
        let runs: Vec<String> = scene.events.into_iter().map(|call| call.run_id).collect();
        (claims, runs)
    };
    let both_events = |run: &str| vec![run.to_owned(); 2];
    let manager = |hazards| factory(hazards, Handed::Manager(None), Way::CreateForRequest);
    let (on, off) = both(Hazard::T4, manager);
    assert_eq!((on, off), ((Some(true), vec![]), (Some(true), both_events("run-ada"))));
    let (on, off) = both(Hazard::T25, |hazards| factory(hazards, Handed::Bridge(None), Way::UnifiedForUser));
    assert_eq!((on.1, off.1), (both_events("search"), both_events("run-ada")));
    let (on, off) = both(Hazard::T5, |hazards| {
        let mut scene = Scene::of(hazards);
        scene.call("search", Ending::Answered(json!(1)));
        scene.events.len()
    });
    assert_eq!((on, off), (0, 2));
}

#[test]
fn t6_a_deadline_is_never_set() {
    let (on, off) = both(Hazard::T6, |hazards| match Scene::of(hazards).begin("search") {
        Ok(Begun::Running(running)) => running.deadline(),
        other => panic!("{other:?}"),
    });
    assert_eq!((on, off), (None, Some(START.after(DEADLINE_US))));
}

#[test]
fn t7_a_tools_error_is_replaced_where_there_is_no_bridge() {
    let (on, off) = both(Hazard::T7, |hazards| {
        let made = Dispatcher::new(hazards, context("ada"), &["search"], None).expect("made");
        Scene::around(hazards, made).call("search", fails())
    });
    assert_eq!(on, Answer::Failure("ValueError() takes no keyword arguments".to_owned()));
    assert_eq!(off, Answer::Failure("tool blew up".to_owned()));
}

#[test]
fn t8_and_t9_figures_do_not_add_up() {
    let figures = |hazards: Hazards| {
        let mut scene = Scene::of(hazards);
        scene.call("search", fails());
        let Figures { executed, successful, failed, .. } = scene.made.figures();
        (executed, successful, failed)
    };
    assert_eq!(both(Hazard::T8, figures), ((1, 1, 0), (1, 0, 1)));
    assert_eq!(both(Hazard::T9, figures), ((0, 0, 1), (1, 0, 1)));
}

#[test]
fn t10_two_calls_in_a_millisecond_share_a_record() {
    let scene = |hazards: Hazards| {
        let mut engine = Engine::new(hazards, Wire::ABSENT);
        let call = StateCall {
            tool: "search",
            parameters: &Value::Null,
            user: "ada",
            run: "run-ada",
            socket_in_state: false,
        };
        let mut events = Vec::new();
        let started: Vec<Started> =
            (0..2).map(|_| engine.begin_with_state(START, &call, &mut events).expect("it begins")).collect();
        let active = engine.active().0;
        for started in started {
            engine.end(START, started, Ending::Answered(json!(1)), &mut events).expect("it answers");
        }
        (active, engine.figures().total, engine.in_flight("ada"))
    };
    assert_eq!(both(Hazard::T10, scene), ((1, 1, 0), (2, 2, 0)));
}

#[test]
fn t11_a_call_that_fails_early_stays_in_the_table() {
    let scene = |hazards: Hazards| {
        let mut engine = Engine::new(hazards, Wire::ABSENT);
        let begun =
            engine.begin_with_input(START, "search", String::new(), EngineContext::Absent, &mut Vec::new());
        (begun.is_err(), engine.active().0)
    };
    assert_eq!(both(Hazard::T11, scene), ((true, 1), (true, 0)));
}

#[test]
fn t12_a_forced_clean_up_finds_nothing() {
    let scene = |hazards: Hazards| {
        let mut scene = Scene::of(hazards);
        let stuck = scene.begin("search");
        assert!(matches!(stuck, Ok(Begun::Running(_))));
        let engine = scene.made.engine_mut();
        (engine.force_clean_up("ada"), engine.active().0, engine.in_flight("ada"))
    };
    assert_eq!(both(Hazard::T12, scene), ((0, 1, 0), (1, 0, 0)));
}

#[test]
fn t13_a_manager_serves_whoever_comes_next() {
    let scene = |hazards: Hazards| {
        let mut factory = Factory::new(hazards);
        let first = Given::Context(context("ada"));
        factory.create(START, Way::UnifiedForUser, &first, Handed::Manager(Some("ada")), &[]).expect("made");
        let second = Given::Context(context("bob"));
        let made =
            factory.create(START, Way::UnifiedForUser, &second, Handed::Nothing, &["search"]).expect("made");
        let mut scene = Scene::around(hazards, made.dispatcher);
        scene.call("search", Ending::Answered(json!("bob's own")));
        scene.events.into_iter().filter_map(|call| call.sink).map(|sink| sink.to_string()).collect::<Vec<_>>()
    };
    let (on, off) = both(Hazard::T13, scene);
    assert_eq!((on, off), (vec!["ada".to_owned(); 2], Vec::new()));
}

#[test]
fn t14_the_count_of_dispatchers_never_falls() {
    let scene = |hazards: Hazards| {
        let mut factory = Factory::new(hazards);
        let given = Given::Context(context("ada"));
        for way in [Way::CreateForRequest, Way::UnifiedScoped] {
            let mut made = factory.create(START, way, &given, Handed::Nothing, &[]).expect("made");
            let cleaned = if way == Way::UnifiedScoped {
                factory.leave_scope(&mut made)
            } else {
                factory.clean_up(&mut made)
            };
            assert_eq!(cleaned, Ok(()));
        }
        factory.counters().active
    };
    assert_eq!(both(Hazard::T14, scene), (1, 0));
}

fn asked<'a>(person: &'a Person, tool: &'a str, execution: Option<&'a str>) -> Asked<'a> {
    Asked { user: "ada", person, tool, parameters: &Value::Null, execution }
}

#[test]
fn t15_the_highest_plan_is_refused_what_the_one_below_may_use() {
    let scene = |hazards: Hazards| {
        ["premium", "enterprise"].map(|plan| {
            let person = person(plan);
            Permissions::new(hazards).check(START, &asked(&person, "create_corpus", None)).is_allowed()
        })
    };
    assert_eq!(both(Hazard::T15, scene), ([true, false], [true, true]));
}

#[test]
fn t16_slots_are_compared_over_all_tools() {
    let scene = |hazards: Hazards| {
        let mut permissions = Permissions::new(hazards);
        let limited = Policy { concurrent_max: Some(1), ..Policy::open(Level::Basic) };
        for tool in ["one", "other", "nameless"] {
            permissions.set_policy(tool, limited.clone());
        }
        let person = person("free");
        let mut may = |tool, id| permissions.check(START, &asked(&person, tool, id)).is_allowed();
        let unrelated = [may("one", Some("e1")), may("other", Some("e2"))];
        permissions.end("ada", "e1");
        permissions.end("ada", "e2");
        let mut may = |tool, id| permissions.check(START, &asked(&person, tool, id)).is_allowed();
        (unrelated, [may("nameless", None), may("nameless", None)])
    };
    assert_eq!(both(Hazard::T16, scene), (([true, false], [true, true]), ([true, true], [true, false])));
}

#[test]
fn t17_nobody_asks_whether_a_call_is_permitted() {
    let scene = |hazards: Hazards| {
        let made = Dispatcher::new(hazards, context("ada"), &["delete_corpus"], None).expect("made");
        let mut scene = Scene::around(hazards, made);
        let answer = scene.call("delete_corpus", Ending::Answered(json!("gone")));
        (answer.is_error(), scene.made.figures().refused)
    };
    assert_eq!(both(Hazard::T17, scene), ((false, 0), (true, 1)));
}

#[test]
fn t18_and_t19_a_callers_face_takes_no_calls() {
    let scene = |way: Way, handed: Handed<'static>| {
        move |hazards: Hazards| {
            let given = Given::Context(context("ada"));
            let mut factory = Factory::new(hazards);
            let mut made = factory.create(START, way, &given, handed, &["search"]).expect("made");
            let call = ToolCall { tool: &"search".into(), parameters: &Value::Null, person: &person("free") };
            let mut permissions = Permissions::new(hazards);
            let begun = made
                .dispatch_tool(START, &call, "run-ada", false, &mut permissions, &mut Vec::new())
                .map(|_| ());
            let cleaned = factory.clean_up(&mut made);
            (begun.err().map(|raised| raised.class), cleaned, made.is_active())
        }
    };
    let (on, off) = both(Hazard::T18, scene(Way::UnifiedForUser, Handed::Bridge(None)));
    assert_eq!((on, off), ((Some("TypeError".to_owned()), Ok(()), true), (None, Ok(()), false)));
    let (on, off) = both(Hazard::T19, scene(Way::EnhancedForUser, Handed::Nothing));
    assert_eq!((on, off), ((Some("AttributeError".to_owned()), Ok(()), false), (None, Ok(()), false)));
}

#[test]
fn t20_an_administrators_dispatcher_is_never_built() {
    let scene = |hazards: Hazards| {
        let given = Given::Context(context("ada"));
        let make = |given, admin| {
            let made = Factory::new(hazards).create_admin(START, given, admin, &["user_management"]);
            made.err().map_or_else(String::new, |raised| raised.class)
        };
        [make(&Given::Nothing, true), make(&given, false), make(&given, true)]
    };
    let classes = |third: &str| ["ValueError", "ValueError", third].map(str::to_owned);
    assert_eq!(both(Hazard::T20, scene), (classes("TypeError"), classes("")));
}

#[test]
fn t21_and_t22_the_redirects_lose_tools_and_warn() {
    let scene = |hazards: Hazards| {
        let given = Given::Context(context("ada"));
        let mut factory = Factory::new(hazards);
        let made =
            factory.create(START, Way::UnifiedFactory, &given, Handed::Nothing, &["search"]).expect("made");
        (made.tools().expect("it has a list").len(), factory.counters().warnings)
    };
    assert_eq!(both(Hazard::T21, scene), ((0, 0), (1, 0)));
    assert_eq!(both(Hazard::T22, scene), ((1, 1), (1, 0)));
}

#[test]
fn t23_the_timer_of_an_emitter_lives_on() {
    let (on, off) = both(Hazard::T23, |hazards| {
        let mut made = Scene::of(hazards).made;
        let before = made.has_timer();
        made.clean_up().expect("it is cleaned up");
        (before, made.has_timer())
    });
    assert_eq!((on, off), ((true, true), (true, false)));
}

#[test]
fn t24_what_counts_as_false_goes_out_as_null() {
    let table = [
        (json!(0), None, Some("0")),
        (json!([]), None, Some("[]")),
        (json!(""), None, Some("")),
        (json!(false), None, Some("False")),
        (json!(null), None, None),
        (json!({"a": [1, "x"]}), Some("{'a': [1, 'x']}"), Some("{'a': [1, 'x']}")),
    ];
    for (result, with, without) in table {
        let (on, off) = both(Hazard::T24, |hazards| text::output(hazards, &result));
        assert_eq!((on.as_deref(), off.as_deref()), (with, without), "{result}");
    }
}

#[test]
fn t26_a_state_with_a_socket_in_it_is_not_understood() {
    let (on, off) = both(Hazard::T26, |hazards| {
        let mut scene = Scene::of(hazards);
        let call = ToolCall { tool: &"search".into(), parameters: &Value::Null, person: &person("free") };
        let begun = scene.made.dispatch_tool(
            START,
            &call,
            "run-ada",
            true,
            &mut scene.permissions,
            &mut scene.events,
        );
        matches!(begun, Ok(Begun::Running(_)))
    });
    assert_eq!((on, off), (false, true));
}

#[test]
fn t27_a_double_answers_for_anything() {
    let scene = |hazards: Hazards| {
        let mut double = Double::new(hazards, ["search".to_owned()]);
        let unknown = double.dispatch("nothing", &json!({})).map(|(answer, _)| answer.is_error());
        double.clean_up();
        let after = double.dispatch("search", &json!({})).map(|(_, took_us)| took_us);
        (unknown, after.map_err(|raised| raised.text), double.calls())
    };
    assert_eq!(
        both(Hazard::T27, scene),
        ((Ok(false), Ok(100_000), 2), (Ok(true), Err("the dispatcher has been disposed".to_owned()), 0))
    );
}

#[test]
fn without_defects_each_call_has_two_events_one_answer_and_its_figures() {
    let mut scene = Scene::of(Hazards::NONE);
    let late = Ending::TimedOut;
    let Ok(Begun::Running(running)) = scene.begin("search") else { panic!("it runs") };
    let now = running.deadline().expect("a deadline");
    let answer = scene.made.end(now, running, late, &mut scene.permissions, &mut scene.events);
    assert_eq!(answer, Answer::Failure("Timeout after 30000ms".to_owned()));
    let told: Vec<Value> = scene.events.iter().map(BridgeCall::to_value).collect();
    assert_eq!(told[0]["event"], "tool_executing");
    assert_eq!(
        told[1]["result"],
        json!({
            "status": "timeout", "duration_ms": 30_000.0, "tool_name": "search",
            "error": "Timeout after 30000ms", "error_type": "TimeoutError", "recoverable": true,
        })
    );
    assert_eq!(scene.made.engine().active(), (0, 0));
    let unknown = scene.call("SEARCH", Ending::Cancelled);
    assert_eq!(unknown, Answer::Refused("Tool SEARCH not found".to_owned()));
    scene.made.clean_up().expect("it is cleaned up");
    assert!(scene.begin("search").is_err_and(|raised| raised.class == "RuntimeError"));
    assert_eq!(scene.made.figures().executed, 1);
}
