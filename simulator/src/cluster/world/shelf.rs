//! The way to the store and back, the wakes, and what an onlooker at the store sees.

use std::collections::{BTreeMap, BTreeSet};

use router::store::{
    Admitted, Answer, Appended, Node as Name, Op, OpId, Request, RunId, Standing, Stored, Trouble, Wake,
};

use super::{Event, World};
use crate::{
    cluster::{Condition, fault::FaultKind, node::Node},
    store::Sent,
};

/// The longest that anything on its way is held up.
const LATEST_US: u64 = 3_000_000;
/// Two takers are those who ask so shortly after each other.
const TAKERS_US: u64 = 6_000_000;

/// What an onlooker knows of the store.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Until when each run is leased, milliseconds, and by which takeover.
    leases: BTreeMap<RunId, (u64, Option<(Name, OpId)>)>,
    /// Who took runs of a user last, and when.
    takers: BTreeMap<String, (Name, u64)>,
    /// When each event of a user got into the log, while nothing was wrong.
    logged: BTreeMap<(usize, u64), u64>,
    /// Scripts that the store has forgotten.
    forgotten: BTreeSet<&'static str>,
}

impl World<'_> {
    pub(super) fn happens(&mut self, kind: FaultKind) -> bool {
        let happens = self.befalls(kind);
        self.played.faults[kind as usize] += u32::from(happens);
        happens
    }

    /// The same for what only counts if something comes of it.
    fn befalls(&mut self, kind: FaultKind) -> bool {
        let befalls = self.faults.happens(kind, self.now_us);
        if befalls {
            self.disturb(LATEST_US);
        }
        befalls
    }

    /// A node asks the store.
    pub(super) fn request(&mut self, node: usize, life: u32, request: &Request) {
        self.tell(|| format!("node {node} -> {request:?}"));
        let (now_us, line) = (self.now_us, self.nodes[node].line);
        let id = request.id;
        self.nodes[node].owed.insert(id);
        if self.nodes[node].is_cut || self.away > 0 {
            let down = Trouble::Unavailable(router::store::Away::Down);
            return self.answer(node, life, line, id, Err(down), 50);
        }
        if self.happens(FaultKind::OpLost) {
            let delay = self.net.from(500_000, LATEST_US);
            return self.answer(node, life, line, id, Err(Trouble::InDoubt), delay);
        }
        let mut delay = self.net.from(30, 1_500);
        if matches!(request.op, Op::TakeOver { .. }) && self.befalls(FaultKind::TwoTakers) {
            // Its line is so slow that another may be first.
            delay += self.net.from(500_000, LATEST_US);
        }
        let state = &mut self.nodes[node];
        state.op_at_us = state.op_at_us.max(now_us + delay);
        let at = state.op_at_us;
        self.set(at, Event::Apply { node, life, line, request: Box::new(request.clone()), whole: false });
    }

    /// An operation reaches the store; `whole`: with the text of its script.
    pub(super) fn apply(&mut self, node: usize, life: u32, line: u32, request: Box<Request>, whole: bool) {
        // What was on its way when the line broke may still arrive, or not.
        let is_broken = self.nodes[node].line != line || self.nodes[node].life != life;
        if self.away > 0 || (is_broken && self.chance.one_in(2)) {
            return;
        }
        let script = request.op.name();
        if whole {
            self.watch.forgotten.remove(script);
        } else if self.watch.forgotten.contains(script) {
            // Not carried out. Its text is sent behind all that was sent before.
            self.played.faults[FaultKind::NoScript as usize] += 1;
            let delay = self.net.from(60, 3_000);
            let state = &mut self.nodes[node];
            state.op_at_us = state.op_at_us.max(self.now_us + delay);
            let at = state.op_at_us;
            return self.set(at, Event::Apply { node, life, line, request, whole: true });
        }
        self.played.operations += 1;
        let mut wakes: Vec<Sent> = Vec::new();
        let answer: Answer = self.store.apply(self.now(), &request, &mut wakes);
        self.tell(|| format!("store: node {node} {:?} -> {answer:?}", request.id));
        self.look_on(&request, &answer);
        let own = Node::name(node, life);
        let is_early =
            wakes.iter().any(|(name, _)| name.as_str() == own) && self.happens(FaultKind::WakeEarly);
        for (name, wake) in wakes {
            self.wake(name.as_str(), wake);
        }
        if self.happens(FaultKind::AnswerLost) {
            let delay = self.net.from(500_000, LATEST_US);
            return self.answer(node, life, line, request.id, Err(Trouble::InDoubt), delay);
        }
        if self.happens(FaultKind::AnswerLate) {
            let delay = self.net.from(10_000, LATEST_US);
            return self.answer(node, life, line, request.id, Ok(answer), delay);
        }
        let delay = if is_early { self.net.from(2_000, 500_000) } else { self.net.from(30, 1_500) };
        let state = &mut self.nodes[node];
        state.answer_at_us = state.answer_at_us.max(self.now_us + delay);
        let at = state.answer_at_us;
        let stored = Box::new(Stored { id: request.id, answer: Ok(answer) });
        self.set(at, Event::Answer { node, life, line, stored });
    }

    /// What the onlooker concludes of an answer.
    fn look_on(&mut self, request: &Request, answer: &Answer) {
        let lease_ms = self.now().as_micros() / 1_000 + self.limits.bounds.lease_ms;
        match (&request.op, answer) {
            (Op::Admit(admit), Answer::Admitted(Admitted::New)) => {
                self.watch.leases.insert(admit.run.clone(), (lease_ms, None));
            }
            (Op::Admit(admit), Answer::Admitted(Admitted::Known { run, mine: true, .. })) => {
                if *run == admit.run {
                    self.meet(Condition::AdmitKnown);
                }
            }
            (Op::Append(append), Answer::Appended(Appended::Logged { first })) => {
                let Some(user) = user_of(&append.user) else { return };
                if self.people[user].is_ambiguous(*first) {
                    self.meet(Condition::Overtaken);
                }
                if self.now_us >= self.calm_from_us {
                    let last = first + append.frames.len() as u64;
                    let now_us = self.now_us;
                    self.watch.logged.extend((*first..last).map(|cursor| ((user, cursor), now_us)));
                }
            }
            (Op::Append(_), Answer::Appended(appended)) => match appended {
                Appended::Known { first: Some(_), .. } => self.meet(Condition::AppendKnown),
                Appended::Known { first: None, .. } => self.meet(Condition::AppendUnplaced),
                Appended::Gap { .. } => self.meet(Condition::AppendGap),
                Appended::NoRun => self.meet(Condition::AppendNoRun),
                Appended::Fenced => self.meet(Condition::Fenced),
                Appended::Logged { .. } | Appended::Refused(_) => {}
            },
            (Op::Renew(renew), Answer::Renewed(renewed)) => {
                for ((run, _), standing) in renew.runs.iter().zip(&renewed.runs) {
                    if *standing == Standing::Held
                        && let Some((until, _)) = self.watch.leases.get_mut(run)
                    {
                        *until = lease_ms;
                    }
                }
            }
            (Op::TakeOver { user, node }, Answer::TakenOver(runs)) => {
                let taker = (node.clone(), request.id);
                for run in runs {
                    let lease = self.watch.leases.insert(run.run.clone(), (lease_ms, Some(taker.clone())));
                    let is_held = |(until, by): &(u64, Option<(Name, OpId)>)| {
                        by.as_ref() != Some(&taker) && *until + self.limits.bounds.lease_ms > lease_ms
                    };
                    if lease.as_ref().is_some_and(is_held) {
                        self.breach(
                            "run.lease",
                            format!("{} is taken by {node} while it is leased", run.run),
                        );
                    }
                }
                self.took(user, node, !runs.is_empty());
            }
            (Op::Raise { .. }, Answer::Raised { raised: true, .. }) => self.meet(Condition::Raised),
            _ => {}
        }
    }

    /// Somebody asked for a user's runs, and got some or none.
    fn took(&mut self, user: &str, node: &Name, any: bool) {
        let last = self.watch.takers.get(user);
        let is_second = last.is_some_and(|(name, at_us)| name != node && at_us + TAKERS_US > self.now_us);
        self.played.faults[FaultKind::TwoTakers as usize] += u32::from(is_second);
        if any {
            self.meet(Condition::TakenOver);
            self.watch.takers.insert(user.to_owned(), (node.clone(), self.now_us));
        }
    }

    /// How long ago that event of the user got into the log, if nothing that went wrong can have held it up.
    pub(super) fn age_us(&self, user: usize, cursor: u64) -> Option<(u64, u64)> {
        let at_us = self.watch.logged.get(&(user, cursor)).copied()?;
        (at_us >= self.calm_from_us).then(|| (at_us, self.now_us - at_us))
    }

    /// The store is another process, or was told to.
    pub(super) fn forget_scripts(&mut self) {
        // Holds, and reads of them, are plain commands.
        const SCRIPTS: [&str; 11] = [
            "admit",
            "append",
            "attach",
            "detach",
            "renew",
            "take_over",
            "acknowledge",
            "raise",
            "heartbeat",
            "release",
            "forget",
        ];
        self.watch.forgotten.extend(SCRIPTS);
    }

    /// The store lost its tail: what the onlooker had seen of leases is not what the store has.
    pub(super) fn forget_leases(&mut self) {
        self.watch.leases.clear();
    }

    pub(super) fn answer(
        &mut self,
        node: usize,
        life: u32,
        line: u32,
        id: OpId,
        answer: Result<Answer, Trouble>,
        delay_us: u64,
    ) {
        let stored = Box::new(Stored { id, answer });
        self.set(self.now_us + delay_us, Event::Answer { node, life, line, stored });
    }

    pub(super) fn wake(&mut self, name: &str, wake: Wake) {
        let place = self.nodes.iter().enumerate().position(|(n, node)| Node::name(n, node.life) == name);
        let Some(node) = place else { return };
        let life = self.nodes[node].life;
        if self.nodes[node].is_cut || self.happens(FaultKind::WakeLost) {
            return;
        }
        let copies = 1 + u32::from(self.happens(FaultKind::WakeDoubled));
        for _ in 0..copies {
            let late = self.happens(FaultKind::WakeLate);
            let delay = if late { self.net.from(5_000, LATEST_US) } else { self.net.from(20, 1_500) };
            let wake = Box::new(wake.clone());
            self.set(self.now_us + delay, Event::Woken { node, life, wake });
        }
    }
}

/// The number of the user of that name.
fn user_of(name: &str) -> Option<usize> {
    name.strip_prefix("user-")?.parse().ok()
}
