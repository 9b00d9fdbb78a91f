//! Several nodes on one real Redis: real servers, real sockets.

#[path = "store/server.rs"]
#[expect(dead_code, reason = "the store's own tests need more of it")]
mod server;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use router_server::{
    Server, ServerConfig,
    agents::{AgentBackend, RunSink},
    auth::{AuthConfig, DEVELOPMENT_KEY, issue},
    store::StoreConfig,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    sync::Notify,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use router::{AgentEvent, CancelReason, RunRef, RunRequest, Tier, store::Bounds};

/// How long anything may take that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node in a runtime of its own: it can be ended as a kill does, without a word to anybody.
struct Node {
    addr: SocketAddr,
    runtime: Option<Runtime>,
}

/// What agents do: begin, and go on when they are let.
#[derive(Clone, Default)]
struct Steps {
    go_on: Arc<Notify>,
    started: Arc<Mutex<u32>>,
}

impl AgentBackend for Steps {
    fn start(&self, request: RunRequest, sink: RunSink) {
        *self.started.lock().expect("no panic") += 1;
        let go_on = Arc::clone(&self.go_on);
        tokio::spawn(async move {
            sink.report(AgentEvent::Started { agent: "worker", task: "" });
            sink.report(AgentEvent::Thinking { reasoning: request.text(), step: None });
            if request.text().contains("wait") {
                go_on.notified().await;
            }
            sink.report(AgentEvent::Completed { response: "done", execution_time_ms: None });
        });
    }

    fn cancel(&self, _: RunRef, _: CancelReason) {}
}

impl Node {
    /// A node whose leases are short, so that a test need not wait.
    fn start(redis: &str, steps: &Steps) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listen = "127.0.0.1:0".parse().expect("an address");
        let bounds = Bounds { lease_ms: 1_500, alive_ms: 1_500, attach_ms: 20_000, ..Bounds::default() };
        let mut config = ServerConfig::new(listen, AuthConfig::development());
        config.store = Some(StoreConfig { bounds, ..StoreConfig::new(redis) });
        config.router.cluster = Some(router::ClusterConfig {
            pulse_us: 300_000,
            renew_us: 300_000,
            renew_quiet_us: 300_000,
            ..router::ClusterConfig::default()
        });
        config.agents = Arc::new(steps.clone());
        let server = runtime.block_on(Server::bind(config)).expect("listens");
        let addr = server.local_addr();
        runtime.spawn(server.run(std::future::pending()));
        Self { addr, runtime: Some(runtime) }
    }

    fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One tab.
struct Tab {
    socket: WebSocketStream<TcpStream>,
    cursor: u64,
}

impl Tab {
    async fn open(node: &Node, user: &str, resume: Option<u64>) -> Self {
        let query = resume.map(|cursor| format!("?resume={cursor}")).unwrap_or_default();
        let mut request = format!("ws://{}/ws{query}", node.addr).into_client_request().expect("a request");
        let token = issue(DEVELOPMENT_KEY, user, Tier::Free, Duration::from_secs(3_600));
        let header = format!("Bearer {token}").parse().expect("a header");
        request.headers_mut().insert("authorization", header);
        let stream = TcpStream::connect(node.addr).await.expect("connects");
        let (socket, _) = client_async(request, stream).await.expect("upgrades");
        let mut tab = Self { socket, cursor: resume.unwrap_or_default() };
        // One without a cursor says that the store cannot be reached yet; it comes again when it can.
        while !tab.next_of("connection_established").await["data"]["cursor"].is_u64() {}
        tab
    }

    async fn say(&mut self, id: &str, text: &str) {
        let message = json!({"type": "user_message", "payload": {"content": text}, "message_id": id});
        self.socket.send(Message::text(message.to_string())).await.expect("sent");
    }

    async fn next(&mut self) -> Value {
        loop {
            let message =
                timeout(PATIENCE, self.socket.next()).await.expect("in time").expect("open").expect("read");
            if let Message::Text(text) = message {
                let frame: Value = serde_json::from_str(&text).expect("JSON");
                if let Some(cursor) = frame["cursor"].as_u64() {
                    assert!(cursor > self.cursor, "a repeat: {frame}");
                    self.cursor = cursor;
                }
                return frame;
            }
        }
    }

    async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The events of one request up to its end: type and number.
    async fn run_of(&mut self, request: &str) -> Vec<(String, u64)> {
        let mut events = Vec::new();
        loop {
            let frame = self.next().await;
            if frame["request_id"] != request {
                continue;
            }
            let kind = frame["type"].as_str().unwrap_or_default().to_owned();
            let is_last = kind == "agent_completed" || kind == "agent_error";
            events.push((kind, frame["seq"].as_u64().expect("a number")));
            if is_last {
                return events;
            }
        }
    }
}

fn whole() -> Vec<(String, u64)> {
    [("agent_started", 1), ("agent_thinking", 2), ("agent_completed", 3)]
        .map(|(kind, n)| (kind.into(), n))
        .into()
}

fn redis() -> server::Server {
    server::Server::start(&["--appendonly", "yes", "--appendfsync", "always"])
}

fn run<F: Future>(test: F) -> F::Output {
    Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test)
}

#[test]
fn a_user_on_one_node_sees_what_is_done_on_another_and_comes_back_to_any() {
    let (redis, steps) = (redis(), Steps::default());
    let (one, two) = (Node::start(&redis.url(), &steps), Node::start(&redis.url(), &steps));
    run(async {
        let (mut here, mut there) = (Tab::open(&one, "ada", None).await, Tab::open(&two, "ada", None).await);
        let mut eve = Tab::open(&two, "eve", None).await;
        here.say("m1", "hello").await;
        assert_eq!(here.run_of("m1").await, whole());
        assert_eq!(there.run_of("m1").await, whole(), "on the other node, too");
        assert_eq!(here.cursor, there.cursor, "one order");

        // What was missed is replayed by whichever node, once and in order.
        let seen = there.cursor;
        drop(there);
        here.say("m2", "hello again").await;
        assert_eq!(here.run_of("m2").await, whole());
        let mut back = Tab::open(&two, "ada", Some(seen)).await;
        assert_eq!(back.run_of("m2").await, whole());
        assert_eq!(back.cursor, here.cursor);

        // The same message, sent to the other node: it came before.
        back.say("m2", "hello again").await;
        let answer = back.next_of("ack").await;
        assert_eq!((&answer["status"], &answer["message_id"]), (&json!("duplicate"), &json!("m2")));
        assert_eq!(*steps.started.lock().expect("no panic"), 2, "nothing is done twice");

        eve.say("m1", "mine").await;
        assert_eq!(eve.run_of("m1").await, whole());
        assert_eq!(eve.cursor, 3, "nobody else's events");
    });
}

#[test]
fn a_run_whose_node_died_is_ended_by_another_for_those_who_saw_it_begin() {
    let (redis, steps) = (redis(), Steps::default());
    let (mut one, two) = (Node::start(&redis.url(), &steps), Node::start(&redis.url(), &steps));
    run(async {
        let (mut here, mut there) = (Tab::open(&one, "ada", None).await, Tab::open(&two, "ada", None).await);
        here.say("m1", "wait").await;
        assert_eq!(there.next_of("agent_thinking").await["seq"], 2);
        one.kill();
        let end = there.next_of("agent_error").await;
        assert_eq!((&end["error_code"], &end["retryable"]), (&json!("NODE_LOST"), &json!(true)));
        assert_eq!((&end["seq"], &end["request_id"]), (&json!(3), &json!("m1")));
        // It can be asked for again, under another id.
        there.say("m2", "hello").await;
        assert_eq!(there.run_of("m2").await, whole());
    });
}

#[test]
fn while_the_store_is_away_nothing_is_taken_in_and_nothing_that_was_is_lost() {
    let (mut redis, steps) = (redis(), Steps::default());
    let (one, two) = (Node::start(&redis.url(), &steps), Node::start(&redis.url(), &steps));
    run(async {
        let (mut here, mut there) = (Tab::open(&one, "ada", None).await, Tab::open(&two, "ada", None).await);
        here.say("m1", "wait").await;
        assert_eq!(here.next_of("agent_thinking").await["seq"], 2);
        assert_eq!(there.next_of("agent_thinking").await["seq"], 2);
        redis.kill();
        // The agent goes on; nobody sees what is not in the log.
        steps.go_on.notify_one();
        // A node finds out by what is not answered: what it takes for an outcome it tells.
        let mut refused = BTreeSet::new();
        for n in 0..200 {
            let id = format!("r{n}");
            here.say(&id, "hello").await;
            let answer = here.next_of("error_message").await;
            let code = answer["error_code"].as_str().unwrap_or_default().to_owned();
            assert!(["BACKEND_UNAVAILABLE", "UNKNOWN_OUTCOME", "RATE_LIMITED"].contains(&&*code), "{answer}");
            if code == "BACKEND_UNAVAILABLE" && answer["details"]["message_id"] == *id {
                assert!(answer["details"]["retry_after_ms"].is_u64(), "{answer}");
                refused.insert(id);
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(!refused.is_empty(), "never told that the store is away");
        redis.restart(&[]);
        assert_eq!(here.next_of("agent_completed").await["request_id"], "m1");
        assert_eq!(there.next_of("agent_completed").await["request_id"], "m1");
        // What was refused may be sent again, under its id.
        let id = refused.pop_first().expect("one");
        loop {
            here.say(&id, "hello").await;
            let answer = here.next().await;
            if answer["type"] != "error_message" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(there.run_of(&id).await, whole());
    });
}

/// Breaks something under load, in real processes.
fn drill(args: &[&str]) -> (Option<i32>, reports::Report, String) {
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_goldenpath"))
        .args(["drill", "--lease-ms", "1500", "--json"])
        .args(args)
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&run.stderr).into_owned();
    let report = reports::json::from_str(&String::from_utf8_lossy(&run.stdout));
    (run.status.code(), report.unwrap_or_else(|error| panic!("{error:?}\n{told}")), told)
}

/// Twice, and all is well.
fn survives(fault: &str) {
    let (code, report, told) = drill(&["--rounds", "2", "--fault", fault]);
    let fact = |key: &str| {
        let value = report.facts.iter().find(|fact| fact.key == key).map(|fact| &fact.value);
        let Some(reports::Value::Int(value)) = value else { panic!("{key}: {value:?}") };
        *value
    };
    assert_eq!(code, Some(0), "{told}\n{:?}", report.findings);
    for (key, value) in [("rounds", 2), ("lost", 0), ("duplicates", 0), ("leaks", 0), ("unsettled", 0)] {
        assert_eq!(fact(key), value, "{key}\n{told}");
    }
    assert!(fact("accepted") >= 400, "{told}");
}

#[test]
fn a_killed_node_loses_nothing_that_was_accepted() {
    survives("kill-node");
}

#[test]
fn a_killed_redis_loses_nothing_that_was_accepted() {
    survives("kill-redis");
}

#[test]
fn a_node_that_cannot_reach_redis_for_three_seconds_loses_nothing_that_was_accepted() {
    survives("cut-redis");
}

#[test]
fn a_new_process_takes_over_from_one_that_drains_and_nothing_is_missed() {
    survives("drain-node");
}

#[test]
fn a_redis_that_forgets_what_it_accepted_is_found_out() {
    use std::os::unix::fs::PermissionsExt as _;

    let forgetful = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("forgetful-redis");
    let server = std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    let script = format!("#!/bin/sh\nexec {server} \"$@\" --appendonly no\n");
    std::fs::write(&forgetful, script).expect("written");
    std::fs::set_permissions(&forgetful, std::fs::Permissions::from_mode(0o755)).expect("its owner's");
    let server = forgetful.to_str().expect("a plain path");
    let (code, report, told) = drill(&["--rounds", "1", "--fault", "kill-redis", "--redis-server", server]);
    assert_eq!(code, Some(6), "{told}");
    assert!(report.findings_by_rule.contains_key("deliver.gap"), "{:?}", report.findings_by_rule);
}
