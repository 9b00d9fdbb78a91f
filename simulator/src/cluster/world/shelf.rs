//! The way to the store and back, and the wakes.

use router::store::{Answer, Op, OpId, Request, Stored, Trouble, Wake};

use super::{Event, World};
use crate::{
    cluster::{fault::FaultKind, node::Node},
    store::Sent,
};

/// The longest that anything on its way is held up.
const LATEST_US: u64 = 3_000_000;
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
        // Whoever appends is not woken itself: others hear of it well ahead of its answer.
        let is_early = !wakes.is_empty() && self.happens(FaultKind::WakeEarly);
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
