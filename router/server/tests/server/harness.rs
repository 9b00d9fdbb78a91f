//! A server on a free port, and clients that speak to it.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use router::{RunRequest, Tier, ToolStatus};
use router_server::{
    Server, ServerConfig, ServerHandle, Stopped,
    agents::{Beat, OwnedEvent, Script, ScriptSource, Scripted},
    auth::{AuthConfig, DEVELOPMENT_KEY, issue},
};
use serde_json::{Value, value::RawValue};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        handshake::client::{Request, Response},
        http::HeaderValue,
    },
};

/// Ends a test that hangs.
const WATCHDOG: Duration = Duration::from_secs(20);

pub(crate) struct TestServer {
    pub(crate) handle: ServerHandle,
    pub(crate) task: JoinHandle<Stopped>,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let mut config = ServerConfig::new(([127, 0, 0, 1], 0).into(), AuthConfig::development());
        change(&mut config);
        let server = Server::bind(config).await.expect("bind");
        let handle = server.handle();
        Self { handle, task: tokio::spawn(server.run(std::future::pending())) }
    }

    pub(crate) async fn socket(&self) -> TcpStream {
        TcpStream::connect(self.handle.local_addr()).await.expect("connect")
    }

    /// A request for `/ws` and what follows it.
    pub(crate) fn request(&self, rest: &str) -> Request {
        format!("ws://{}/ws{rest}", self.handle.local_addr()).into_client_request().expect("request")
    }

    pub(crate) async fn connect(&self, request: Request) -> Client<TcpStream> {
        Client::over(self.socket().await, request).await
    }

    /// A connection of `user`, its welcome read.
    pub(crate) async fn login(&self, user: &str) -> Client<TcpStream> {
        self.login_with(user, "").await
    }

    pub(crate) async fn login_with(&self, user: &str, query: &str) -> Client<TcpStream> {
        let mut request = self.request(query);
        offer(&mut request, &format!("jwt.{}", token(user)));
        let mut client = self.connect(request).await;
        let welcome = client.json().await;
        assert_eq!(welcome["type"], "connection_established");
        assert_eq!(welcome["data"]["user_id"], masked(user));
        client
    }

    /// The whole answer to a plain request, as text.
    pub(crate) async fn plain(&self, request: &str) -> String {
        let mut socket = self.socket().await;
        socket.write_all(request.as_bytes()).await.expect("write");
        let mut text = String::new();
        watched(socket.read_to_string(&mut text)).await.expect("read");
        text
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        self.plain(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
    }

    /// Waits until the socket table is empty.
    pub(crate) async fn empty(&self) {
        watched(async {
            while self.handle.connections() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

pub(crate) struct Client<S> {
    pub(crate) ws: WebSocketStream<S>,
    pub(crate) response: Response,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn over(stream: S, request: Request) -> Self {
        let (ws, response) = watched(client_async(request, stream)).await.expect("upgrade");
        Self { ws, response }
    }

    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        watched(self.ws.send(Message::text(text.into()))).await.expect("send");
    }

    /// The next text frame.
    pub(crate) async fn json(&mut self) -> Value {
        loop {
            match self.message().await {
                Some(Message::Text(text)) => return serde_json::from_str(&text).expect("JSON"),
                Some(Message::Ping(_)) => {}
                other => panic!("expected a text frame, got {other:?}"),
            }
        }
    }

    /// The frames up to the first of this type, which is the last.
    pub(crate) async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            frames.push(self.json().await);
            if frames.last().is_some_and(|frame| frame["type"] == kind) {
                return frames;
            }
        }
    }

    /// Code and reason of the close frame, other frames skipped; then the socket ends.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.message().await {
                Some(Message::Close(Some(close))) => {
                    assert!(self.message().await.is_none());
                    return (close.code.into(), close.reason.to_string());
                }
                Some(_) => {}
                None => panic!("the socket ended without a close frame"),
            }
        }
    }

    async fn message(&mut self) -> Option<Message> {
        watched(self.ws.next()).await.map(|message| message.expect("message"))
    }
}

pub(crate) async fn watched<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(WATCHDOG, work).await.expect("the test hangs")
}

pub(crate) fn token(user: &str) -> String {
    issue(DEVELOPMENT_KEY, user, Tier::Free, Duration::from_secs(600))
}

pub(crate) fn offer(request: &mut Request, protocol: &str) {
    let value = HeaderValue::from_str(protocol).expect("header");
    request.headers_mut().insert("Sec-WebSocket-Protocol", value);
}

pub(crate) fn chat(id: &str, text: &str) -> String {
    serde_json::json!({ "type": "chat", "message_id": id, "payload": { "content": text } }).to_string()
}

pub(crate) fn kinds(frames: &[Value]) -> Vec<&str> {
    frames.iter().filter_map(|frame| frame["type"].as_str()).collect()
}

/// How a welcome shows the user: enough to recognise, too little to use.
pub(crate) fn masked(user: &str) -> String {
    format!("{}...", user.chars().take(8).collect::<String>())
}

pub(crate) const FIVE: [&str; 5] =
    ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"];

/// The five events, one each; `wait…` stays silent after the first.
pub(crate) struct Five;

impl ScriptSource for Five {
    fn script(&self, request: &RunRequest) -> Script {
        let json = || RawValue::from_string("{}".into()).expect("JSON");
        let text = request.text().to_owned();
        let events = [
            OwnedEvent::Started { agent: "five".into(), task: text.clone() },
            OwnedEvent::Thinking { reasoning: text.clone(), step: Some(1) },
            OwnedEvent::ToolExecuting { call: "c".into(), tool: "t".into(), parameters: json() },
            OwnedEvent::ToolCompleted {
                call: "c".into(),
                status: ToolStatus::Completed,
                results: json(),
                duration_ms: 1,
            },
            OwnedEvent::Completed { response: text.clone(), execution_time_ms: None },
        ];
        let shown = if text.starts_with("wait") { 1 } else { 5 };
        let beat = |(at, event)| Beat { at: Duration::from_millis(at), event };
        let silence = Beat { at: Duration::from_secs(3600), event: events[4].clone() };
        Script { beats: (0..).zip(events).take(shown).map(beat).chain([silence]).collect() }
    }
}

pub(crate) async fn five() -> TestServer {
    TestServer::with(|config| config.agents = Arc::new(Scripted::new(Five))).await
}
