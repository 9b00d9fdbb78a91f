//! The shared store on Redis: carries out what [`router::store`] says, by scripts.
//!
//! One connection carries all scripts of a node, pipelined and in the order of the requests; another listens for
//! [`Wake`]s. Nothing is tried again here and nothing is decided: each request gets one answer, and what to make of a
//! [`Trouble`] is the core's business. Needs Redis 7.0 or later.
//!
//! # Keys
//! `u` is the user's id in base64url. All keys with the same `{u}` lie in one slot of a cluster, and each script
//! touches the keys of one user, or one key.
//!
//! | key | type | what |
//! |---|---|---|
//! | `gp:{u}:st` | hash | `.`: figures (last, acknowledged and oldest cursor, size of the log, times); `rRUN`: the run's row; `at`: nodes that attached, each behind the time until when |
//! | `gp:{u}:ev` | stream | the log: `cursor-0` → run, number, frame |
//! | `gp:{u}:note` | hash | open run → what another node must know |
//! | `gp:{u}:done` | sorted set | ended runs, and those of frames of no run, by time |
//! | `gp:{u}:seen`, `gp:{u}:ran` | sorted set, hash | message ids by time; message id → run |
//! | `gp:nodes` | sorted set | nodes, by the time until when they count as alive |
//! | `gp:held:NODE` | sorted set | users (ids as they are) that the node may own runs of, by number of the hold |
//! | `gp:n:NODE` | channel | new events for that node |
//!
//! Times that matter are kept in values and compared with the store's `TIME`; keys are given a longer life than that.
//! What is too old is therefore gone at one exact time, whether its key still exists or not.

mod decode;
mod durability;
mod encode;
mod link;
mod scripts;
mod wakes;

use std::time::Duration;

use redis::{Client, ConnectionInfo, IntoConnectionInfo};
use router::{
    Instant,
    store::{Away, Bounds, BoundsError, Node, Request, Stored, Trouble, Wake, Way},
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinHandle,
};

pub use self::durability::{Durability, Lapse};
use self::{link::Link, scripts::Scripts, wakes::Wakes};

/// How a node reaches its store.
#[derive(Clone)]
pub struct StoreConfig {
    /// Where it is: `redis://`, `unix:`, with user, password and database. Never shown whole.
    pub url: String,
    /// What it keeps.
    pub bounds: Bounds,
    /// Whose clock counts.
    pub clock: StoreClock,
    /// Requests on their way at once; one more is answered [`Away::Crowded`].
    pub requests_max: usize,
    /// How long a connection may take to be made, scripts and subscription included.
    pub connect_timeout: Duration,
    /// How long answers may be owed without one coming: then the connection is given up, and what is owed is in doubt.
    pub silence_timeout: Duration,
    /// Pause after the first attempt to connect that failed; it doubles.
    pub reconnect_first: Duration,
    /// Longest such pause.
    pub reconnect_max: Duration,
}

impl StoreConfig {
    /// The defaults, for a store at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            bounds: Bounds::default(),
            clock: StoreClock::Server,
            requests_max: 16_384,
            connect_timeout: Duration::from_secs(2),
            silence_timeout: Duration::from_secs(3),
            reconnect_first: Duration::from_millis(50),
            reconnect_max: Duration::from_secs(2),
        }
    }
}

impl std::fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, bounds, clock, requests_max, connect_timeout, silence_timeout, .. } = self;
        // What stands ahead of the last `@` is a name and a password.
        let place = url.rsplit_once('@').map_or(url.as_str(), |(_, place)| place);
        f.debug_struct("StoreConfig")
            .field("place", &place)
            .field("bounds", bounds)
            .field("clock", clock)
            .field("requests_max", requests_max)
            .field("connect_timeout", connect_timeout)
            .field("silence_timeout", silence_timeout)
            .finish_non_exhaustive()
    }
}

/// Whose clock the scripts go by. All nodes of a store must say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreClock {
    /// The store's own, `TIME`.
    Server,
    /// Each request says what time it is ([`Store::ask_at`]). For tests: everything else is as it is in operation.
    Given,
}

/// What the store tells unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreEvent {
    /// The answer to a request, or why there is none. Exactly one for each.
    Stored(Stored),
    /// New events of a user.
    Woken(Wake),
    /// How the store is reached changed.
    Way(Way),
}

/// Why a store cannot be used.
#[derive(Debug)]
pub enum StoreError {
    /// That is no place of a store.
    Url(String),
    /// The bounds make no sense.
    Bounds(BoundsError),
    /// A store knows nodes by names of 1 to 64 printable characters; this one's is another.
    Node,
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreError::Url(error) => write!(f, "store url: expected redis://HOST:PORT/DATABASE, {error}"),
            StoreError::Bounds(error) => write!(f, "store bounds: {error}"),
            StoreError::Node => f.write_str("node: expected 1 to 64 printable characters"),
        }
    }
}

impl std::error::Error for StoreError {}

/// A node's end of the store. Dropping it ends its connections; what is on its way then gets no answer.
#[derive(Debug)]
pub struct Store {
    requests: mpsc::Sender<(Request, Option<Instant>)>,
    events: mpsc::UnboundedSender<StoreEvent>,
    tasks: [JoinHandle<()>; 2],
}

impl Store {
    /// Starts connecting. What happens comes through `events`: as many answers as there were requests, and wakes as
    /// fast as they are read; so whoever reads them reads all.
    ///
    /// # Errors
    /// The configuration makes no sense. That nobody answers is no error: it is [`Way::Down`], for now.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect(
        config: StoreConfig,
        node: Node,
        events: mpsc::UnboundedSender<StoreEvent>,
    ) -> Result<Self, StoreError> {
        config.bounds.check().map_err(StoreError::Bounds)?;
        let client = client(&config.url)?;
        let (requests, inbox) = mpsc::channel(config.requests_max);
        let scripts = Scripts::new(&config.bounds, config.clock);
        let link = Link::new(client.clone(), config.clone(), scripts, inbox, events.clone());
        let wakes = Wakes::new(client, config, node, events.clone());
        let tasks = [tokio::spawn(link.run()), tokio::spawn(wakes.run())];
        Ok(Self { requests, events, tasks })
    }

    /// Asks. The answer comes as an event.
    pub fn ask(&self, request: Request) {
        self.send(request, None);
    }

    /// Asks at a time of the caller's; for a store whose clock is [`StoreClock::Given`].
    pub fn ask_at(&self, now: Instant, request: Request) {
        self.send(request, Some(now));
    }

    fn send(&self, request: Request, now: Option<Instant>) {
        let (request, away) = match self.requests.try_send((request, now)) {
            Ok(()) => return,
            Err(TrySendError::Full((request, _))) => (request, Away::Crowded),
            Err(TrySendError::Closed((request, _))) => (request, Away::Down),
        };
        let stored = Stored { id: request.id, answer: Err(Trouble::Unavailable(away)) };
        // Whoever does not listen any more does not miss it.
        let _unheard = self.events.send(StoreEvent::Stored(stored));
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// How durable what the store at `url` accepts is, as far as it tells.
///
/// # Errors
/// It is no url, or nobody answers there.
pub async fn durability(url: &str) -> Result<Durability, StoreError> {
    let client = client(url)?;
    durability::ask(&client).await.map_err(|error| StoreError::Url(error.to_string()))
}

/// Requests as they go over the wire, one behind the other: to measure a store without a node. Where that has not connected
/// before, the server does not know the scripts.
pub fn packed(config: &StoreConfig, requests: &[Request]) -> Vec<u8> {
    let scripts = Scripts::new(&config.bounds, config.clock);
    let pack = |request| encode::command(&scripts, request, None).get_packed_command();
    requests.iter().flat_map(pack).collect()
}

fn client(url: &str) -> Result<Client, StoreError> {
    let info: ConnectionInfo =
        url.into_connection_info().map_err(|error| StoreError::Url(error.to_string()))?;
    Client::open(info).map_err(|error| StoreError::Url(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let shown = format!("{:?}", StoreConfig::new("redis://me:secret@example.org:6379/1"));
        assert!(shown.contains("example.org") && !shown.contains("secret"), "{shown}");
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused_and_named() {
        let node = Node::new("n").expect("a name");
        let connect = |config| Store::connect(config, node.clone(), mpsc::unbounded_channel().0).err();
        let url = connect(StoreConfig::new("http://example.org")).map(|error| error.to_string());
        assert!(url.as_deref().is_some_and(|text| text.contains("expected redis://")), "{url:?}");
        let bounds = Bounds { runs_max: 0, ..Bounds::default() };
        let config = StoreConfig { bounds, ..StoreConfig::new("redis://127.0.0.1/") };
        let error = connect(config).map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("store bounds: runs_max: expected at least 1"));
    }
}
