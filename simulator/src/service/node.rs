//! The node as a server: who is served, who waits, and how long everything takes.

use std::collections::VecDeque;

use reports::{Distribution, Domain, Metric, Unit};
use router::{Effect, FrameIx};

use super::Load;
use crate::network::Event;
use crate::scenario::Service;

/// The node.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// `None`: everything takes no time.
    service: Option<Service>,
    /// When it is done with what it does, nanoseconds since the world began.
    free_ns: u64,
    /// What came while it was busy, and when, microseconds.
    waiting: VecDeque<(u64, Event)>,
    /// When what it serves now came in, if that had to wait.
    came_us: Option<u64>,
    times: NodeTimes,
}

/// What the model measured.
#[derive(Clone, Debug, Default)]
pub struct NodeTimes {
    /// From an input's coming in to its turn, microseconds.
    pub wait: Distribution,
    /// From an input's coming in to the leaving of a frame that it caused, microseconds, rounded up.
    pub transit: Distribution,
    /// The same, for the first recipient of a frame that several get.
    pub first: Distribution,
    /// The same, for the last.
    pub last: Distribution,
    /// How long the node worked, nanoseconds.
    pub busy_ns: u64,
}

/// One input on its way through the node.
#[derive(Debug)]
pub(crate) struct Pass {
    /// When it came in, microseconds.
    came_us: u64,
    /// The frame of the effect before, and how many got it so far.
    frame: Option<(FrameIx, u32)>,
    /// Until when the recipient before was served, nanoseconds.
    served_ns: u64,
}

impl Node {
    pub(crate) fn new(service: Option<Service>) -> Self {
        Self { service, ..Self::default() }
    }

    /// Whether anything takes time here.
    pub(crate) const fn takes_time(&self) -> bool {
        self.service.is_some()
    }

    /// The time at which something due at `at_us` can be taken up, microseconds.
    #[inline]
    pub(crate) fn not_before(&self, at_us: u64) -> u64 {
        at_us.max(self.free_us())
    }

    /// When the turn of the first that waits has come.
    #[inline]
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.waiting.front().map(|_| self.free_us())
    }

    /// Keeps an event that has come until its turn, if it is for the node and the node is busy; else true.
    #[inline]
    pub(crate) fn admits(&mut self, now_us: u64, event: Event) -> bool {
        if self.service.is_none() || !event.is_for_node() {
            return true;
        }
        if self.free_us() <= now_us && self.waiting.is_empty() {
            self.times.wait.record(0);
            return true;
        }
        self.waiting.push_back((now_us, event));
        false
    }

    /// The event whose turn has come.
    pub(crate) fn next(&mut self, now_us: u64) -> Option<Event> {
        let (came_us, event) = self.waiting.pop_front()?;
        self.times.wait.record(now_us - came_us);
        self.came_us = Some(came_us);
        Some(event)
    }

    /// The event that was served is over: what follows was not waiting.
    #[inline]
    pub(crate) fn served(&mut self) {
        self.came_us = None;
    }

    /// Takes in an input. What happens in the same breath as another, such as the answer of an embedded service, is served
    /// right after it.
    #[inline]
    pub(crate) fn begin(&mut self, now_us: u64) -> Pass {
        let came_us = self.came_us.unwrap_or(now_us);
        if let Some(service) = self.service {
            self.free_ns = self.free_ns.max(now_us * 1_000);
            self.work(service.hop.ns());
        }
        Pass { came_us, frame: None, served_ns: 0 }
    }

    /// Carries out an effect; the time at which what it sends leaves, microseconds.
    #[inline]
    pub(crate) fn effect(
        &mut self,
        now_us: u64,
        pass: &mut Pass,
        effect: &Effect,
        load: Load,
        waited: bool,
    ) -> u64 {
        let Some(service) = self.service else { return now_us };
        let copied = load.copied.map_or(0, |bytes| service.copy.ns() + bytes * service.kib.ns() / 1_024);
        let queued = if waited { service.queue_pass.ns() } else { 0 };
        self.work(service.effect.ns() + copied + queued);
        if let Effect::Send { frame, .. } = effect {
            self.sent(pass, *frame);
        }
        self.free_us()
    }

    /// The last effect of an input is done.
    #[inline]
    pub(crate) fn end(&mut self, pass: &mut Pass) {
        if let Some((_, recipients)) = pass.frame.take()
            && recipients > 1
        {
            self.times.last.record(since(pass.came_us, pass.served_ns));
        }
    }

    /// Another node takes its place, which has nothing to do yet. What waited is for it to turn away.
    pub(crate) fn is_another(&mut self, now_us: u64) {
        self.free_ns = self.free_ns.min(now_us * 1_000);
    }

    /// What was measured.
    pub(crate) fn into_times(self) -> Option<NodeTimes> {
        self.service.is_some().then_some(self.times)
    }

    fn sent(&mut self, pass: &mut Pass, frame: FrameIx) {
        self.times.transit.record(since(pass.came_us, self.free_ns));
        match &mut pass.frame {
            Some((before, recipients)) if *before == frame => {
                if *recipients == 1 {
                    self.times.first.record(since(pass.came_us, pass.served_ns));
                }
                *recipients += 1;
            }
            Some(_) | None => {
                self.end(pass);
                pass.frame = Some((frame, 1));
            }
        }
        pass.served_ns = self.free_ns;
    }

    fn work(&mut self, ns: u64) {
        self.free_ns += ns;
        self.times.busy_ns += ns;
    }

    /// The first tick of the world's clock at which it is free.
    #[inline]
    fn free_us(&self) -> u64 {
        self.free_ns.div_ceil(1_000)
    }
}

impl NodeTimes {
    /// The times as metrics; those without a sample are left out.
    pub fn metrics(&self) -> Vec<Metric> {
        let rows = [
            ("node_wait", "input came to its turn at the node", &self.wait),
            ("node_transit", "input came to frame left the node", &self.transit),
            ("node_first", "input came to frame left for its first recipient", &self.first),
            ("node_last", "input came to frame left for its last recipient", &self.last),
        ];
        rows.into_iter()
            .filter(|(.., times)| !times.is_empty())
            .map(|(key, label, times)| times.to_metric(key, label, Unit::Microseconds, Domain::Virtual))
            .collect()
    }
}

/// From a microsecond to a nanosecond, in microseconds, rounded up.
fn since(from_us: u64, to_ns: u64) -> u64 {
    to_ns.div_ceil(1_000).saturating_sub(from_us)
}

#[cfg(test)]
mod tests {
    use router::{ConnId, Effects};

    use super::*;
    use crate::network::LinkRef;
    use crate::scenario::Nanos;

    const SERVICE: Service = Service {
        hop: Nanos::new(2_000),
        effect: Nanos::new(1_000),
        copy: Nanos::new(500),
        kib: Nanos::new(1_024),
        queue_pass: Nanos::new(250),
    };

    fn fan_out(recipients: u32) -> Effects {
        let mut effects = Effects::new();
        let frame = effects.text(&"x".repeat(500));
        for index in 0..recipients {
            effects.push(Effect::Send { conn: ConnId::from_parts(index, 0), frame });
        }
        effects
    }

    fn serve(node: &mut Node, now_us: u64, effects: &Effects, waited: bool) -> Vec<u64> {
        let mut pass = node.begin(now_us);
        let mut last = None;
        let left = |effect| {
            let load = Load::of(effect, effects, &mut last);
            node.effect(now_us, &mut pass, effect, load, waited)
        };
        let left = effects.iter().map(left).collect();
        node.end(&mut pass);
        left
    }

    #[test]
    fn a_fan_out_has_a_first_and_a_last_recipient() {
        let mut node = Node::new(Some(SERVICE));
        let left = serve(&mut node, 100, &fan_out(1_000), false);
        // 2 us to take it in, 0.5 us and 500 bytes at 1 ns to make the frame, 1 us for each recipient.
        assert_eq!((left[0], left[1], left[999]), (104, 105, 1_103));
        let times = node.into_times().unwrap();
        let all = |times: &Distribution| (times.count(), times.quantile(0.0), times.quantile(1.0));
        assert_eq!((all(&times.first), all(&times.last)), ((1, 4, 4), (1, 1_003, 1_003)));
        assert_eq!((times.transit.count(), times.transit.quantile(0.5)), (1_000, 503));
        assert_eq!(times.busy_ns, 2_000 + 500 + 500 + 1_000_000);
    }

    #[test]
    fn what_comes_while_the_node_is_busy_waits_for_its_turn() {
        let mut node = Node::new(Some(SERVICE));
        let event = |index| Event::Up { link: LinkRef { index, generation: 0 } };
        assert!(node.admits(10, event(0)));
        serve(&mut node, 10, &fan_out(1), false);
        assert!(!node.admits(11, event(1)));
        assert!(!node.admits(12, event(2)));
        assert!(node.admits(12, Event::Act { user: 0 }), "users do not wait");
        assert_eq!((node.next_at(), node.not_before(3), node.not_before(99)), (Some(14), 14, 99));
        assert_eq!(node.next(14), Some(event(1)));
        assert_eq!(serve(&mut node, 14, &fan_out(1), true), [19], "2 us, 0.5, 0.5, 1 and 0.25 for the queue");
        node.served();
        assert_eq!(node.next_at(), Some(19));
        assert_eq!(node.next(19), Some(event(2)));
        assert_eq!(node.next_at(), None);
        let times = node.into_times().unwrap();
        assert_eq!((times.wait.count(), times.wait.quantile(1.0)), (3, 7));
        assert_eq!(times.transit.quantile(1.0), 19 - 11, "counted from the coming in");
    }

    #[test]
    fn without_a_model_nothing_takes_time() {
        let mut node = Node::new(None);
        assert_eq!(serve(&mut node, 10, &fan_out(2), false), [10, 10]);
        assert!(node.admits(10, Event::Drain));
        assert_eq!((node.next_at(), node.not_before(7)), (None, 7));
        assert!(node.into_times().is_none());
    }
}
