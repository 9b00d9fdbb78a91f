//! Does what a tape says, with a server, its host's API, and WebSocket clients.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use router::{CancelReason, Config, ConnId, Context, QualityNews, QualityRequest, RunRef, RunRequest, Tier};
use router_server::{
    Recipients, Server, ServerConfig, ServerHandle,
    agents::{AgentBackend, RunSink},
    auth::{AuthConfig, issue},
    quality::{QualityBackend, QualitySink},
};
use serde_json::{Value, json};
use simulator::conform::{
    Tape,
    tape::{Account, Step, To},
};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

/// No development key: its welcome says so, and the stage has none.
const KEY: &[u8] = b"a secret of these tests, of 32 bytes or more";
/// What each step's end is known by: a client's frame of this type is answered with an ack that names it.
const BARRIER: &str = "barrier-";

/// The host's hands: runs and questions in the order in which the router gave them out.
#[derive(Default)]
struct Hands {
    runs: Mutex<Vec<RunSink>>,
    asks: Mutex<Vec<Option<QualitySink>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Agents(Arc<Hands>);

impl AgentBackend for Agents {
    fn start(&self, _: RunRequest, sink: RunSink) {
        lock(&self.0.runs).push(sink);
    }

    fn cancel(&self, _: RunRef, _: CancelReason) {}
}

struct Services(Arc<Hands>);

impl QualityBackend for Services {
    fn ask(&self, _: QualityRequest, sink: QualitySink) {
        lock(&self.0.asks).push(Some(sink));
    }
}

/// A client's end.
struct Client {
    ws: Option<WebSocketStream<TcpStream>>,
    user: String,
    conn: ConnId,
    heard: Vec<Value>,
    /// The server closed it, and the tape has not said so yet.
    hung_up: bool,
}

struct Player {
    handle: ServerHandle,
    hands: Arc<Hands>,
    clients: Vec<Client>,
    barriers: u64,
}

/// Plays a tape; the frames of each socket, those that only mark a step's end left out. `Err`: it cannot be played as it
/// stands, which is a difference, too.
pub(crate) async fn play(tape: &Tape) -> Result<Vec<Vec<Value>>, String> {
    let hands = Arc::new(Hands::default());
    let auth = AuthConfig::hs256(KEY).map_err(|error| error.to_string())?;
    let config = ServerConfig {
        // The ends of steps are frames, too, and must not use up what a case may send. No deadline fell due on the
        // tape: that of a batch, the one short one, must not do so here because the machine is slow.
        router: Config {
            rate_per_s: 1_000_000,
            rate_burst: 1_000_000,
            batch_wait_us: 3_600_000_000,
            ..tape.config.clone()
        },
        agents: Arc::new(Agents(Arc::clone(&hands))),
        quality: Some(Arc::new(Services(Arc::clone(&hands)))),
        ..ServerConfig::new(([127, 0, 0, 1], 0).into(), auth)
    };
    let server = Server::bind(config).await.map_err(|error| format!("bind: {error}"))?;
    let handle = server.handle();
    let serving = tokio::spawn(server.run(std::future::pending()));
    let mut player = Player { handle, hands, clients: Vec::new(), barriers: 0 };
    let mut played = Ok(());
    for (n, step) in tape.steps.iter().enumerate() {
        played = player.step(step).await.map_err(|why| format!("step {n}: {why}"));
        if played.is_err() {
            break;
        }
    }
    serving.abort();
    if let Some(socket) = player.clients.iter().position(|client| client.hung_up) {
        played = played.and(Err(format!("socket {socket} was closed, and is open on the tape")));
    }
    played.map(|()| player.clients.into_iter().map(|client| client.heard).collect())
}

impl Player {
    /// One step; when it returns, everything that it brought about has been read.
    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let mut account = None;
        match step {
            Step::Connect { user, tier, thread, resume, accepted } => {
                self.connect(user, *tier, thread.as_deref(), *resume, *accepted).await?;
            }
            Step::Text { socket, text } => {
                let ws = self.clients[*socket].ws.as_mut().ok_or("it speaks after its end")?;
                ws.send(Message::text(text.clone())).await.map_err(|error| error.to_string())?;
                // The others have their frames once this one's has been dealt with.
                self.barrier(*socket).await?;
            }
            Step::Leave { socket } => self.leave(*socket).await?,
            Step::Closed { socket } => self.read_to_end(*socket).await?,
            Step::Deliver { to, thread, run, request, event, account: taped } => {
                let context =
                    Context { thread: thread.as_deref(), run: run.as_deref(), request: request.as_deref() };
                let conn = |socket: &usize| self.clients[*socket].conn;
                let recipients = match to {
                    To::Socket(user, socket) => Recipients::Connection(user, conn(socket)),
                    To::User(user) => Recipients::User(user),
                    To::Thread(user, thread) => Recipients::Thread(user, thread),
                    To::Topic(topic) => Recipients::Topic(topic),
                    To::All(except) => Recipients::All { except: except.as_ref().map(conn) },
                };
                account = taped.map(|taped| (taped, self.handle.deliver(&recipients, context, event)));
            }
            Step::Report { run, event, taken } => {
                let sink = lock(&self.hands.runs).get(*run).cloned().ok_or("a run was not started")?;
                let seen = sink.report(event.borrow());
                if seen != *taken {
                    return Err(format!("an event was taken: on the tape {taken}, over sockets {seen}"));
                }
            }
            Step::Answer { ask, answer } => {
                let sink = lock(&self.hands.asks).get_mut(*ask).and_then(Option::take);
                let sink = sink.ok_or("a question was not asked")?;
                match answer {
                    Some(answer) => sink.answer(answer),
                    None => sink.fail(),
                }
            }
            Step::News { alert: true, body } => self.handle.publish_quality(QualityNews::Alert(body)),
            Step::News { alert: false, body } => self.handle.publish_quality(QualityNews::Update(body)),
            Step::Sweep => self.handle.sweep_idle(),
        }
        for socket in 0..self.clients.len() {
            self.barrier(socket).await?;
        }
        if let Some((taped, receipt)) = account {
            let receipt = receipt.await.ok_or("a receipt did not come")?;
            let seen = Account::from(&receipt);
            if seen != taped {
                return Err(format!("a receipt: on the tape {taped:?}, over sockets {seen:?}"));
            }
        }
        Ok(())
    }

    async fn connect(
        &mut self,
        user: &str,
        tier: Tier,
        thread: Option<&str>,
        resume: Option<u64>,
        accepted: bool,
    ) -> Result<(), String> {
        let mut query = String::from("?");
        if let Some(thread) = thread {
            query += "thread=";
            thread.bytes().for_each(|byte| query += &format!("%{byte:02X}"));
            query += "&";
        }
        if let Some(resume) = resume {
            query += &format!("resume={resume}");
        }
        let addr = self.handle.local_addr();
        let mut request =
            format!("ws://{addr}/ws{query}").into_client_request().map_err(|e| e.to_string())?;
        let token = issue(KEY, user, tier, Duration::from_secs(600));
        let protocol = format!("jwt.{token}").parse().map_err(|_| "a token is no header")?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let known: Vec<ConnId> = self.clients.iter().map(|client| client.conn).collect();
        let stream = TcpStream::connect(addr).await.map_err(|error| format!("connect: {error}"))?;
        // Thousands of sockets come and go: their ports must be free again at once.
        stream.set_zero_linger().map_err(|error| error.to_string())?;
        let (mut ws, _) = client_async(request, stream).await.map_err(|error| format!("upgrade: {error}"))?;
        let first = next(&mut ws).await?.ok_or("no frame, no close")?;
        let welcome = first["type"] == "connection_established";
        if welcome != accepted {
            return Err(format!("connected: on the tape {accepted}, over sockets {first}"));
        }
        if accepted {
            let listed = self.handle.connections_of(user, false);
            let conn = listed.iter().map(|listed| listed.conn).find(|conn| !known.contains(conn));
            let conn = conn.ok_or("a connection is not listed")?;
            self.clients.push(Client {
                ws: Some(ws),
                user: user.to_owned(),
                conn,
                heard: vec![first],
                hung_up: false,
            });
        }
        Ok(())
    }

    async fn leave(&mut self, socket: usize) -> Result<(), String> {
        let client = &mut self.clients[socket];
        let mut ws = client.ws.take().ok_or("it leaves twice")?;
        ws.close(None).await.map_err(|error| error.to_string())?;
        while let Some(frame) = next(&mut ws).await? {
            client.heard.push(frame);
        }
        drop(ws);
        self.gone(socket).await
    }

    async fn read_to_end(&mut self, socket: usize) -> Result<(), String> {
        let client = &mut self.clients[socket];
        client.hung_up = false;
        if let Some(mut ws) = client.ws.take() {
            while let Some(frame) = next(&mut ws).await? {
                if !is_barrier(&frame) {
                    client.heard.push(frame);
                }
            }
        }
        self.gone(socket).await
    }

    /// The server has heard of a socket's end.
    async fn gone(&self, socket: usize) -> Result<(), String> {
        let Client { user, conn, .. } = &self.clients[socket];
        while self.handle.connections_of(user, false).iter().any(|listed| listed.conn == *conn) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Everything that was on its way to a socket has been read. Its end is found by [`Self::read_to_end`].
    async fn barrier(&mut self, socket: usize) -> Result<(), String> {
        self.barriers += 1;
        let kind = format!("{BARRIER}{}", self.barriers);
        let client = &mut self.clients[socket];
        let Some(ws) = &mut client.ws else { return Ok(()) };
        let text = json!({ "type": kind }).to_string();
        // A socket that the router is closing takes no more.
        let _ = ws.send(Message::text(text)).await;
        while let Some(frame) = next(ws).await? {
            if is_barrier(&frame) {
                return Ok(());
            }
            client.heard.push(frame);
        }
        client.ws = None;
        client.hung_up = true;
        Ok(())
    }
}

fn is_barrier(frame: &Value) -> bool {
    frame["type"] == "ack" && frame["received_type"].as_str().is_some_and(|kind| kind.starts_with(BARRIER))
}

/// The next text frame; `None` at the end.
async fn next(ws: &mut WebSocketStream<TcpStream>) -> Result<Option<Value>, String> {
    loop {
        match ws.next().await {
            Some(Ok(Message::Text(text))) => {
                return serde_json::from_str(&text).map(Some).map_err(|error| error.to_string());
            }
            Some(Ok(Message::Close(_))) | None => return Ok(None),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(format!("read: {error}")),
        }
    }
}
