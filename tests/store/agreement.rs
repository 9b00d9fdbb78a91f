//! The scripts and the model give equal answers and equal wakes.

use std::{collections::BTreeMap, env};

use router::store::{Append, Bounds, Node, Op, OpId, PSEUDO_EPOCH, Request, Wake};
use router_server::store::{StoreClock, StoreConfig};
use simulator::store::{Model, Sent};

use crate::{
    node::Connected,
    sequence::{self, NODES, Step, bounds},
    server::Server,
};

/// Sequences when nothing else is said.
const SEQUENCES: u64 = 300;
/// Sequences on the cluster, which differ from the others in nothing but the slots.
const CLUSTER_SEQUENCES: u64 = 60;
/// What a sort of outcome must be met at least once in so many sequences.
const OUTCOMES: [&str; 29] = [
    "acknowledged",
    "admitted Known",
    "admitted Known mine",
    "admitted New",
    "admitted Quota",
    "admitted RunTaken",
    "admitted Runs",
    "appended CursorsUsedUp",
    "appended Ended",
    "appended Fenced",
    "appended Gap",
    "appended Known",
    "appended Known again",
    "appended Logged",
    "appended Malformed",
    "appended NoRun",
    "appended TooLarge",
    "attached",
    "attached gap",
    "attached more",
    "attached nothing beyond",
    "hints 2",
    "nodes, 1 dead",
    "raised false",
    "raised true",
    "renewed Some(Ended)",
    "renewed Some(Fenced)",
    "renewed Some(Held)",
    "taken over 2",
];
/// All that scripts and connections may use: each works on one key, or on keys of one slot, and none looks through them all.
const COMMANDS: &[&str] = &[
    "client|setinfo",
    "cluster|addslotsrange",
    "cluster|info",
    "del",
    "eval",
    "evalsha",
    "exists",
    "flushall",
    "hdel",
    "hello",
    "hget",
    "hgetall",
    "hlen",
    "hmget",
    "hset",
    "hstrlen",
    "info",
    "pexpire",
    "ping",
    "publish",
    "script|load",
    "subscribe",
    "xadd",
    "xdel",
    "xrange",
    "zadd",
    "zcard",
    "zpopmin",
    "zrange",
    "zrangebyscore",
    "zrem",
    "zscore",
];

/// What came of a sequence, in words that two stores must share.
type Course = (Vec<String>, BTreeMap<String, Vec<Wake>>);

/// The nodes, each with connections of its own. The first one asks for all: operations of several connections have no
/// order.
struct Nodes(Vec<Connected>);

impl Nodes {
    async fn connect(server: &Server) -> Self {
        let config =
            StoreConfig { bounds: bounds(), clock: StoreClock::Given, ..StoreConfig::new(server.url()) };
        let mut nodes = Vec::new();
        for name in NODES {
            nodes.push(Connected::new(config.clone(), name).await);
        }
        Self(nodes)
    }

    /// Plays a sequence on the server, which is empty at first.
    async fn play(&mut self, server: &Server, steps: &[Step]) -> Course {
        assert_eq!(server.command(&["FLUSHALL"]), "+OK\r\n");
        self.0.iter_mut().for_each(|node| (node.answers, node.wakes) = (Vec::new(), Vec::new()));
        let ends = last_of_all(steps);
        for step in steps.iter().chain(&ends) {
            self.0[0].ask_at(step.at, step.request.clone());
        }
        let all = steps.len() + ends.len();
        self.0[0].until(|node| node.answers.len() == all).await;
        let mut wakes = BTreeMap::new();
        for (node, name) in self.0.iter_mut().zip(NODES) {
            let is_last = |wake: &Wake| &*wake.user == LAST;
            node.until(|node| node.wakes.last().is_some_and(is_last)).await;
            node.wakes.pop();
            wakes.insert(name.to_owned(), node.wakes.clone());
        }
        let answers = self.0[0].answers.iter().take(steps.len());
        (answers.map(|stored| format!("{:?} {:?}", stored.id, stored.answer)).collect(), wakes)
    }
}

/// A user of whom no sequence knows: a wake of theirs is the last one.
const LAST: &str = "last of all";

fn last_of_all(steps: &[Step]) -> Vec<Step> {
    let at = steps.last().expect("a step").at;
    let op = |op: Op| Step { at, request: Request { id: OpId(u64::from(u32::MAX)), op } };
    let node = |name: &str| Node::new(name).expect("a name");
    let mut ends: Vec<Step> =
        NODES.iter().map(|name| op(Op::Attach { user: LAST.into(), node: node(name), from: None })).collect();
    ends.push(op(Op::Append(Append {
        user: LAST.into(),
        // None of them: who appends is not woken.
        node: node("another"),
        run: "_".into(),
        epoch: PSEUDO_EPOCH,
        first_seq: 1,
        frames: vec!["the end".into()],
        note: None,
        ends: false,
    })));
    ends
}

/// Plays a sequence on the model.
fn modelled(steps: &[Step], came_across: &mut BTreeMap<String, u64>) -> Course {
    let mut model = Model::new(bounds());
    let mut sent: Vec<Sent> = Vec::new();
    let mut answers = Vec::new();
    for step in steps {
        let answer = model.apply(step.at, &step.request, &mut sent);
        *came_across.entry(sequence::outcome(&answer)).or_default() += 1;
        answers.push(format!("{:?} {:?}", step.request.id, Ok::<_, router::store::Trouble>(answer)));
    }
    let mut wakes: BTreeMap<String, Vec<Wake>> =
        NODES.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
    for (node, wake) in sent {
        wakes.entry(node.to_string()).or_default().push(wake);
    }
    (answers, wakes)
}

/// The first difference of two courses, for people.
fn difference(model: &Course, server: &Course) -> Option<String> {
    let answers = model.0.iter().zip(&server.0).enumerate().find(|(_, (model, server))| model != server);
    if let Some((n, (model, server))) = answers {
        return Some(format!("step {n}\n  model  {model}\n  server {server}"));
    }
    let wakes = NODES.iter().find(|name| model.1[**name] != server.1[**name])?;
    Some(format!("wakes of {wakes}\n  model  {:?}\n  server {:?}", model.1[*wakes], server.1[*wakes]))
}

/// Leaves out what the difference does not need.
async fn shrink(nodes: &mut Nodes, server: &Server, mut steps: Vec<Step>) -> Vec<Step> {
    let mut at = steps.len();
    while at > 0 {
        at -= 1;
        let mut fewer = steps.clone();
        fewer.remove(at);
        if !fewer.is_empty() {
            let courses = (modelled(&fewer, &mut BTreeMap::new()), nodes.play(server, &fewer).await);
            if difference(&courses.0, &courses.1).is_some() {
                steps = fewer;
            }
        }
    }
    steps
}

async fn agree(server: &Server, sequences: u64) -> BTreeMap<String, u64> {
    let mut nodes = Nodes::connect(server).await;
    let mut came_across = BTreeMap::new();
    for number in 0..sequences {
        let steps = sequence::nth(number);
        let model = modelled(&steps, &mut came_across);
        let played = nodes.play(server, &steps).await;
        if difference(&model, &played).is_some() {
            let steps = shrink(&mut nodes, server, steps).await;
            let courses = (modelled(&steps, &mut BTreeMap::new()), nodes.play(server, &steps).await);
            let lines: Vec<String> =
                steps.iter().map(|step| format!("{:?} {:?}", step.at, step.request)).collect();
            let difference = difference(&courses.0, &courses.1).unwrap_or("it agrees by itself".into());
            panic!("sequence {number}: {difference}\nof\n{}", lines.join("\n"));
        }
    }
    came_across
}

fn assert_commands(server: &Server) {
    let used = server.commands_used();
    let unknown: Vec<&String> = used.iter().filter(|name| !COMMANDS.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "commands that the store was not to use: {unknown:?}");
    // What is too much was taken away: by events, by ids, by ended runs.
    for name in ["evalsha", "xdel", "zpopmin", "zrange", "zrem", "publish"] {
        assert!(used.iter().any(|used| used == name), "no script came to use {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_and_model_agree() {
    let asked = env::var("GOLDENPATH_STORE_SEQUENCES").ok();
    let asked = asked.map(|asked| asked.parse().expect("GOLDENPATH_STORE_SEQUENCES: a number"));
    let server = Server::start(&[]);
    let sequences = asked.unwrap_or(SEQUENCES);
    let came_across = agree(&server, sequences).await;
    println!("{sequences} sequences, {} operations", came_across.values().sum::<u64>());
    for (outcome, times) in &came_across {
        println!("{times:9}  {outcome}");
    }
    if sequences >= SEQUENCES {
        let missing: Vec<_> = OUTCOMES
            .iter()
            .filter(|wanted| !came_across.keys().any(|outcome| outcome.eq_ignore_ascii_case(wanted)))
            .collect();
        assert!(missing.is_empty(), "no sequence came across {missing:?}");
    }
    assert_commands(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_stays_in_one_slot_of_a_cluster() {
    let server = Server::start_cluster();
    agree(&server, CLUSTER_SEQUENCES).await;
    assert_commands(&server);
}

#[test]
fn the_bounds_of_the_sequences_make_sense() {
    assert_eq!(bounds().check(), Ok(()));
    assert_ne!(bounds(), Bounds::default());
}
