//! Clients that ask and wait for the answer, each over a WebSocket of its own.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use gate_worker::{
    bodies::{Body, Tally},
    workloads::Message as UserMessage,
};
use router::{AgentEvent, CancelReason, Config, RunRef, RunRequest, Tier, ToolStatus};
use router_server::{
    Server, ServerConfig, ServerHandle,
    agents::{AgentBackend, RunSink},
    auth::{AuthConfig, DEVELOPMENT_KEY, issue},
};
use serde_json::value::RawValue;
use tokio::{net::TcpStream, runtime::Runtime};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        http::{HeaderValue, header::AUTHORIZATION},
    },
};

/// Clients, one connection each, who ask in turns.
const USERS: usize = 8;

/// Message ids and run events that the router keeps per user: few, so that a slot meets no state that still grows.
const KEPT_MAX: u32 = 16;

/// Frames that a run is answered with.
const EVENTS: u64 = 5;

/// What the last of them says.
const LAST: &str = r#""type":"agent_completed""#;

/// What the agent says and what its tool is asked and answers.
const THOUGHT: &str = "comparing the cost of the last month with the forecast";
const PARAMETERS: &str = r#"{"months":12,"currency":"EUR"}"#;
const RESULTS: &str = r#"{"total":1234.5,"trend":"falling"}"#;

pub(crate) fn corpus() -> String {
    let message = UserMessage::new().patched(0, 0).to_owned();
    format!("{USERS} users: {message}; answered with {THOUGHT}, {PARAMETERS}, {RESULTS}")
}

/// The server and its clients.
pub(crate) struct Chat {
    runtime: Runtime,
    handle: ServerHandle,
    clients: Vec<WebSocketStream<TcpStream>>,
    message: UserMessage,
    batch: Vec<(usize, Message)>,
    sent: u64,
    frames: u64,
}

impl Chat {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let (handle, clients) = runtime.block_on(async {
            let server = Server::bind(config()).await.expect("a loopback port is free");
            let handle = server.handle();
            tokio::spawn(server.run(std::future::pending()));
            let mut clients = Vec::new();
            for user in 0..USERS {
                clients.push(connect(handle.local_addr(), user).await);
            }
            (handle, clients)
        });
        let message = UserMessage::new();
        let mut chat = Self { runtime, handle, clients, message, batch: Vec::new(), sent: 0, frames: 0 };
        // Until everything that keeps a memory is full.
        for _ in 0..2 * KEPT_MAX {
            chat.prepare(USERS);
            (0..USERS).for_each(|unit| chat.step(unit));
            chat.settle(USERS, &mut Tally::default());
        }
        chat
    }
}

impl Body for Chat {
    fn batch(&self) -> usize {
        2 * USERS
    }

    fn prepare(&mut self, units: usize) {
        self.batch.clear();
        for _ in 0..units {
            let user = self.sent as usize % USERS;
            self.sent += 1;
            self.batch.push((user, Message::text(self.message.patched(user as u32, self.sent))));
        }
    }

    fn step(&mut self, unit: usize) {
        let (user, message) = (self.batch[unit].0, self.batch[unit].1.clone());
        let client = &mut self.clients[user];
        self.frames += self.runtime.block_on(async {
            client.send(message).await.expect("the server reads");
            let mut frames = 0;
            loop {
                let frame = client.next().await.expect("the server answers").expect("with a frame");
                // What is no text keeps the connection alive and answers nothing.
                if let Message::Text(text) = frame {
                    frames += 1;
                    if text.contains(LAST) {
                        return frames;
                    }
                }
            }
        });
    }

    fn settle(&mut self, units: usize, tally: &mut Tally) {
        assert_eq!(self.frames, units as u64 * EVENTS, "every message is answered with its run's events");
        assert_eq!(self.handle.stats().runs.open, 0, "every run has ended");
        tally.units += units as u64;
        tally.effects += self.frames;
        tally.sends += self.frames;
        self.frames = 0;
    }
}

impl fmt::Debug for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chat").field("sent", &self.sent).finish_non_exhaustive()
    }
}

/// Limits under which nobody is refused anything.
fn config() -> ServerConfig {
    ServerConfig {
        router: Config {
            node: String::from("gate"),
            rejects_max: u32::MAX,
            rate_per_s: 1_000_000,
            rate_burst: 1_000_000,
            dedupe_ids_max: KEPT_MAX,
            recovery_frames_max: KEPT_MAX,
            ..Config::default()
        },
        agents: Arc::new(Prompt::new()),
        ..ServerConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), AuthConfig::development())
    }
}

/// A connection that has read its welcome.
async fn connect(server: SocketAddr, user: usize) -> WebSocketStream<TcpStream> {
    let token = issue(DEVELOPMENT_KEY, &format!("user-{user:07}"), Tier::Free, Duration::from_secs(86_400));
    let stream = TcpStream::connect(server).await.expect("the server listens");
    stream.set_nodelay(true).expect("a socket of this process");
    let mut request = format!("ws://{server}/ws").into_client_request().expect("an address");
    let bearer = HeaderValue::try_from(format!("Bearer {token}")).expect("a token is plain text");
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let (mut client, _) = client_async(request, stream).await.expect("the token is good");
    client.next().await.expect("the server greets").expect("with a frame");
    client
}

/// An agent that does everything at once: what is measured is the way, not the work.
struct Prompt {
    parameters: Box<RawValue>,
    results: Box<RawValue>,
}

impl Prompt {
    fn new() -> Self {
        let json = |text: &str| RawValue::from_string(text.to_owned()).expect("valid JSON");
        Self { parameters: json(PARAMETERS), results: json(RESULTS) }
    }
}

impl AgentBackend for Prompt {
    fn start(&self, _: RunRequest, sink: RunSink) {
        let (parameters, results) = (self.parameters.clone(), self.results.clone());
        tokio::spawn(async move {
            let (parameters, results) = (&*parameters, &*results);
            let status = ToolStatus::Completed;
            for event in [
                AgentEvent::Started { agent: "agent", task: "compare" },
                AgentEvent::Thinking { reasoning: THOUGHT, step: Some(1) },
                AgentEvent::ToolExecuting { call: "call", tool: "forecast", parameters },
                AgentEvent::ToolCompleted { call: "call", status, results, duration_ms: 0 },
                AgentEvent::Completed { response: "done", execution_time_ms: None },
            ] {
                assert!(sink.report(event), "the run's order is kept");
            }
        });
    }

    fn cancel(&self, _: RunRef, _: CancelReason) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use gate_worker::slot::Bench;

    #[test]
    fn every_message_is_answered_and_more_work_is_more_messages() {
        let mut bench = Bench::new(Box::new(Chat::new()), 100_000);
        let slot = bench.run(40);
        assert_eq!(slot.effects, 44 * EVENTS);
        // Some units ahead of a slot are not timed.
        assert_eq!(bench.tally.units, 44 + 5);
        assert!(slot.wall_ns > 0 && slot.cpu_ns > 0);
    }
}
