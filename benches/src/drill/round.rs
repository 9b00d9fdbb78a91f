//! One round: a crowd, a fault, rest.

use std::{
    thread,
    time::{Duration, Instant},
};

use simulator::plan::Plan;

use super::{
    ACCEPTED_MIN, DrillOptions, Fault, OPEN_MIN, Tally,
    crowd::{Crowd, Phase},
};
use crate::{
    load::{Address, Target},
    stage::{Flow, Node, Redis, StageError, Wire},
};

/// Nodes.
const NODES: usize = 2;
/// How long a crowd may take until there is enough to break.
const WARM_UP: Duration = Duration::from_secs(30);
/// How long everything may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a draining node may take.
const DRAIN: Duration = Duration::from_secs(60);
/// A node that was killed is back after so long; Redis, after half of it.
const BACK: Duration = Duration::from_secs(1);
/// How long a node cannot reach Redis.
const CUT: Duration = Duration::from_secs(3);
/// How long the crowd talks on when everything is there again.
const TALK: Duration = Duration::from_secs(1);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(10);
/// A round that had not enough to break is played again so often.
const TRIES: u32 = 3;

/// Two nodes on one Redis, over wires that can be cut.
pub(super) struct Drill<'o> {
    options: &'o DrillOptions,
    plan: Plan,
    redis: Redis,
    wires: Vec<Wire>,
    nodes: Vec<Node>,
    /// Rounds so far, those that are played again included.
    rounds: u32,
}

impl<'o> Drill<'o> {
    pub(super) fn begin(options: &'o DrillOptions) -> Result<Self, StageError> {
        let redis = Redis::start(&options.redis_server, &Redis::STRICT)?;
        let wires = (0..NODES).map(|_| Wire::to(redis.address())).collect::<Result<Vec<_>, _>>()?;
        let plan = Plan::new(options.scenario.clone(), options.seed);
        let mut drill = Self { options, plan, redis, wires, nodes: Vec::new(), rounds: 0 };
        for number in 0..NODES {
            let node = drill.node(number, "127.0.0.1:0")?;
            drill.nodes.push(node);
        }
        Ok(drill)
    }

    /// A node at the end of that wire.
    fn node(&self, wire: usize, listen: &str) -> Result<Node, StageError> {
        let options = self.options;
        let redis = format!("redis://{}/", self.wires[wire].address());
        let (seed, lease) = (options.seed.to_string(), options.lease_ms.map(|lease| lease.to_string()));
        let mut args = vec!["--development-key", "--listen", listen, "--redis", &redis];
        args.extend(["--scenario", &options.scenario.name, "--seed", &seed]);
        if let Some(lease) = &lease {
            args.extend(["--lease-ms", lease]);
        }
        Node::start(&options.program, &args)
    }

    fn address(&self, node: usize) -> Result<Address, StageError> {
        let resolved = Address::resolve(&Target::new(self.nodes[node].url()), "/ws");
        resolved.map_err(|error| StageError::new("a node", error))
    }

    /// Plays a round until it counts, or was tried often enough.
    pub(super) fn play(&mut self, fault: Fault, number: u32) -> Result<Tally, StageError> {
        let mut tally = self.try_round(fault, number)?;
        for _ in 1..TRIES {
            if tally.counts() || !tally.breaches.is_empty() {
                break;
            }
            tally = self.try_round(fault, number)?;
        }
        Ok(tally)
    }

    fn try_round(&mut self, fault: Fault, number: u32) -> Result<Tally, StageError> {
        let nodes = (0..NODES).map(|node| self.address(node)).collect::<Result<Vec<_>, _>>()?;
        let crowd = Crowd::gather(&self.plan, self.rounds, nodes)?;
        self.rounds += 1;
        let begin = Instant::now();
        let is_full = || {
            let (accepted, open) = crowd.board.levels();
            accepted >= ACCEPTED_MIN && open >= OPEN_MIN
        };
        while !is_full() && begin.elapsed() < WARM_UP {
            thread::sleep(LOOK);
        }
        // Not always right when there is enough: another fraction of the second in each round.
        thread::sleep(Duration::from_millis(u64::from(number * 37 % 100) * 5));
        let (accepted, open) = crowd.board.levels();
        let struck = Instant::now();
        crowd.board.tell(Phase::Struck);
        self.strike(fault, number, &crowd)?;
        let healed = struck.elapsed();
        thread::sleep(TALK);
        crowd.board.tell(Phase::Settles);
        while !crowd.board.is_at_rest() && struck.elapsed() < PATIENCE {
            thread::sleep(LOOK);
        }
        // Whatever comes unasked after the end comes now.
        thread::sleep(LOOK * 20);
        let outcome = crowd.leave()?;
        Ok(Tally {
            fault,
            number,
            accepted_then: accepted,
            open_then: open,
            healed,
            recovered: outcome.recovered,
            accepted: outcome.accepted,
            lost: outcome.lost,
            unsettled: outcome.unsettled,
            repeats: outcome.repeats,
            node_lost: outcome.node_lost,
            connections_lost: outcome.connections_lost,
            frames: outcome.frames,
            breaches: outcome.breaches,
            at: begin.elapsed(),
        })
    }

    /// Breaks something, and waits until it is whole again.
    fn strike(&mut self, fault: Fault, number: u32, crowd: &Crowd) -> Result<(), StageError> {
        let (victim, half) = (number as usize % NODES, number as usize / NODES);
        match fault {
            Fault::KillNode => {
                let listen = self.nodes[victim].address().to_owned();
                self.nodes[victim].kill();
                thread::sleep(BACK);
                self.nodes[victim] = self.node(victim, &listen)?;
            }
            Fault::KillRedis => {
                self.redis.kill();
                thread::sleep(BACK / 2);
                if !self.redis.restart(&[])? {
                    return Err(StageError::new("redis-server", "does not start again"));
                }
            }
            Fault::CutRedis => {
                let flow = if half.is_multiple_of(2) { Flow::Cut } else { Flow::Stands };
                self.wires[victim].set(flow);
                thread::sleep(CUT);
                self.wires[victim].set(Flow::Passes);
            }
            Fault::DrainNode => {
                let new = self.node(victim, "127.0.0.1:0")?;
                let mut old = std::mem::replace(&mut self.nodes[victim], new);
                crowd.board.moved(victim, self.address(victim)?);
                if !old.terminate() {
                    return Err(StageError::new("a node", "cannot be asked to drain"));
                }
                let begin = Instant::now();
                let status = loop {
                    match old.ended() {
                        Some(status) => break status,
                        None if begin.elapsed() > DRAIN => {
                            return Err(StageError::new("a node", "does not end its drain"));
                        }
                        None => thread::sleep(LOOK),
                    }
                };
                if !status.success() {
                    return Err(StageError::new("a node that drained ended with", status));
                }
            }
        }
        Ok(())
    }
}
