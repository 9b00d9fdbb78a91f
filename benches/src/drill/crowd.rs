//! The users of a round: tabs on either node, in one thread.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use router::Tier;
use router_server::auth::{DEVELOPMENT_KEY, issue};
use simulator::{
    client::Client,
    cluster::{News, Watched},
    dialect::{Dialect as _, Goldenpath},
    plan::Plan,
};
use tokio::{
    runtime::Builder,
    task::LocalSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    load::{Address, Link},
    stage::StageError,
};

/// Users of a round, tabs of each, and messages that each sends at most.
const USERS: u32 = 50;
const TABS: usize = 2;
const MESSAGES_MAX: u32 = 200;
/// Messages of a user that are not over, at most.
const OPEN_MAX: usize = 3;
/// How often a tab looks whether it has something to say, and the crowd what became of all of it.
const PACE: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(10);
/// A message of which nothing is heard is sent again after so long; a refused one earlier.
const SILENCE: Duration = Duration::from_secs(3);
const REFUSED: Duration = Duration::from_secs(1);
/// From a lost connection to the next attempt.
const RECONNECT: Duration = Duration::from_millis(100);
/// How long tokens live: longer than a round.
const TOKEN: Duration = Duration::from_secs(3_600);

/// What the crowd is told, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Say things.
    Talks,
    /// The same; something has broken.
    Struck,
    /// Say nothing new.
    Settles,
    /// Leave.
    Over,
}

impl Phase {
    const ALL: [Phase; 4] = [Phase::Talks, Phase::Struck, Phase::Settles, Phase::Over];
}

/// What crowd and drill tell each other.
pub(super) struct Board {
    phase: AtomicU8,
    /// Where the nodes are.
    nodes: RwLock<Vec<Address>>,
    accepted: AtomicUsize,
    open: AtomicUsize,
    /// Users who wait for nothing.
    at_rest: AtomicUsize,
}

impl Board {
    pub(super) fn tell(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    pub(super) fn moved(&self, node: usize, address: Address) {
        self.nodes.write().unwrap_or_else(PoisonError::into_inner)[node] = address;
    }

    /// Messages accepted so far, and how many of their runs are open.
    pub(super) fn levels(&self) -> (usize, usize) {
        (self.accepted.load(Ordering::SeqCst), self.open.load(Ordering::SeqCst))
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.at_rest.load(Ordering::SeqCst) == USERS as usize
    }

    fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::SeqCst))]
    }

    fn node(&self, number: usize) -> Address {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        nodes[number % nodes.len()].clone()
    }
}

/// What a crowd brings home.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Messages accepted in all, and those of them that never ended.
    pub(super) accepted: usize,
    pub(super) lost: usize,
    /// Messages that nobody took in, however often they were sent.
    pub(super) unsettled: usize,
    pub(super) repeats: u64,
    pub(super) node_lost: usize,
    /// Connections that ended, and frames received.
    pub(super) connections_lost: u64,
    pub(super) frames: u64,
    /// What does not hold: rule and detail.
    pub(super) breaches: Vec<(&'static str, String)>,
    /// From the strike until everything that was open then had ended.
    pub(super) recovered: Option<Duration>,
}

/// Users at work.
pub(super) struct Crowd {
    pub(super) board: Arc<Board>,
    thread: JoinHandle<Outcome>,
}

impl Crowd {
    /// The users of round `number`, who were never there before.
    pub(super) fn gather(plan: &Plan, number: u32, nodes: Vec<Address>) -> Result<Self, StageError> {
        let board = Arc::new(Board {
            phase: AtomicU8::new(Phase::Talks as u8),
            nodes: RwLock::new(nodes),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            at_rest: AtomicUsize::new(0),
        });
        let (plan, shared) = (plan.clone(), Arc::clone(&board));
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StageError::new("a runtime", error))?;
        let work = move || {
            let people = (number * USERS..(number + 1) * USERS).map(|index| {
                let id = plan.user_id(index);
                Person {
                    token: issue(DEVELOPMENT_KEY, &id, Tier::Free, TOKEN),
                    watched: RefCell::new(Watched::new(&id, TABS, MESSAGES_MAX)),
                    canary: plan.canary(index),
                    thread: plan.thread_id(index),
                    said: RefCell::default(),
                    breaches: RefCell::default(),
                    connections_lost: Cell::new(0),
                    frames: Cell::new(0),
                    id,
                }
            });
            let people = people.map(Rc::new).collect();
            LocalSet::new().block_on(&runtime, play(people, shared))
        };
        let thread = thread::Builder::new().name("crowd".to_owned()).spawn(work);
        Ok(Self { board, thread: thread.map_err(|error| StageError::new("a thread", error))? })
    }

    /// Everybody leaves, and is judged.
    pub(super) fn leave(self) -> Result<Outcome, StageError> {
        self.board.tell(Phase::Over);
        self.thread.join().map_err(|_| StageError::new("the crowd", "panicked"))
    }
}

/// A user.
struct Person {
    id: String,
    token: String,
    canary: String,
    thread: String,
    watched: RefCell<Watched>,
    /// When each message that was sent goes out again, if nothing is heard of it.
    said: RefCell<Vec<Instant>>,
    breaches: RefCell<Vec<(&'static str, String)>>,
    connections_lost: Cell<u64>,
    frames: Cell<u64>,
}

async fn play(people: Vec<Rc<Person>>, board: Arc<Board>) -> Outcome {
    let mut tabs = tokio::task::JoinSet::new();
    for (number, person) in people.iter().enumerate() {
        for tab in 0..TABS {
            tabs.spawn_local(Rc::clone(person).be(tab, number + tab, Arc::clone(&board)));
        }
    }
    let mut struck: Option<(Instant, Vec<(usize, usize)>)> = None;
    let mut outcome = Outcome::default();
    while board.phase() != Phase::Over {
        let count = |of: fn(&Watched) -> usize| people.iter().map(|one| of(&one.watched.borrow())).sum();
        board.accepted.store(count(Watched::accepted), Ordering::SeqCst);
        board.open.store(count(Watched::open), Ordering::SeqCst);
        let rests = count(|watched| usize::from(watched.is_at_rest()));
        board.at_rest.store(rests, Ordering::SeqCst);
        if board.phase() >= Phase::Struck && outcome.recovered.is_none() {
            let (at, open) = struck.get_or_insert_with(|| (Instant::now(), open_of(&people)));
            open.retain(|(person, message)| people[*person].watched.borrow().is_open(*message));
            outcome.recovered = open.is_empty().then(|| at.elapsed());
        }
        sleep(LOOK).await;
    }
    tabs.abort_all();
    while tabs.join_next().await.is_some() {}
    for person in &people {
        let watched = person.watched.borrow();
        outcome.accepted += watched.accepted();
        outcome.lost += watched.open();
        let sent = person.said.borrow().len();
        outcome.unsettled += (0..sent).filter(|message| !watched.is_accepted(*message)).count();
        outcome.repeats += watched.repeats();
        outcome.node_lost += watched.ended_with("NODE_LOST");
        outcome.connections_lost += person.connections_lost.get();
        outcome.frames += person.frames.get();
        outcome.breaches.append(&mut person.breaches.borrow_mut());
        outcome.breaches.extend(watched.breaches());
    }
    outcome
}

/// The runs that are open now: whose, and of which message.
fn open_of(people: &[Rc<Person>]) -> Vec<(usize, usize)> {
    let of = |(number, person): (usize, &Rc<Person>)| {
        let messages = 0..person.said.borrow().len();
        let open: Vec<_> = messages.filter(|message| person.watched.borrow().is_open(*message)).collect();
        open.into_iter().map(move |message| (number, message))
    };
    people.iter().enumerate().flat_map(of).collect()
}

impl Person {
    /// One tab, over all its connections: to the next node whenever one is lost.
    async fn be(self: Rc<Self>, tab: usize, mut node: usize, board: Arc<Board>) {
        loop {
            let mut query = String::new();
            let resume = self.watched.borrow_mut().connects(tab);
            Goldenpath.query(resume, None, &mut query);
            if let Ok(link) = board.node(node).open(&self.token, &query).await {
                self.talk(tab, link, &board).await;
                self.connections_lost.set(self.connections_lost.get() + 1);
            }
            node += 1;
            sleep(RECONNECT).await;
        }
    }

    /// One connection, to its end.
    async fn talk(&self, tab: usize, mut link: Link, board: &Board) {
        let mut client = Client::new();
        let mut next_at = Instant::now() + PACE;
        loop {
            let mut out = Vec::new();
            tokio::select! {
                biased;
                frame = link.next() => match frame {
                    Some(Ok(Message::Text(text))) => self.hear(tab, &text, &mut client, &mut out),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => return,
                },
                () = sleep_until(next_at) => {
                    next_at = Instant::now() + PACE;
                    self.say(tab, board.phase(), &mut out);
                }
            }
            for text in out {
                if link.send(Message::text(text)).await.is_err() {
                    return;
                }
            }
        }
    }

    fn hear(&self, tab: usize, text: &str, client: &mut Client, out: &mut Vec<String>) {
        self.frames.set(self.frames.get() + 1);
        let mut breaches = self.breaches.borrow_mut();
        for (at, _) in text.match_indices("cny-") {
            if !text[at..].starts_with(&self.canary) {
                breaches
                    .push(("iso.I2", format!("{} tab {tab} got what is somebody else's: {text}", self.id)));
            }
        }
        match self.watched.borrow_mut().receive(tab, text) {
            News::Nothing | News::Degraded | News::Event(_) | News::Duplicate => {}
            // Nobody here is away for as long as it takes to fill a log.
            News::Gap(from, to) => breaches.push((
                "deliver.gap",
                format!("{} tab {tab}: told that {from} to {to} are missing", self.id),
            )),
            News::Again(message, _) => {
                if let Some(due) = self.said.borrow_mut().get_mut(message) {
                    *due = Instant::now() + REFUSED;
                }
            }
            News::Breach(rule, detail) => breaches.push((rule, format!("{} tab {tab}: {detail}", self.id))),
        }
        if let Ok(frame) = Goldenpath.decode(text) {
            client.receive(&frame);
        }
        while let Some(answer) = client.answer() {
            let mut text = String::new();
            if Goldenpath.encode(&answer, &mut text) {
                out.push(text);
            }
        }
    }

    /// What this tab has to say now: every other message is its own.
    fn say(&self, tab: usize, phase: Phase, out: &mut Vec<String>) {
        let (mut watched, mut said) = (self.watched.borrow_mut(), self.said.borrow_mut());
        let now = Instant::now();
        let is_mine = |message: &usize| message % TABS == tab;
        let unheard: Vec<usize> = (0..said.len()).filter(|message| !watched.is_accepted(*message)).collect();
        for message in unheard.iter().copied().filter(is_mine) {
            if said[message] <= now {
                said[message] = now + SILENCE;
                out.push(self.text(&watched, message));
            }
        }
        let next = said.len();
        let may = phase < Phase::Settles && unheard.len() + watched.open() < OPEN_MAX;
        if may && is_mine(&next) && next < MESSAGES_MAX as usize {
            said.push(now + SILENCE);
            watched.sends(next);
            out.push(self.text(&watched, next));
        }
    }

    fn text(&self, watched: &Watched, message: usize) -> String {
        let id = watched.message_id(message).unwrap_or_default();
        format!(
            r#"{{"type":"user_message","payload":{{"content":"{}"}},"thread_id":"{}","message_id":"{id}"}}"#,
            self.canary, self.thread
        )
    }
}
