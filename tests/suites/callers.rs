//! Agents that call a tool over the real server: as many times as the request says, all at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::{FutureExt as _, future::BoxFuture, future::join_all};
use router::{AgentEvent, CancelReason, RunRef, RunRequest, ToolOutcome, ToolRequest};
use router_server::{
    agents::{AgentBackend, RunSink},
    tools::{Tool, ToolError, ToolSet},
};
use serde_json::value::{RawValue, to_raw_value};

use crate::sockets::TestServer;

/// A tool that squares a number, and counts how often it ran.
pub(crate) struct Square(Arc<AtomicUsize>);

impl Tool for Square {
    fn name(&self) -> &str {
        "square"
    }

    fn run(&self, request: ToolRequest) -> BoxFuture<'static, Result<Box<RawValue>, ToolError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        async move {
            let failed = |message: String| ToolError { message, kind: "ValueError".into() };
            let parameters: serde_json::Value =
                serde_json::from_str(&request.parameters).map_err(|error| failed(error.to_string()))?;
            let n = parameters["n"].as_u64().ok_or_else(|| failed("no number".into()))?;
            to_raw_value(&(n * n)).map_err(|error| failed(error.to_string()))
        }
        .boxed()
    }
}

/// Squares the numbers below the one that the request names; the answer is their sum.
struct Caller;

impl AgentBackend for Caller {
    fn start(&self, request: RunRequest, sink: RunSink) {
        tokio::spawn(async move {
            let below: u64 = request.text().parse().unwrap_or_default();
            sink.report(AgentEvent::Started { agent: "caller", task: "" });
            let calls = (0..below).map(|n| {
                let parameters = to_raw_value(&serde_json::json!({ "n": n })).expect("plain JSON");
                let sink = sink.clone();
                async move { sink.call_tool("square", &parameters).await }
            });
            let mut sum = 0;
            for answer in join_all(calls).await.into_iter().flatten() {
                if let ToolOutcome::Success(value) = answer.outcome {
                    sum += value.parse::<u64>().unwrap_or_default();
                }
            }
            let response = sum.to_string();
            sink.report(AgentEvent::Completed { response: &response, execution_time_ms: None });
        });
    }

    fn cancel(&self, _: RunRef, _: CancelReason) {}
}

/// A server of such agents, and how often their tool has run.
pub(crate) async fn callers() -> (TestServer, Arc<AtomicUsize>) {
    let ran = Arc::new(AtomicUsize::new(0));
    let tool: Arc<dyn Tool> = Arc::new(Square(ran.clone()));
    let server = TestServer::with(|config| {
        config.agents = Arc::new(Caller);
        config.tools = ToolSet { tools: vec![tool], ..ToolSet::default() };
    });
    (server.await, ran)
}
