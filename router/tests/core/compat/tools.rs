//! Tool calls of a run.

use router::{
    AgentEvent, ConnId, Effect, Effects, Input, Router, RunRef, ToolStep, compat::UnifiedToolDispatcher,
};
use serde_json::json as value;

use super::{Pair, every_method_was_called};
use crate::harness::json;

#[test]
fn tool_dispatcher_calls_as_an_agent_does() {
    let mut pair = Pair::new();
    for router in [&mut pair.old, &mut pair.new] {
        router.add_tool("search", "finds things");
    }
    let ada = pair.connect("ada");
    pair.both(Input::Text { conn: ada, text: r#"{"type":"user_message","payload":{"content":"hello"}}"# });
    let started = |effect: &Effect| match effect {
        Effect::StartRun(request) => Some(request.run),
        _ => None,
    };
    let run = pair.out.iter().find_map(started).expect("a run");
    pair.both(Input::Agent { run, event: AgentEvent::Started { agent: "triage", task: "look" } });
    let mut facade = UnifiedToolDispatcher::new(run);
    let step = |router: &mut Router, now, step: ToolStep<'_>, out: &mut Effects| {
        router.handle(now, Input::Tool { run, step }, out);
    };
    pair.same(
        |lent| facade.over(lent).register_tool("own", "its own"),
        |router, now, out| step(router, now, ToolStep::Register { name: "own", description: "its own" }, out),
    );
    let tools =
        |router: &Router| router.tools_of(run).unwrap_or_default().into_iter().map(str::to_owned).collect();
    let listed: Vec<String> = pair.same(|lent| facade.over(lent).tools(), |router, _, _| tools(router));
    assert_eq!(listed, ["own", "search"]);
    for (name, there) in [("own", true), ("Own", false)] {
        assert_eq!(pair.same(|lent| facade.over(lent).has_tool(name), |_, _, _| there), there);
    }
    let parameters = value!({"q": "x"});
    let body = json(&parameters.to_string());
    for (n, tool) in ["search", "nobody"].into_iter().enumerate() {
        let call = format!("call-{}", n + 1);
        pair.same(
            |lent| facade.over(lent).dispatch_tool(tool, &parameters),
            |router, now, out| {
                let parameters = &body;
                step(router, now, ToolStep::Call { call: &call, run_id: None, tool, parameters }, out);
                call.clone()
            },
        );
    }
    let answered = |effect: &Effect| match effect {
        Effect::ToolAnswered(answer) => Some((**answer).clone()),
        _ => None,
    };
    let refused = pair.out.iter().find_map(answered).expect("no such tool");
    let result = facade.dispatch_result(&refused).expect("its own call");
    assert_eq!((&result["success"], &result["error"]), (&value!(false), &value!("Tool nobody not found")));
    pair.both(Input::Tool { run, step: ToolStep::Done { call: "call-1", result: Ok(&body) } });
    let answer = pair.out.iter().find_map(answered).expect("the tool's");
    assert_eq!(facade.dispatch_result(&answer).expect("its own call")["result"], parameters);
    let mut other = answer;
    other.run = another_run(&mut pair, ada);
    assert_eq!(facade.dispatch_result(&other), None, "another run's");
    let metrics = pair.same(
        |lent| {
            let all = facade.over(lent).get_metrics();
            ["tools_executed", "successful_executions", "failed_executions"].map(|key| all[key].as_u64())
        },
        |router, _, _| {
            let figures = router.dispatcher_of(run).expect("it has called").figures();
            [figures.executed, figures.successful, figures.failed].map(Some)
        },
    );
    assert_eq!(metrics, [Some(1), Some(1), Some(0)]);
    assert!(pair.same(|lent| facade.over(lent).is_active(), |router, _, _| router.run_state(run).is_some()));
    pair.both(Input::Agent {
        run,
        event: AgentEvent::Completed { response: "done", execution_time_ms: None },
    });
    assert!(!pair.same(|lent| facade.over(lent).is_active(), |router, _, _| router.run_state(run).is_some()));
    every_method_was_called(facade.compat_uses());
}

/// Another run of the same user.
fn another_run(pair: &mut Pair, ada: ConnId) -> RunRef {
    pair.both(Input::Text { conn: ada, text: r#"{"type":"user_message","payload":{"content":"again"}}"# });
    let started = |effect: &Effect| match effect {
        Effect::StartRun(request) => Some(request.run),
        _ => None,
    };
    pair.out.iter().find_map(started).expect("a run")
}
