//! Agents that call tools, over real sockets.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use router::{
    AgentEvent, CancelReason, RunRef, RunRequest, ToolOutcome, ToolRequest, ToolStatus,
    tools::{Level, Policy},
};
use router_server::{
    agents::{AgentBackend, RunSink},
    tools::{Tool, ToolError, ToolSet},
};
use serde_json::{Value, json, value::RawValue, value::to_raw_value};
use tokio::sync::Notify;

use crate::harness::{TestServer, watched};

/// What a tool of these tests does.
enum Act {
    /// Answers its parameters, once told to.
    Echo(Arc<Notify>),
    Fail,
    Hang,
    Panic,
}

struct Scripted(&'static str, Act);

impl Tool for Scripted {
    fn name(&self) -> &str {
        self.0
    }

    fn run(&self, request: ToolRequest) -> BoxFuture<'static, Result<Box<RawValue>, ToolError>> {
        match &self.1 {
            Act::Echo(go) => {
                let go = Arc::clone(go);
                async move {
                    go.notified().await;
                    Ok(RawValue::from_string(request.parameters.into()).expect("checked JSON"))
                }
                .boxed()
            }
            Act::Fail => {
                async { Err(ToolError { message: "no such corpus".into(), kind: "LookupError".into() }) }
                    .boxed()
            }
            Act::Hang => std::future::pending().boxed(),
            Act::Panic => async { panic!("as the test wants it") }.boxed(),
        }
    }
}

/// Works on each run by calling tools; what the tools answered becomes the response.
struct Caller<F>(F);

impl<F, W> AgentBackend for Caller<F>
where
    F: Fn(RunSink) -> W + Send + Sync + 'static,
    W: Future<Output = Value> + Send + 'static,
{
    fn start(&self, _: RunRequest, sink: RunSink) {
        let work = (self.0)(sink.clone());
        tokio::spawn(async move {
            sink.report(AgentEvent::Started { agent: "caller", task: "" });
            let response = work.await.to_string();
            sink.report(AgentEvent::Completed { response: &response, execution_time_ms: None });
        });
    }

    fn cancel(&self, _: RunRef, _: CancelReason) {}
}

fn words(frames: &[Value]) -> Vec<String> {
    let word = |frame: &Value| {
        let text = |key: &str| frame[key].as_str().unwrap_or_default().to_owned();
        let tool = text("tool_name");
        format!("{} {tool} {}", text("type"), text("status"))
    };
    frames.iter().map(word).collect()
}

#[tokio::test]
async fn parallel_calls_end_each_in_its_own_way_and_in_order() {
    let go = Arc::new(Notify::new());
    let told = Arc::clone(&go);
    let agent = Caller(move |sink: RunSink| {
        let go = Arc::clone(&told);
        async move {
            let parameters = to_raw_value(&json!({"query": "rust", "limit": 2})).unwrap();
            let both = async {
                tokio::join!(sink.call_tool("search", &parameters), async {
                    let failed = sink.call_tool("look_up", &parameters).await;
                    go.notify_one();
                    failed
                })
            };
            let (found, failed) = both.await;
            let refused = sink.call_tool("export_everything", &parameters).await.unwrap();
            let late = sink.call_tool("brood", &parameters).await.unwrap();
            assert!(matches!(&refused.outcome, ToolOutcome::Refused(_)));
            assert!(matches!(&late.outcome, ToolOutcome::Failed { status: ToolStatus::Timeout, .. }));
            let found: Value = serde_json::from_str(&found.unwrap().to_json()).unwrap();
            json!([found["result"], failed.unwrap().error(), refused.error(), late.error()])
        }
    });
    let tools: Vec<Arc<dyn Tool>> = vec![
        Arc::new(Scripted("search", Act::Echo(go))),
        Arc::new(Scripted("look_up", Act::Fail)),
        Arc::new(Scripted("export_everything", Act::Panic)),
        Arc::new(Scripted("brood", Act::Hang)),
    ];
    let policies = vec![("export_everything".to_owned(), Policy::open(Level::Premium))];
    let server = TestServer::with(|config| {
        config.agents = Arc::new(agent);
        config.router.tool_deadline_us = 1_000_000;
        config.tools = ToolSet { tools, policies, grants: Vec::new() };
    })
    .await;
    let mut client = server.login("ada").await;
    client.send(r#"{"type":"chat","payload":{"message":"go"}}"#).await;
    let frames = client.until("agent_completed").await;
    assert_eq!(
        words(&frames),
        [
            "agent_started  started",
            "tool_executing search executing",
            "tool_executing look_up executing",
            "tool_completed look_up error",
            "tool_completed search completed",
            "tool_executing brood executing",
            "tool_completed brood timeout",
            "agent_completed  completed",
        ]
    );
    assert_eq!(frames[1]["parameters"], json!({"summary": "Query: rust; Limit: 2"}));
    assert_eq!(frames[3]["results"]["error"], "no such corpus");
    assert_eq!(frames[4]["results"]["output"], r#"{"limit":2,"query":"rust"}"#);
    assert_eq!(frames[4]["tool_call_id"], frames[1]["tool_call_id"]);
    assert_eq!(frames[6]["results"]["recoverable"], true);
    let response: Value = serde_json::from_str(frames[7]["final_response"].as_str().unwrap()).unwrap();
    let refusal = "Security level PREMIUM required, user has BASIC";
    let expected = json!([{"limit": 2, "query": "rust"}, "no such corpus", refusal, "Timeout after 1000ms"]);
    assert_eq!(response, expected);
    let stats = server.handle.stats().tools;
    assert_eq!((stats.executed, stats.completed, stats.failed, stats.timed_out), (3, 1, 1, 1));
    assert_eq!((stats.refused, stats.active, stats.in_flight), (1, 0, 0));
    let metrics = server.get("/metrics").await;
    assert!(metrics.contains("goldenpath_tool_calls_total{outcome=\"timed_out\"} 1\n"), "{metrics}");
}

#[tokio::test]
async fn a_panic_of_a_tool_is_one_failed_call() {
    let agent = Caller(|sink: RunSink| async move {
        let parameters = to_raw_value(&json!({})).unwrap();
        let first = sink.call_tool("burst", &parameters).await.unwrap();
        let second = sink.call_tool("nowhere", &parameters).await.unwrap();
        json!([first.error(), second.error()])
    });
    let server = TestServer::with(|config| {
        config.agents = Arc::new(agent);
        config.tools.tools.push(Arc::new(Scripted("burst", Act::Panic)));
    })
    .await;
    let mut client = server.login("ada").await;
    client.send(r#"{"type":"chat","payload":{"message":"go"}}"#).await;
    let frames = client.until("agent_completed").await;
    assert_eq!(frames.len(), 4);
    assert_eq!(frames[2]["results"]["recoverable"], false);
    assert_eq!(frames[3]["final_response"], r#"["The tool failed","Tool nowhere not found"]"#);
}

#[tokio::test]
async fn the_end_of_a_run_drops_its_tools() {
    struct Alive(Arc<Notify>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    struct Endless(Arc<Notify>);
    impl Tool for Endless {
        fn name(&self) -> &str {
            "endless"
        }

        fn run(&self, _: ToolRequest) -> BoxFuture<'static, Result<Box<RawValue>, ToolError>> {
            let alive = Alive(Arc::clone(&self.0));
            async move {
                std::future::pending::<()>().await;
                drop(alive);
                Ok(RawValue::NULL.to_owned())
            }
            .boxed()
        }
    }
    let dropped = Arc::new(Notify::new());
    let endless = Endless(Arc::clone(&dropped));
    let agent = Caller(|sink: RunSink| async move {
        let parameters = to_raw_value(&json!({})).unwrap();
        let answer = sink.call_tool("endless", &parameters).await.unwrap();
        json!(answer.error())
    });
    let server = TestServer::with(|config| {
        config.agents = Arc::new(agent);
        config.tools.tools.push(Arc::new(endless));
    })
    .await;
    let mut client = server.login("ada").await;
    client.send(r#"{"type":"chat","payload":{"message":"go"},"thread_id":"t"}"#).await;
    client.until("tool_executing").await;
    client.send(r#"{"type":"stop_agent","thread_id":"t"}"#).await;
    let frames = client.until("agent_error").await;
    let kinds: Vec<_> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["agent_stopped", "tool_completed", "agent_error"]);
    assert_eq!(
        (&frames[1]["status"], &frames[1]["results"]["status"]),
        (&"cancelled".into(), &"cancelled".into())
    );
    watched(dropped.notified()).await;
    let stats = watched(async {
        loop {
            let stats = server.handle.stats();
            if stats.tools.in_flight == 0 {
                return stats;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!((stats.tools.cancelled, stats.tools.active), (1, 0));
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "a host has threads of its own, and the runtime's is to be busy"
)]
async fn a_thread_of_the_hosts_may_meet_a_tool_that_is_due() {
    let agent = Caller(|sink: RunSink| async move {
        let parameters = to_raw_value(&json!({})).unwrap();
        json!(sink.call_tool("brood", &parameters).await.map(|late| late.error().to_owned()))
    });
    let server = TestServer::with(|config| {
        config.agents = Arc::new(agent);
        config.router.tool_deadline_us = 300_000;
        config.tools = ToolSet { tools: vec![Arc::new(Scripted("brood", Act::Hang))], ..ToolSet::default() };
    })
    .await;
    let mut client = server.login("ada").await;
    client.send(r#"{"type":"chat","payload":{"message":"go"}}"#).await;
    client.until("tool_executing").await;
    // The one thread of the runtime is busy when the deadline comes.
    std::thread::sleep(Duration::from_millis(500));
    let handle = server.handle.clone();
    std::thread::spawn(move || handle.sweep_idle()).join().expect("no panic");
    client.until("agent_completed").await;
    server.handle.stats().check().expect("books");
}
