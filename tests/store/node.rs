//! A node's end of the store, for tests.

use std::time::Duration;

use router::{
    Instant,
    store::{Answer, Node, Op, OpId, Request, Stored, Trouble, Wake, Way},
};
use router_server::store::{Store, StoreConfig, StoreEvent};
use tokio::{sync::mpsc, time::timeout};

/// How long anything may take that must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node that is connected, and what came to it.
pub(crate) struct Connected {
    store: Store,
    events: mpsc::UnboundedReceiver<StoreEvent>,
    pub(crate) answers: Vec<Stored>,
    pub(crate) wakes: Vec<Wake>,
    pub(crate) up: bool,
    pub(crate) listening: bool,
}

impl Connected {
    /// Connects, and waits until both connections are there.
    pub(crate) async fn new(config: StoreConfig, name: &str) -> Self {
        let mut node = Self::start(config, name);
        node.until(|node| node.up && node.listening).await;
        node
    }

    /// Begins to connect.
    pub(crate) fn start(config: StoreConfig, name: &str) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let node = Node::new(name).expect("a name of a node");
        let store = Store::connect(config, node, sender).expect("a valid configuration");
        Self { store, events, answers: Vec::new(), wakes: Vec::new(), up: false, listening: false }
    }

    pub(crate) fn ask(&self, id: u64, op: Op) {
        self.store.ask(Request { id: OpId(id), op });
    }

    pub(crate) fn ask_at(&self, now: Instant, request: Request) {
        self.store.ask_at(now, request);
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn call(&mut self, id: u64, op: Op) -> Result<Answer, Trouble> {
        self.answers.clear();
        self.ask(id, op);
        self.until(|node| !node.answers.is_empty()).await;
        self.answers.remove(0).answer
    }

    /// Takes events until something is so.
    pub(crate) async fn until(&mut self, so: impl Fn(&Self) -> bool) {
        while !so(self) {
            let event = timeout(PATIENCE, self.events.recv()).await;
            match event.expect("what must come comes in time").expect("the store lives") {
                StoreEvent::Stored(stored) => self.answers.push(stored),
                StoreEvent::Woken(wake) => self.wakes.push(wake),
                StoreEvent::Way(Way::Up) => self.up = true,
                StoreEvent::Way(Way::Down) => self.up = false,
                StoreEvent::Way(Way::Listening) => self.listening = true,
                StoreEvent::Way(Way::Deaf) => self.listening = false,
            }
        }
    }
}
