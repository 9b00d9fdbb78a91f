//! The world: one queue of events, and what each does.

mod clients;
mod onlooker;
mod shelf;
mod strikes;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque},
};

use router::{
    ClusterConfig, ConnId, Effect, Effects, Input, Instant, RunRef,
    store::{Bounds, Request, Stored, Wake, Way},
};
use serde_json::value::RawValue;

use self::onlooker::Watch;
use super::{
    Breach, Condition, Played, Settings,
    draw::Draw,
    fault::{Faults, Strike},
    judge,
    node::{Agent, Node},
    person::{Link, Person},
};
use crate::{prng::Domain, store::Model};

/// Virtual time begins here: a clock that shows years.
const EPOCH_US: u64 = 1_700_000_000_000_000;
/// Faults end after this time.
const FAULTS_US: u64 = 40_000_000;
/// So long after a fault nothing has to do with it any more: leases have run out, and runs of nodes that died were found.
const CALM_US: u64 = 15_000_000;
/// What is not done so long after that is not done.
const PATIENCE_US: u64 = 200_000_000;
/// Breaches that are told.
const BREACHES_MAX: usize = 8;
/// How long it rests before it is looked at.
const REST_US: u64 = 2_000_000;
/// Inputs of a node between two looks at its books.
const LOOK_EVERY: u64 = 16;

#[derive(Debug)]
enum Event {
    Tick { node: usize, life: u32 },
    Connect { user: usize, tab: usize, generation: u32 },
    Up { user: usize, tab: usize, generation: u32, text: String },
    Pong { node: usize, life: u32, conn: ConnId },
    Hangs { node: usize, life: u32, conn: ConnId },
    Down { user: usize, tab: usize, generation: u32, text: String },
    Broken { user: usize, tab: usize, generation: u32 },
    Written { node: usize, life: u32, conn: ConnId },
    Apply { node: usize, life: u32, line: u32, request: Box<Request>, whole: bool },
    Answer { node: usize, life: u32, line: u32, stored: Box<Stored> },
    Woken { node: usize, life: u32, wake: Box<Wake> },
    Way { node: usize, life: u32, way: Way },
    Beat { node: usize, life: u32, run: RunRef },
    Send { user: usize, message: usize },
    Strike(Strike),
    Heals(Strike),
    GoesOn { node: usize },
}

pub(super) struct World<'t> {
    settings: Settings,
    limits: ClusterConfig,
    now_us: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    set: u64,
    nodes: Vec<Node>,
    /// What came to a node while it stood still.
    put_off: Vec<VecDeque<Event>>,
    store: Model,
    watch: Watch,
    /// The store as it was a while ago.
    earlier: Vec<(u64, Model)>,
    away: u32,
    /// What happens after it has nothing to do with faults: the last is so long ago.
    calm_from_us: u64,
    people: Vec<Person>,
    tickets: BTreeMap<u64, (usize, usize, u32)>,
    conns: BTreeMap<(usize, u32, ConnId), (usize, usize, u32)>,
    faults: Faults,
    net: Draw,
    chance: Draw,
    work: Draw,
    /// Runs that an agent has worked on.
    begun: BTreeSet<String>,
    json: Box<RawValue>,
    played: Played,
    told: Option<&'t mut dyn FnMut(String)>,
}

impl<'t> World<'t> {
    pub(super) fn new(settings: &Settings, seed: u64) -> Self {
        let nodes = settings.nodes.max(2) as usize;
        let mut plan = Draw::new(seed, Domain::Swarm, 0);
        let limits = limits(&mut plan);
        let mut world = Self {
            people: Vec::new(),
            settings: settings.clone(),
            now_us: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            set: 0,
            nodes: (0..nodes).map(|_| Node::new()).collect(),
            put_off: (0..nodes).map(|_| VecDeque::new()).collect(),
            store: Model::new(limits.bounds.clone()),
            watch: Watch::default(),
            earlier: Vec::new(),
            away: 0,
            calm_from_us: 0,
            tickets: BTreeMap::new(),
            conns: BTreeMap::new(),
            faults: Faults::draw(seed, nodes, FAULTS_US, &settings.without),
            net: Draw::new(seed, Domain::Network, 0),
            chance: Draw::new(seed, Domain::Fault, u64::MAX),
            work: Draw::new(seed, Domain::Agent, 0),
            begun: BTreeSet::new(),
            json: RawValue::from_string("{}".to_owned()).expect("JSON"),
            played: Played::default(),
            told: None,
            limits,
        };
        #[cfg(feature = "mutants")]
        {
            world.store.mutant = settings.mutant;
        }
        for node in 0..nodes {
            world.begin(node);
        }
        for user in 0..settings.users {
            world.introduce(user as usize, &mut Draw::new(seed, Domain::User, u64::from(user)));
        }
        for strike in world.faults.strikes.clone() {
            world.set(strike.at_us, Event::Strike(strike));
        }
        world
    }

    /// A user with tabs and messages.
    fn introduce(&mut self, user: usize, plan: &mut Draw) {
        let messages = self.settings.messages;
        let person = Person::new(format!("user-{user}"), plan.from(1, 3) as usize, messages);
        for tab in 0..person.tabs.len() {
            let at = plan.from(0, 3_000_000);
            self.set(at, Event::Connect { user, tab, generation: 0 });
        }
        let mut at = 1_000_000;
        for message in 0..person.messages.len() {
            at += plan.from(10_000, 2 * FAULTS_US / u64::from(messages.max(1)));
            self.set(at, Event::Send { user, message });
        }
        self.people.push(person);
    }

    pub(super) fn telling(mut self, line: &'t mut dyn FnMut(String)) -> Self {
        self.told = Some(line);
        self
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        let at = self.now_us as f64 / 1e6;
        if let Some(told) = &mut self.told {
            told(format!("{at:>11.6} {}", line()));
        }
    }

    fn set(&mut self, at_us: u64, event: Event) {
        self.set += 1;
        self.queue.push(Reverse((at_us.max(self.now_us), self.set)));
        self.events.insert(self.set, event);
    }

    fn breach(&mut self, rule: &'static str, detail: String) {
        self.tell(|| format!("BREACH {rule}: {detail}"));
        if self.played.breaches.len() < BREACHES_MAX {
            self.played.breaches.push(Breach { rule, at_us: self.now_us, detail });
        }
    }

    pub(super) fn play(mut self) -> Played {
        let mut ends_us = FAULTS_US + PATIENCE_US;
        while let Some(Reverse((at_us, number))) = self.queue.pop() {
            let is_new_second = at_us / 1_000_000 > self.now_us / 1_000_000;
            if is_new_second && at_us > 2 * FAULTS_US && self.is_done() {
                ends_us = ends_us.min(at_us + REST_US);
            }
            if at_us > ends_us {
                break;
            }
            self.now_us = at_us;
            if let Some(event) = self.events.remove(&number) {
                self.happen(event);
            }
        }
        self.judge();
        self.played.virtual_us = self.now_us;
        self.played
    }

    /// Whether everybody has what they can have.
    fn is_done(&self) -> bool {
        self.people.iter().all(|person| {
            person.messages.iter().all(|message| message.is_over())
                && person.tabs.iter().all(|tab| tab.is_welcome && tab.link.is_some())
        }) && self.nodes.iter().all(|node| {
            let cluster = node.router.as_ref().map(|router| router.stats().cluster);
            cluster.is_some_and(|cluster| cluster.pending + cluster.in_doubt == 0)
        })
    }

    /// Something is wrong for so long: what follows may have to do with it.
    fn disturb(&mut self, for_us: u64) {
        self.calm_from_us = self.calm_from_us.max(self.now_us + for_us + CALM_US);
    }

    fn meet(&mut self, condition: Condition) {
        self.played.met[condition as usize] = true;
    }

    fn judge(&mut self) {
        let mut verdicts = Vec::new();
        for person in &self.people {
            judge::judge(person, &mut verdicts);
        }
        for place in 0..self.nodes.len() {
            self.bury(place);
            let Some(router) = &self.nodes[place].router else { continue };
            let cluster = router.stats().cluster;
            if cluster.pending + cluster.in_doubt > 0 {
                let detail = format!(
                    "node {place}: {} events and {} messages still wait for the store",
                    cluster.pending, cluster.in_doubt
                );
                verdicts.push(("live.pending", detail));
            }
            if let Err(why) = router.verify() {
                verdicts.push(("stats", format!("node {place}: {why}")));
            }
        }
        for (rule, detail) in verdicts {
            self.breach(rule, detail);
        }
        let tabs = || self.people.iter().flat_map(|person| &person.tabs);
        self.played.repeats = tabs().map(|tab| tab.repeats).sum();
        self.played.gaps = tabs().map(|tab| tab.gaps.len() as u64).sum();
        let messages = self.people.iter().flat_map(|person| &person.messages);
        self.played.accepted = messages.filter(|message| message.is_accepted).count() as u64;
    }

    /// Adds up what a life of a node did.
    fn bury(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        self.played.inputs += std::mem::take(&mut state.inputs);
        let Some(router) = &state.router else { return };
        let cluster = router.stats().cluster;
        self.played.taken_over += cluster.taken_over;
        self.played.lost_runs += cluster.run_lost;
        if cluster.fetches > 0 {
            self.meet(Condition::Fetched);
        }
    }

    /// Whether something for that life of the node can happen now; puts it off while the node stands still.
    fn is_awake(&mut self, node: usize, life: u32, event: Event) -> Option<Event> {
        let state = &self.nodes[node];
        if state.life != life || state.router.is_none() {
            return None;
        }
        if state.paused_until_us > self.now_us || !self.put_off[node].is_empty() {
            self.put_off[node].push_back(event);
            return None;
        }
        Some(event)
    }

    /// A node that stood still goes on with what came meanwhile.
    fn go_on(&mut self, node: usize) {
        if self.nodes[node].paused_until_us > self.now_us {
            return; // it was made to stand still for longer
        }
        for event in std::mem::take(&mut self.put_off[node]) {
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        let of_node = match &event {
            Event::Tick { node, life }
            | Event::Pong { node, life, .. }
            | Event::Hangs { node, life, .. }
            | Event::Written { node, life, .. }
            | Event::Answer { node, life, .. }
            | Event::Woken { node, life, .. }
            | Event::Way { node, life, .. }
            | Event::Beat { node, life, .. } => Some((*node, *life)),
            Event::Up { user, tab, generation, .. } => {
                let tab = &self.people[*user].tabs[*tab];
                let link = tab.link.filter(|_| tab.generation == *generation);
                match link {
                    Some(link) => Some((link.node, link.life)),
                    None => return,
                }
            }
            Event::Connect { .. }
            | Event::Down { .. }
            | Event::Broken { .. }
            | Event::Apply { .. }
            | Event::Send { .. }
            | Event::Strike(_)
            | Event::Heals(_)
            | Event::GoesOn { .. } => None,
        };
        let event = match of_node {
            Some((node, life)) => match self.is_awake(node, life, event) {
                Some(event) => event,
                None => return,
            },
            None => event,
        };
        match event {
            Event::Tick { node, .. } => {
                self.nodes[node].tick_at_us = u64::MAX;
                self.input(node, Input::Tick);
            }
            Event::Connect { user, tab, generation } => self.connect(user, tab, generation),
            Event::Up { user, tab, text, .. } => {
                let link = self.people[user].tabs[tab].link;
                if let Some(Link { node, conn: Some(conn), .. }) = link {
                    self.input(node, Input::Text { conn, text: &text });
                }
            }
            Event::Pong { node, conn, .. } => self.input(node, Input::Pong { conn }),
            Event::Hangs { node, conn, life } => {
                if self.conns.remove(&(node, life, conn)).is_some() {
                    self.input(node, Input::Closed { conn });
                }
            }
            Event::Down { user, tab, generation, text } => self.arrive(user, tab, generation, &text),
            Event::Broken { user, tab, generation } => self.broken(user, tab, generation),
            Event::Written { node, life, conn } => {
                if self.conns.contains_key(&(node, life, conn)) {
                    self.input(node, Input::Written { conn, frames: 1 });
                }
            }
            Event::Apply { node, life, line, request, whole } => {
                self.apply(node, life, line, request, whole);
            }
            Event::Answer { node, line, stored, .. } => {
                if self.nodes[node].line == line && self.nodes[node].owed.remove(&stored.id) {
                    self.tell(|| format!("node {node} <- {stored:?}"));
                    self.input(node, Input::Stored(&stored));
                }
            }
            Event::Woken { node, wake, .. } => self.input(node, Input::Woken(&wake)),
            Event::Way { node, way, .. } => self.input(node, Input::Store(way)),
            Event::Beat { node, run, .. } => self.beat(node, run),
            Event::Send { user, message } => self.send(user, message),
            Event::Strike(strike) => self.strike(strike),
            Event::Heals(strike) => self.heal(strike),
            Event::GoesOn { node } => self.go_on(node),
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(EPOCH_US + self.now_us)
    }

    fn input(&mut self, place: usize, input: Input<'_>) {
        let now = self.now();
        let node = &mut self.nodes[place];
        let Some(router) = &mut node.router else { return };
        let mut out = std::mem::take(&mut node.out);
        out.clear();
        router.handle(now, input, &mut out);
        node.inputs += 1;
        let checked =
            if node.inputs.is_multiple_of(LOOK_EVERY) { router.verify() } else { router.stats().check() };
        let deadline = router.next_deadline().map(|(at, _)| at.as_micros().saturating_sub(EPOCH_US));
        let life = node.life;
        if let Some(at_us) = deadline.filter(|at_us| *at_us < node.tick_at_us) {
            node.tick_at_us = at_us.max(self.now_us);
            let at_us = node.tick_at_us;
            self.set(at_us, Event::Tick { node: place, life });
        }
        if let Err(why) = checked {
            self.breach("stats", format!("node {place}: {why}"));
        }
        self.carry_out(place, life, &out);
        self.nodes[place].out = out;
    }

    fn carry_out(&mut self, node: usize, life: u32, out: &Effects) {
        for effect in out.iter() {
            match effect {
                Effect::Accepted { ticket, conn } => self.accepted(node, life, *ticket, *conn),
                Effect::Refused { ticket, .. } => {
                    if let Some((user, tab, generation)) = self.tickets.remove(&ticket.0) {
                        let at = self.now_us + self.net.from(100, 5_000);
                        self.set(at, Event::Broken { user, tab, generation });
                    }
                }
                Effect::Send { conn, frame } => self.sent(node, life, *conn, out.frame(*frame).as_str()),
                Effect::Ping { conn } => {
                    let at = self.now_us + self.net.from(400, 10_000);
                    self.set(at, Event::Pong { node, life, conn: *conn });
                }
                Effect::Close { conn, close } => {
                    let why = close.reason();
                    self.tell(|| format!("node {node} closes {conn:?}: {why}"));
                    if let Some((user, tab, generation)) = self.conns.get(&(node, life, *conn)).copied() {
                        let at = self.people[user].tabs[tab].down_at_us.max(self.now_us) + 500;
                        self.set(at, Event::Broken { user, tab, generation });
                    }
                    self.set(self.now_us + 1_000, Event::Hangs { node, life, conn: *conn });
                }
                Effect::StartRun(request) => {
                    self.tell(|| {
                        format!("node {node} starts {} for {}", request.run_id(), request.request_id)
                    });
                    if !self.begun.insert(request.run_id()) {
                        self.meet(Condition::RunAgain);
                    }
                    let agent = Agent::draw(&mut self.work);
                    let at = self.now_us + agent.script[0].0;
                    self.nodes[node].agents.insert(request.run, agent);
                    self.set(at, Event::Beat { node, life, run: request.run });
                }
                Effect::CancelRun { run, .. } => {
                    self.nodes[node].agents.remove(run);
                }
                Effect::PauseRun { run } => {
                    self.meet(Condition::AgentPaused);
                    if let Some(agent) = self.nodes[node].agents.get_mut(run) {
                        agent.is_paused = true;
                    }
                }
                Effect::ResumeRun { run } => {
                    if let Some(agent) = self.nodes[node].agents.get_mut(run) {
                        agent.is_paused = false;
                        if std::mem::take(&mut agent.is_due) {
                            self.set(self.now_us, Event::Beat { node, life, run: *run });
                        }
                    }
                }
                Effect::Store(request) => self.request(node, life, request),
                Effect::AgentRefused(refused) => {
                    self.breach("run.refused", format!("node {node}: {}", refused.why.name()));
                }
                Effect::Audit(_)
                | Effect::RunTool(_)
                | Effect::CancelTool(_)
                | Effect::ToolAnswered(_)
                | Effect::AskQuality(_)
                | Effect::Receipt(_)
                | Effect::Redriven(_)
                | Effect::Swept { .. }
                | Effect::Drained => {}
            }
        }
    }
}

/// What a seed's nodes and store have for limits: large ones are those of a node that is told nothing, small ones are met.
fn limits(plan: &mut Draw) -> ClusterConfig {
    let bounds = Bounds {
        log_events_max: plan.one_of(&[200, 200, 30]),
        fetch_events_max: plan.one_of(&[64, 64, 7]),
        ..Bounds::default()
    };
    ClusterConfig { bounds, pending_events_max: plan.one_of(&[64, 64, 4]), ..ClusterConfig::default() }
}

/// Takes a text into a hash (FNV-1a).
fn fold(hash: u64, text: &str) -> u64 {
    text.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
