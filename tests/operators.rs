//! What operators do with a running node's queue: `goldenpath queue`, against a real server over real sockets.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use assert_cmd::Command;
use futures_util::{SinkExt as _, StreamExt as _};
use router_server::{
    AdminToken, Server, ServerConfig,
    agents::{AgentBackend, RunSink},
    auth::{AuthConfig, DEVELOPMENT_KEY, issue},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_tungstenite::{
    client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use router::{AgentEvent, CancelReason, RunRef, RunRequest, Tier};

/// How long anything may take that must come.
const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Agents that say nothing until they are well.
#[derive(Clone, Default)]
struct Ailing(Arc<AtomicBool>);

impl AgentBackend for Ailing {
    fn start(&self, _: RunRequest, sink: RunSink) {
        if self.0.load(Ordering::Relaxed) {
            tokio::spawn(async move {
                sink.report(AgentEvent::Started { agent: "worker", task: "" });
                sink.report(AgentEvent::Completed { response: "done", execution_time_ms: None });
            });
        }
    }

    fn cancel(&self, _: RunRef, _: CancelReason) {}
}

struct Node {
    addr: SocketAddr,
    runtime: Option<Runtime>,
    token: PathBuf,
}

impl Node {
    fn start(agents: &Ailing, name: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listen = "127.0.0.1:0".parse().expect("an address");
        let mut config = ServerConfig::new(listen, AuthConfig::development());
        config.admin = AdminToken::new(TOKEN.as_bytes());
        config.agents = Arc::new(agents.clone());
        config.router.agents_max = 1;
        config.router.agent_deadline_us = 300_000;
        let server = runtime.block_on(Server::bind(config)).expect("listens");
        let addr = server.local_addr();
        runtime.spawn(server.run(std::future::pending()));
        let token = std::env::temp_dir().join(format!("goldenpath-{name}-{}", std::process::id()));
        std::fs::File::create(&token).and_then(|mut file| writeln!(file, "{TOKEN}")).expect("written");
        Self { addr, runtime: Some(runtime), token }
    }

    fn queue(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("goldenpath").expect("built");
        let url = format!("http://{}", self.addr);
        command.args(["queue", "--url", &url, "--admin-token-file"]).arg(&self.token).args(arguments);
        command
    }

    fn answered(&self, arguments: &[&str]) -> Value {
        let output = self.queue(arguments).arg("--json").assert().success().get_output().stdout.clone();
        serde_json::from_slice(&output).expect("JSON")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        // A file that is gone already is as good.
        let _ = std::fs::remove_file(&self.token);
    }
}

/// Sends a message and waits for the end of its run; then waits for that of the next, after `between`.
async fn twice(node: &Node, between: impl FnOnce()) -> (Value, Value) {
    let mut request = format!("ws://{}/ws", node.addr).into_client_request().expect("a request");
    let token = issue(DEVELOPMENT_KEY, "ada-b", Tier::Free, Duration::from_secs(3_600));
    let header = format!("Bearer {token}").parse().expect("a header");
    request.headers_mut().insert("authorization", header);
    let stream = TcpStream::connect(node.addr).await.expect("connects");
    let (mut socket, _) = client_async(request, stream).await.expect("upgrades");
    let message = json!({"type": "user_message", "payload": {"content": "look"}, "message_id": "m1"});
    socket.send(Message::text(message.to_string())).await.expect("sent");
    let mut ends = Vec::new();
    let mut between = Some(between);
    loop {
        let message = timeout(PATIENCE, socket.next()).await.expect("in time").expect("open").expect("read");
        let Message::Text(text) = message else { continue };
        let frame: Value = serde_json::from_str(&text).expect("JSON");
        if frame["type"] == "agent_completed" || frame["type"] == "agent_error" {
            ends.push(frame);
            match between.take() {
                Some(between) => tokio::task::block_in_place(between),
                None => break,
            }
        }
    }
    let second = ends.pop().expect("two ends");
    (ends.pop().expect("two ends"), second)
}

#[test]
fn a_message_that_no_agent_did_is_listed_and_worked_on_again() {
    let agents = Ailing::default();
    let node = Node::start(&agents, "redrive");
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (first, second) = runtime.block_on(async {
        twice(&node, || {
            let stats = node.answered(&["stats"]);
            assert_eq!((&stats["dead_letters"], &stats["dead"]), (&json!(1), &json!(1)), "{stats}");
            assert_eq!(stats["backends"]["runs"], "memory");
            let letters = node.answered(&["dead-letters", "--user", "ada-b"]);
            let letter = &letters[0];
            assert_eq!(
                (&letter["reason"], &letter["request_id"]),
                (&json!("expired"), &json!("m1")),
                "{letter}"
            );
            agents.0.store(true, Ordering::Relaxed);
            let number = letter["letter"].to_string();
            node.queue(&["redrive", "--user", "eve", &number])
                .assert()
                .code(1)
                .stdout(format!("{number}  unknown\n"));
            node.queue(&["redrive", "--user", "ada-b", &number])
                .assert()
                .success()
                .stdout(format!("{number}  worked on again\n"));
        })
        .await
    });
    assert_eq!((&first["error_code"], &second["type"]), (&json!("TIMEOUT"), &json!("agent_completed")));
    assert_eq!((&first["request_id"], &second["request_id"]), (&json!("m1"), &json!("m1")));
    assert_ne!(first["run_id"], second["run_id"]);
    assert_eq!(node.answered(&["dead-letters"]), json!([]));
    node.queue(&["redrive", "--user", "ada-b", "--all"]).assert().success().stdout("");
}

#[test]
fn who_has_no_token_or_the_wrong_one_is_told_and_learns_nothing() {
    let node = Node::start(&Ailing::default(), "token");
    std::fs::write(&node.token, "another token, long enough").expect("written");
    let output = node.queue(&["stats"]).assert().code(2).get_output().clone();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("expected the admin token") && output.stdout.is_empty(), "{said}");
    let nobody = Command::cargo_bin("goldenpath")
        .expect("built")
        .args(["queue", "stats", "--url", "http://127.0.0.1:1", "--admin-token-file"])
        .arg(&node.token)
        .assert()
        .code(1);
    assert!(String::from_utf8_lossy(&nobody.get_output().stderr).contains("http://127.0.0.1:1"));
    std::fs::remove_file(&node.token).expect("there");
    let missing = node.queue(&["stats"]).assert().code(2).get_output().clone();
    assert!(String::from_utf8_lossy(&missing.stderr).contains(&*node.token.to_string_lossy()));
}
