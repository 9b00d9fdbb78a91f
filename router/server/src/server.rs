//! Listening, accepting, and the orderly stop.

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use router::{
    ClusterConfig, Config, ConfigError, Connection, Context, Delivery, EventRef, Handler, Input, Letter,
    Pool, QualityNews, QueueStats, Receipt, RedriveRefusal, Stats,
    compat::{Lent, Pending},
    handlers::{HandlerStats, Readiness, RegisterError},
    routes::{Dispatched, Envelope, Full, Middleware, Record, Refused, RouteHandler},
    store::Node,
};
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    admin::AdminToken,
    agents::{AgentBackend, Rehearsed, Scripted},
    auth::AuthConfig,
    clock::fresh_node,
    connection::websocket_config,
    deliver::Recipients,
    driver::{Host, Phase, Shared},
    handshake::{self, Door},
    quality::QualityBackend,
    store::{Store, StoreConfig, StoreError, StoreEvent},
    tls::{self, TlsError, TlsFiles},
    tools::ToolSet,
};

/// A socket must have become a connection, or have its answer, within this time.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Sockets that may be at it at once; further ones wait in the listener's backlog.
const HANDSHAKES_MAX: usize = 4096;
/// How long after the drain deadline the server waits for the last sockets.
const DRAIN_SLACK: Duration = Duration::from_secs(8);
/// Pause after a failed accept: it fails for want of file descriptors, which only time gives back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Everything a server needs to know.
#[derive(Clone)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The router's limits. `node` must never have been used before; [`ServerConfig::new`] draws one.
    /// `development` is set from `auth`.
    pub router: Config,
    /// Which tokens are good.
    pub auth: AuthConfig,
    /// Certificate files; without them the server speaks plain text.
    pub tls: Option<TlsFiles>,
    /// What operators ask with, over HTTP ([`AdminToken`]); without one nothing is answered.
    pub admin: Option<AdminToken>,
    /// The store that several nodes share; without one the node is alone.
    pub store: Option<StoreConfig>,
    /// Who works on runs.
    pub agents: Arc<dyn AgentBackend>,
    /// Handlers of messages between services, each with its key, in the order of installation.
    pub routes: Vec<(String, Arc<dyn RouteHandler>)>,
    /// What sees such messages before their route, in order.
    pub middleware: Vec<Arc<dyn Middleware>>,
    /// What agents may call, and for whom.
    pub tools: ToolSet,
    /// Who answers questions about quality; without one, the embedded services do.
    pub quality: Option<Arc<dyn QualityBackend>>,
    /// Makes the custom handlers to register, in this order, when the server starts.
    pub handlers: Vec<HandlerMaker>,
}

/// Makes a custom handler: a configuration may start more than one server, a handler belongs to one router. A handler
/// that panics has failed; it stays registered.
pub type HandlerMaker = Arc<dyn Fn() -> Box<dyn Handler> + Send + Sync>;

impl ServerConfig {
    /// Default limits, a fresh node name, no TLS, and the rehearsed agent.
    pub fn new(listen: SocketAddr, auth: AuthConfig) -> Self {
        Self {
            listen,
            router: Config { node: fresh_node(), ..Config::default() },
            auth,
            tls: None,
            admin: None,
            store: None,
            agents: Arc::new(Scripted::new(Rehearsed::default())),
            routes: Vec::new(),
            middleware: Vec::new(),
            tools: ToolSet::default(),
            quality: None,
            handlers: Vec::new(),
        }
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("listen", &self.listen)
            .field("router", &self.router)
            .field("auth", &self.auth)
            .field("tls", &self.tls)
            .field("store", &self.store)
            .field("tools", &self.tools)
            .finish_non_exhaustive()
    }
}

/// A server that listens; [`run`](Self::run) makes it serve.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    door: Arc<Door>,
    handle: ServerHandle,
    drain_deadline: Duration,
    /// Where the store is, and what it tells.
    store_events: Option<(String, mpsc::UnboundedReceiver<StoreEvent>)>,
}

impl Server {
    /// Checks the configuration and begins to listen.
    pub async fn bind(config: ServerConfig) -> Result<Self, ServerError> {
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let cluster = config.store.as_ref().map(|store| ClusterConfig {
            bounds: store.bounds.clone(),
            ..config.router.cluster.clone().unwrap_or_default()
        });
        let development = config.auth.is_development();
        let router = Config { development, cluster, ..config.router };
        let drain_deadline = Duration::from_micros(router.drain_deadline_us);
        let websocket = websocket_config(router.transport_bytes_max, router.outbound_frame_bytes_max);
        let host = Host {
            agents: config.agents,
            tools: config.tools,
            quality: config.quality,
            handlers: config.handlers,
            routes: config.routes,
            middleware: config.middleware,
        };
        let (store, store_events) = match config.store {
            Some(config) => {
                let node = Node::new(&router.node).ok_or(StoreError::Node)?;
                let (sender, events) = mpsc::unbounded_channel();
                let url = config.url.clone();
                (Some(Store::connect(config, node, sender)?), Some((url, events)))
            }
            None => (None, None),
        };
        let shared = Shared::new(router, host, store)?;
        let listen = |error| ServerError::Listen { addr: config.listen, error };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let handle =
            ServerHandle { local_addr: listener.local_addr().map_err(listen)?, shared: Arc::clone(&shared) };
        let (auth, admin) = (config.auth, config.admin);
        let door = Arc::new(Door { shared, auth, websocket, bell: Default::default(), admin });
        Ok(Self { listener, tls, door, handle, drain_deadline, store_events })
    }

    /// Where the server listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.handle.local_addr
    }

    /// A handle that outlives [`run`](Self::run).
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Serves until `shutdown` is ready or [`ServerHandle::drain`] is called, then drains: accepted work
    /// finishes, connections are closed with 1001.
    ///
    /// While it drains, the port is still answered: `/healthz` and `/readyz` say so, and the router tells
    /// whoever wants to connect.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Stopped {
        let store_events = self.store_events.take();
        let shared = &self.door.shared;
        tracing::info!(
            addr = %self.handle.local_addr,
            node = shared.node(),
            tls = self.tls.is_some(),
            development = self.door.auth.is_development(),
            "serving"
        );
        let timer = tokio::spawn(Arc::clone(shared).keep_time());
        let listen = |(url, events)| tokio::spawn(Arc::clone(shared).listen_to_store(url, events));
        let listener = store_events.map(listen);
        let stopped = tokio::select! {
            stopped = self.stop(shutdown) => stopped,
            never = self.accept() => match never {},
        };
        timer.abort();
        if let Some(listener) = listener {
            listener.abort();
        }
        shared.hang_up();
        tracing::info!(node = shared.node(), ?stopped, "stopped");
        stopped
    }

    async fn stop(&self, shutdown: impl Future<Output = ()>) -> Stopped {
        let shared = &self.door.shared;
        let mut phase = shared.phase();
        tokio::select! {
            () = pin!(shutdown) => shared.drain(),
            _ = phase.wait_for(|phase| *phase >= Phase::Draining) => {}
        }
        let drained = phase.wait_for(|phase| *phase == Phase::Drained);
        match timeout(self.drain_deadline + DRAIN_SLACK, drained).await {
            Ok(_) => Stopped::Drained,
            Err(_) => Stopped::Overdue,
        }
    }

    async fn accept(&self) -> std::convert::Infallible {
        let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        loop {
            // The semaphore is never closed, so there always is a permit to wait for.
            let place = Arc::clone(&places).acquire_owned().await;
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a socket could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (door, tls) = (Arc::clone(&self.door), self.tls.clone());
            tokio::spawn(async move {
                door.bell.sockets.add_one();
                if timeout(HANDSHAKE, welcome(&door, tls, stream)).await.is_err() {
                    door.bell.lost.add_one();
                }
                drop(place);
            });
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("local_addr", &self.handle.local_addr).finish_non_exhaustive()
    }
}

/// Looks at a server, hands it messages between services, and stops it.
#[derive(Clone)]
pub struct ServerHandle {
    local_addr: SocketAddr,
    shared: Arc<Shared>,
}

impl ServerHandle {
    /// Where the server listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Begins the orderly stop; [`Server::run`] returns when it is done.
    pub fn drain(&self) {
        self.shared.drain();
    }

    /// Open sockets that are connections.
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }

    /// A copy of the router's counters.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Takes a message through middleware and routes, on the caller's thread. No lock is held meanwhile, so a handler
    /// may take its time and may use a handle itself. Refused once the server drains.
    pub fn dispatch(&self, message: Envelope) -> Result<Dispatched, Refused> {
        self.shared.dispatch(message)
    }

    /// A copy of the messages dispatched for a user, or with `None` for the services themselves; in the order in which
    /// they ended.
    pub fn history(&self, user: Option<&str>) -> Vec<Record> {
        self.shared.history(user)
    }

    /// Tells everybody who subscribed to quality. Crosses users: what is told must be fit for all of them.
    pub fn publish_quality(&self, news: QualityNews<'_>) {
        self.shared.quality_news(news);
    }

    /// What became of a run event of `user`; see [`router::Router::delivery`].
    pub fn delivery(&self, user: &str, event: EventRef<'_>) -> Option<Delivery> {
        self.shared.delivery(user, event)
    }

    /// Statistics of every handler, in the order in which they are asked.
    pub fn handler_stats(&self) -> Vec<HandlerStats> {
        self.shared.handler_stats()
    }

    /// Whether the handlers are there that the router must have.
    pub fn readiness(&self) -> Readiness {
        self.shared.readiness()
    }

    /// Delivers an event, now: it is on its way when this returns. The future is ready when every connection addressed
    /// has been written, or has missed it; `None` if the server is gone before. Whoever does not care need not wait.
    pub fn deliver(
        &self,
        recipients: &Recipients<'_>,
        context: Context<'_>,
        event: &RawValue,
    ) -> impl Future<Output = Option<Receipt>> + use<> {
        let receipt = self.shared.deliver(recipients, context, event);
        async move { receipt.await.ok() }
    }

    /// Lends the router to facades with the old names ([`router::compat`]), for one call or several; what they bring about
    /// is under way when this returns. Their calls are counted in the metrics, by facade. The server connects its sockets
    /// itself: `register_connection` answers `false`.
    ///
    /// The server stands still meanwhile. What `call` runs must not use a handle of this server: it would wait for itself.
    /// That holds for handlers of messages between services, too; [`dispatch`](Self::dispatch) runs these outside.
    pub fn lend<R>(&self, call: impl FnOnce(&mut Lent<'_>) -> R) -> R {
        self.shared.lend(call).0
    }

    /// The same for one old call that was awaited: the future is ready when its answer is known, `None` if the server is
    /// gone before.
    pub fn lend_and_wait<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Lent<'_>) -> Pending<T>,
    ) -> Pin<Box<dyn Future<Output = Option<T>> + Send>> {
        let (pending, receipts) = self.shared.lend(call);
        let wanted = pending.receipt();
        let receipt = receipts.into_iter().find(|(id, _)| Some(*id) == wanted).map(|(_, receipt)| receipt);
        Box::pin(async move {
            match (pending, receipt) {
                (Pending::Ready(answer), _) => Some(answer),
                (awaited @ Pending::Awaited(_), Some(receipt)) => awaited.settle(&receipt.await.ok()?).ok(),
                (Pending::Awaited(_), None) => None,
            }
        })
    }

    /// The live connections of a user, in the order in which they were opened.
    pub fn connections_of(&self, user: &str, active_only: bool) -> Vec<Connection> {
        self.shared.connections_of(user, active_only)
    }

    /// Closes every connection that has been idle for the idle time.
    pub fn sweep_idle(&self) {
        self.shared.input(Input::SweepIdle);
    }

    /// How much of the registry is in use. A walk over all connections.
    pub fn pool(&self) -> Pool {
        self.shared.pool()
    }

    /// What waits in the router's queue, and what became of what waited.
    pub fn queue_stats(&self) -> QueueStats {
        self.shared.queue_stats()
    }

    /// Messages that ended without being worked on, the oldest first: of one user or of all, from a number on, so many at
    /// most.
    pub fn dead_letters(&self, user: Option<&str>, from: u64, max: usize) -> Vec<Letter> {
        self.shared.dead_letters(user, from, max)
    }

    /// Has such a message worked on again.
    ///
    /// # Errors
    /// Why it is not.
    pub fn redrive(&self, user: &str, letter: u64) -> Result<(), RedriveRefusal> {
        self.shared.redrive(user, letter)
    }

    /// Name of this router incarnation.
    pub fn node(&self) -> &str {
        self.shared.node()
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

/// How a server stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing was left.
    Drained,
    /// Something was still there after the drain deadline and its slack, and was cut off.
    Overdue,
}

/// Why a server does not start.
#[derive(Debug)]
pub enum ServerError {
    /// A limit makes no sense.
    Config(ConfigError),
    /// The address cannot be listened on.
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the operating system says.
        error: io::Error,
    },
    /// A TLS file cannot be used.
    Tls(TlsError),
    /// A custom handler cannot be registered.
    Handler(RegisterError),
    /// The shared store cannot be used.
    Store(StoreError),
}

impl From<StoreError> for ServerError {
    fn from(error: StoreError) -> Self {
        ServerError::Store(error)
    }
}

impl From<RegisterError> for ServerError {
    fn from(error: RegisterError) -> Self {
        ServerError::Handler(error)
    }
}

impl From<ConfigError> for ServerError {
    fn from(error: ConfigError) -> Self {
        ServerError::Config(error)
    }
}

impl From<Full> for ServerError {
    fn from(full: Full) -> Self {
        ServerError::Config(full.into())
    }
}

impl From<TlsError> for ServerError {
    fn from(error: TlsError) -> Self {
        ServerError::Tls(error)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::Config(error) => error.fmt(f),
            ServerError::Listen { addr, error } => write!(f, "cannot listen on {addr}: {error}"),
            ServerError::Tls(error) => error.fmt(f),
            ServerError::Handler(error) => write!(f, "custom handler: {error}"),
            ServerError::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ServerError {}

/// Takes a socket through TLS and handshake. Its task ends here: the connection gets a smaller one.
async fn welcome(door: &Door, tls: Option<TlsAcceptor>, stream: TcpStream) {
    // Frames are written whole and flushed in batches; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    match tls {
        None => settle(door, stream).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => settle(door, stream).await,
            Err(error) => {
                door.bell.lost.add_one();
                tracing::debug!(%error, "TLS failed");
            }
        },
    }
}

async fn settle<S>(door: &Door, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if let Some(connection) = handshake::shake(door, stream).await {
        tokio::spawn(connection);
    }
}
