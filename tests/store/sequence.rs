//! Random sequences of operations: several users, nodes, runs and epochs, times that fall on the edges of all bounds, and
//! operations that are asked again.

use std::{collections::BTreeMap, sync::Arc};

use router::{
    Instant,
    store::{
        Admit, Admitted, Answer, Append, Appended, Attached, Bounds, CURSOR_MAX, EVENTS_MAX, Event, Node, Op,
        OpId, PSEUDO_EPOCH, RAISE_BY, Renew, Request, TakenRun,
    },
};
use simulator::{
    prng::{Domain, Prng},
    store::{Model, Sent},
};

/// An operation, and what time it is.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) at: Instant,
    pub(crate) request: Request,
}

/// Bounds so small that a short sequence meets all of them.
pub(crate) fn bounds() -> Bounds {
    Bounds {
        log_events_max: 9,
        log_bytes_max: 300,
        log_ttl_ms: 3_000,
        user_ttl_ms: 9_000,
        fetch_events_max: 4,
        lease_ms: 600,
        attach_ms: 1_000,
        alive_ms: 600,
        runs_max: 3,
        notes_bytes_max: 60,
        ended_runs_max: 2,
        ended_ttl_ms: 2_000,
        dedupe_ids_max: 2,
        dedupe_ttl_ms: 2_500,
        page_max: 2,
    }
}

/// Pauses between operations: none, next to none, and the edges of the bounds.
const PAUSES_MS: [u64; 22] = [
    0, 0, 0, 0, 0, 1, 1, 2, 10, 100, 250, 599, 600, 601, 999, 1_000, 1_999, 2_000, 2_500, 3_000, 8_999, 9_000,
];
const PAUSE_WEIGHTS: [u32; 22] =
    [20, 20, 20, 20, 20, 10, 10, 10, 20, 30, 20, 4, 6, 4, 3, 4, 4, 2, 2, 2, 1, 1];
/// The clock when a sequence begins, milliseconds.
const START_MS: u64 = 1_700_000_000_000;

/// The nodes of all sequences.
pub(crate) const NODES: [&str; 3] = ["n1#a", "n2#b", "n3#c"];
/// Among them one whose text is longer in the encoded form, and one that no URL could carry.
const USERS: [&str; 3] = ["ada", "b{x}:é", "zoë~/+?"];

/// The sequence of a number: the same for ever.
pub(crate) fn nth(number: u64) -> Vec<Step> {
    let mut maker = Maker::new(number);
    let length = maker.prng.range(20..=90);
    (0..length).for_each(|_| maker.step());
    maker.steps
}

/// What a node believes of a run.
#[derive(Clone, Debug)]
struct Belief {
    epoch: u64,
    seq: u64,
}

struct Maker {
    prng: Prng,
    now_ms: u64,
    steps: Vec<Step>,
    /// What the operations so far came to, so that later ones make sense.
    model: Model,
    wakes: Vec<Sent>,
    /// What each node believes of runs: user, node, run.
    beliefs: BTreeMap<(usize, usize, String), Belief>,
    runs: u64,
    ids: u64,
}

impl Maker {
    fn new(number: u64) -> Self {
        Self {
            prng: Prng::stream(number, Domain::Store, 0),
            now_ms: START_MS,
            steps: Vec::new(),
            model: Model::new(bounds()),
            wakes: Vec::new(),
            beliefs: BTreeMap::new(),
            runs: 0,
            ids: 0,
        }
    }

    fn step(&mut self) {
        self.now_ms += PAUSES_MS[self.prng.weighted(&PAUSE_WEIGHTS)];
        let again = self.prng.chance(0.12).then(|| self.any_before()).flatten();
        let request = again.unwrap_or_else(|| {
            let op = self.op();
            self.ids += 1;
            Request { id: OpId(self.ids), op }
        });
        let at = Instant::from_micros(self.now_ms * 1_000 + self.prng.below(1_000));
        let answer = self.model.apply(at, &request, &mut self.wakes);
        self.learn(&request.op, &answer);
        self.steps.push(Step { at, request });
    }

    /// An operation that was asked before: mostly a late one.
    fn any_before(&mut self) -> Option<Request> {
        let back = self.prng.below(8.min(self.steps.len() as u64)) as usize;
        self.steps.iter().rev().nth(back).map(|step| step.request.clone())
    }

    fn op(&mut self) -> Op {
        let (u, n) = (self.prng.below(3) as usize, self.prng.below(3) as usize);
        let (user, node) = (Arc::from(USERS[u]), named(n));
        match self.prng.weighted(&[14, 40, 10, 3, 9, 7, 6, 2, 4, 3, 3, 3, 1]) {
            0 => self.admit(u, n),
            1 => self.append(u, n),
            2 => Op::Attach { user, node, from: self.position() },
            3 => Op::Detach { user, node },
            4 => self.renew(u, n),
            5 => Op::TakeOver { user, node },
            6 => Op::Acknowledge { user, cursor: self.position().unwrap_or(3) },
            7 => {
                let seen =
                    [0, 5, 40, 40, 2_000_000, CURSOR_MAX - RAISE_BY, CURSOR_MAX - RAISE_BY + 1, u64::MAX];
                Op::Raise { user, seen: seen[self.prng.below(seen.len() as u64) as usize] }
            }
            8 => Op::Heartbeat { node },
            9 => Op::Hold { node, user },
            10 => Op::Release { node, user, hold: OpId(self.prng.range(0..=self.ids)) },
            11 => Op::Held { node, after: OpId(self.prng.range(0..=self.ids)) },
            _ => Op::Forget { node },
        }
    }

    fn position(&mut self) -> Option<u64> {
        match self.prng.weighted(&[3, 10, 3, 1]) {
            0 => None,
            1 => Some(self.prng.below(20)),
            2 => Some(self.prng.below(60)),
            _ => Some(self.prng.next_u64() >> self.prng.below(64)),
        }
    }

    fn admit(&mut self, u: usize, n: usize) -> Op {
        let known = self.any_run(u);
        let run = match known {
            Some(run) if self.prng.chance(0.15) => run,
            Some(_) | None => {
                self.runs += 1;
                format!("run {}", self.runs)
            }
        };
        let message_id = self.prng.chance(0.8).then(|| format!("m{}", self.prng.below(7)).into());
        Op::Admit(Admit {
            user: USERS[u].into(),
            node: named(n),
            run: run.into(),
            message_id,
            note: self.bytes(25).into(),
        })
    }

    fn append(&mut self, u: usize, n: usize) -> Op {
        let pseudo = self.prng.chance(0.2);
        let run =
            if pseudo { format!("_{}", NODES[n]) } else { self.any_run(u).unwrap_or("nobody's".into()) };
        let own = self.beliefs.get(&(u, n, run.clone())).cloned();
        // Mostly the owner appends; somebody else's belief is an epoch that was or that will be.
        let other = (0..3).find_map(|n| self.beliefs.get(&(u, n, run.clone())).cloned());
        let belief = own.or(other).unwrap_or(Belief { epoch: 1, seq: 0 });
        let epoch = match self.prng.weighted(&[30, 1, 1]) {
            0 if pseudo => PSEUDO_EPOCH,
            0 => belief.epoch,
            1 => belief.epoch + 1,
            _ => self.prng.below(3),
        };
        let first_seq = match self.prng.weighted(&[30, 4, 3, 1]) {
            0 => belief.seq + 1,
            1 => belief.seq.saturating_sub(self.prng.below(5)),
            2 => belief.seq + 1 + self.prng.range(1..=3),
            _ => self.prng.below(20),
        };
        let many = [1, 1, 1, 2, 3, 5, EVENTS_MAX as u64, 17, 0];
        let many = many[self.prng.weighted(&[20, 20, 20, 10, 8, 4, 1, 1, 1])];
        Op::Append(Append {
            user: USERS[u].into(),
            node: named(n),
            run: run.into(),
            epoch,
            first_seq,
            frames: (0..many).map(|_| self.frame().into()).collect(),
            note: self.prng.chance(0.15).then(|| self.bytes(70).into()),
            ends: self.prng.chance(0.12),
        })
    }

    fn frame(&mut self) -> Vec<u8> {
        let longest = [0, 12, 80, 300, 301];
        let longest = longest[self.prng.weighted(&[1, 20, 8, 1, 1])];
        match longest {
            300 | 301 => vec![b'x'; longest as usize],
            _ => self.bytes(longest),
        }
    }

    /// Bytes of all sorts.
    fn bytes(&mut self, longest: u64) -> Vec<u8> {
        let length = self.prng.range(0..=longest);
        (0..length).map(|_| self.prng.next_u64() as u8).collect()
    }

    fn renew(&mut self, u: usize, n: usize) -> Op {
        let mut runs = Vec::new();
        for _ in 0..self.prng.below(4) {
            let Some(run) = self.any_run(u) else { break };
            let epoch = self.beliefs.get(&(u, n, run.clone())).map_or(1, |belief| belief.epoch);
            runs.push((run.into(), epoch));
        }
        Op::Renew(Renew { user: USERS[u].into(), node: named(n), attached: self.prng.chance(0.5), runs })
    }

    fn any_run(&mut self, u: usize) -> Option<String> {
        let runs: Vec<&String> = self.beliefs.keys().filter(|key| key.0 == u).map(|key| &key.2).collect();
        let recent = runs.len().saturating_sub(1 + self.prng.below(3) as usize);
        let any = self.prng.below(runs.len() as u64) as usize;
        let at = if self.prng.chance(0.6) { recent } else { any };
        runs.get(at).map(|run| (*run).clone())
    }

    fn learn(&mut self, op: &Op, answer: &Answer) {
        let at = |name: &str| USERS.iter().position(|user| *user == name).unwrap_or(0);
        let of = |node: &Node| NODES.iter().position(|name| *name == node.as_str()).unwrap_or(0);
        match (op, answer) {
            (Op::Admit(admit), Answer::Admitted(Admitted::New | Admitted::Known { .. })) => {
                let key = (at(&admit.user), of(&admit.node), admit.run.to_string());
                self.beliefs.entry(key).or_insert(Belief { epoch: 1, seq: 0 });
            }
            (Op::Append(append), Answer::Appended(Appended::Logged { .. })) => {
                let seq = append.first_seq + append.frames.len() as u64 - 1;
                let key = (at(&append.user), of(&append.node), append.run.to_string());
                self.beliefs.insert(key, Belief { epoch: append.epoch, seq });
            }
            (Op::Append(append), Answer::Appended(Appended::Gap { have } | Appended::Known { have, .. })) => {
                let key = (at(&append.user), of(&append.node), append.run.to_string());
                self.beliefs.insert(key, Belief { epoch: append.epoch, seq: *have });
            }
            (Op::TakeOver { user, node }, Answer::TakenOver(runs)) => {
                for TakenRun { run, epoch, seq, .. } in runs {
                    let key = (at(user), of(node), run.to_string());
                    self.beliefs.insert(key, Belief { epoch: *epoch, seq: *seq });
                }
            }
            _ => {}
        }
    }
}

fn named(n: usize) -> Node {
    Node::new(NODES[n]).expect("a name of a node")
}

/// A sort of outcome, for the table of what the sequences came across.
pub(crate) fn outcome(answer: &Answer) -> String {
    match answer {
        Answer::Attached(Attached { events, first, from, upto, cur, expired_runs, .. }) => {
            let gap = events.first().map_or(from < upto, |event: &Event| event.cursor > from + 1);
            let beyond = from > cur;
            format!(
                "attached{}{}{}{}{}",
                if events.is_empty() { " nothing" } else { "" },
                if gap { " gap" } else { "" },
                if upto < cur { " more" } else { "" },
                if beyond { " beyond" } else { "" },
                if *expired_runs > 0 { " expired runs" } else { "" },
            ) + if first > cur { " empty log" } else { "" }
        }
        Answer::Admitted(admitted) => format!("admitted {}", word(admitted)),
        Answer::Appended(appended) => format!("appended {}", word(appended)),
        Answer::Renewed(renewed) => format!("renewed {:?}", renewed.runs.last()),
        Answer::TakenOver(runs) => format!("taken over {}", runs.len().min(2)),
        Answer::Raised { raised, .. } => format!("raised {raised}"),
        Answer::Nodes(nodes) => format!("nodes, {} dead", nodes.dead.len()),
        Answer::Hints(hints) => format!("hints {}", hints.len()),
        Answer::Detached
        | Answer::Acknowledged { .. }
        | Answer::Holding
        | Answer::Released
        | Answer::Forgotten => word(answer),
    }
}

/// The first words of how it shows itself, without values.
fn word(answer: &dyn std::fmt::Debug) -> String {
    let text = format!("{answer:?}");
    let mine = if text.contains("mine: true") { " mine" } else { "" };
    let found = if text.contains("first: Some") { " again" } else { "" };
    let inner = text.strip_prefix("Refused(").unwrap_or(&text);
    let end = inner.find(|c: char| !c.is_alphanumeric()).unwrap_or(inner.len());
    format!("{}{mine}{found}", &inner[..end])
}
