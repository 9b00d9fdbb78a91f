//! The twenty-one tests of the one queue: what its three predecessors were good for, one type instead of them, and a
//! session's messages through it. They drive the queue itself, in virtual time.

use router::{
    Instant,
    queue::{
        Account, Admission, BreakerState, Event, Lease, Leftover, Limits, Offer, Outlet, Policies, Priority,
        Queue, Reason, Refusal, Retry, Standing,
    },
};

use crate::structure::{competing, import_paths, makers, nothing, workspace};

/// Where the one queue is.
const QUEUE: (&str, &str) = ("router/src/queue/mod.rs", "Queue");
/// Private lists that are named so: the items of one client's batch, and what is on its way in the simulated network.
const LISTS: [(&str, &str); 2] =
    [("router/src/handlers/batch.rs", "Queue"), ("simulator/src/network/queue.rs", "Queue")];
const FIVE: [&str; 5] =
    ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"];
const TAB: Outlet = Outlet::Connection(1);
const AGENTS: Outlet = Outlet::Worker(0);

fn at(milliseconds: u64) -> Instant {
    Instant::from_micros(milliseconds * 1_000)
}

/// A queue with everybody's usual limits, and what happened in it.
struct Line {
    queue: Queue<String>,
    events: Vec<Event>,
    now: Instant,
}

impl Line {
    fn new() -> Self {
        let queue = Queue::new(Limits::default(), Policies::default());
        Self { queue, events: Vec::new(), now: at(1_000) }
    }

    fn offer(&mut self, user: &str, outlet: Outlet, body: &str) -> Admission {
        self.offer_as(user, outlet, body, Priority::Normal)
    }

    fn offer_as(&mut self, user: &str, outlet: Outlet, body: &str, priority: Priority) -> Admission {
        let offer = Offer { priority, ..Offer::new(outlet, body.len() as u32, body.to_owned()) };
        self.put(user, offer)
    }

    fn put(&mut self, user: &str, offer: Offer<'_, String>) -> Admission {
        let admission = self.queue.offer(self.now, user, offer, &mut self.events);
        self.queue.verify().expect("the books are true");
        admission
    }

    fn lease(&mut self, user: &str, outlet: Outlet, max: usize) -> Vec<Lease> {
        let mut leases = Vec::new();
        match outlet {
            Outlet::Worker(kind) => self.queue.lease_work(self.now, kind, max, &mut leases),
            Outlet::Connection(_) | Outlet::User | Outlet::Log(_) => {
                self.queue.lease(self.now, user, outlet, max, &mut leases);
            }
        }
        leases
    }

    /// Takes everything that an outlet gives, as `USER: BODY`, and does it.
    fn deliver(&mut self, user: &str, outlet: Outlet) -> Vec<String> {
        let mut delivered = Vec::new();
        while let [lease, ..] = self.lease(user, outlet, 1)[..] {
            let message = self.queue.leased(lease).expect("fresh from the queue");
            delivered.push(format!("{}: {}", message.user, message.body));
            assert!(self.queue.ack(self.now, lease));
            self.queue.verify().expect("the books are true");
        }
        delivered
    }

    fn stand(&mut self, user: &str, outlet: Outlet, standing: Standing) {
        self.queue.stand(self.now, user, outlet, standing, &mut self.events).expect("there is room");
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now = self.now.after(milliseconds * 1_000);
        self.queue.tick(self.now, &mut self.events);
    }

    fn account(&self) -> Account {
        self.queue.account()
    }
}

fn of_ada<'a>(bodies: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    bodies.into_iter().map(|body| format!("ada: {body}")).collect()
}

fn is_accepted(admission: Admission) -> bool {
    matches!(admission, Admission::Accepted { .. })
}

#[test]
fn redis_message_queue_behavior_baseline() {
    let mut line = Line::new();
    assert!(is_accepted(line.offer("ada", AGENTS, "work")));
    assert_eq!(line.account(), Account { offered: 1, waiting: 1, ..Account::default() });
}

#[test]
fn connection_state_message_queue_behavior_baseline() {
    let mut line = Line::new();
    line.stand("ada", TAB, Standing::Held);
    assert!(is_accepted(line.offer("ada", TAB, "early")));
    assert_eq!((line.queue.waiting("ada", TAB), line.lease("ada", TAB, 9).len()), (1, 0));
}

#[test]
fn message_buffer_behavior_baseline() {
    let mut line = Line::new();
    assert!(is_accepted(line.offer("ada", Outlet::User, "missed")));
    assert_eq!((line.queue.waiting("ada", Outlet::User), line.account().waiting), (1, 1));
}

#[test]
fn ssot_violation_reproduction_three_implementations() {
    let known = [&[QUEUE], &LISTS[..]].concat();
    nothing(&competing(workspace(), "Queue", &known));
    nothing(&competing(workspace(), "MessageBuffer", &[]));
}

#[test]
fn race_condition_between_queue_implementations() {
    let mut line = Line::new();
    let taken = [AGENTS, TAB, Outlet::User].map(|outlet| {
        let offer = Offer { id: Some("one"), ..Offer::new(outlet, 3, "one".to_owned()) };
        line.put("ada", offer)
    });
    let again = Admission::Duplicate { first: 1 };
    assert_eq!(taken, [Admission::Accepted { seq: 1 }, again, again], "it waits in one place only");
}

#[test]
fn message_loss_due_to_multiple_queues() {
    let mut line = Line::new();
    for (n, outlet) in [AGENTS, TAB, Outlet::User, TAB, AGENTS].into_iter().enumerate() {
        assert!(is_accepted(line.offer("ada", outlet, &n.to_string())));
    }
    assert_eq!(line.account(), Account { offered: 5, waiting: 5, ..Account::default() });
    let mut all: Vec<String> =
        [AGENTS, TAB, Outlet::User].into_iter().flat_map(|outlet| line.deliver("ada", outlet)).collect();
    all.sort();
    assert_eq!(all, of_ada(["0", "1", "2", "3", "4"]));
}

#[test]
fn duplicate_delivery_across_queue_systems() {
    let mut line = Line::new();
    let mut delivered = Vec::new();
    for outlet in [AGENTS, TAB, Outlet::User, AGENTS] {
        let offer = Offer { id: Some("logical"), ..Offer::new(outlet, 7, "logical".to_owned()) };
        line.put("ada", offer);
        // Also while it is known only as one that was delivered.
        delivered
            .extend([AGENTS, TAB, Outlet::User].into_iter().flat_map(|outlet| line.deliver("ada", outlet)));
    }
    assert_eq!(delivered, of_ada(["logical"]));
    assert_eq!((line.account().delivered, line.account().duplicates), (1, 3));
}

#[test]
fn consolidated_queue_preserves_redis_behavior() {
    let mut line = Line::new();
    line.offer("ada", AGENTS, "fails");
    // Five attempts, with pauses of 1, 2, 4 and 8 s between them.
    for pause_ms in [1_000, 2_000, 4_000, 8_000, 0] {
        let lease = line.lease("ada", AGENTS, 1)[0];
        assert!(line.queue.nack(line.now, lease, "broken", Retry::Later { chance: 0 }, &mut line.events));
        if pause_ms > 0 {
            line.wait(pause_ms - 1);
            assert!(line.lease("ada", AGENTS, 1).is_empty(), "the pause is kept");
            line.wait(1);
        }
    }
    let letters: Vec<_> =
        line.queue.dead_letters("ada").map(|letter| (letter.reason, letter.failures.len())).collect();
    assert_eq!(letters, [(Reason::AttemptsExhausted, 5)]);
    assert!(
        line.events.iter().any(|event| matches!(event, Event::Notice { letters: 1, .. })),
        "the user is told"
    );
    // The breaker of a kind: three failures of several users open it for 30 s, two probes close it.
    let kind = Outlet::Worker(1);
    for user in ["ada", "eve", "kim"] {
        line.offer(user, kind, "fails");
        let lease = line.lease(user, kind, 1)[0];
        line.queue.nack(line.now, lease, "broken", Retry::Later { chance: 0 }, &mut line.events);
    }
    assert_eq!(line.queue.breaker(1), BreakerState::Open { until: line.now.after(30_000_000) });
    line.wait(29_999);
    assert!(line.lease("", kind, 9).is_empty());
    line.wait(1);
    for successes in [1, 2] {
        let probe = line.lease("", kind, 9);
        assert_eq!(probe.len(), 1, "one probe at a time");
        assert!(line.queue.ack(line.now, probe[0]));
        let closed = BreakerState::Closed { failures: 0 };
        let half_open = BreakerState::HalfOpen { successes: 1, probing: false };
        assert_eq!(line.queue.breaker(1), if successes == 2 { closed } else { half_open });
    }
}

#[test]
fn consolidated_queue_preserves_connection_state_behavior() {
    let mut line = Line::new();
    line.stand("ada", TAB, Standing::Held);
    for (body, class) in [
        ("low", Priority::Low),
        ("normal", Priority::Normal),
        ("critical", Priority::Critical),
        ("high", Priority::High),
    ] {
        assert!(is_accepted(line.offer_as("ada", TAB, body, class)));
    }
    assert_eq!((line.queue.standing("ada", TAB), line.queue.waiting("ada", TAB)), (Standing::Held, 4));
    assert!(line.deliver("ada", TAB).is_empty(), "nothing goes out during the set-up");
    line.stand("ada", TAB, Standing::Open);
    assert_eq!(line.deliver("ada", TAB), of_ada(["critical", "high", "normal", "low"]));
    line.offer("ada", TAB, "later");
    assert_eq!(line.deliver("ada", TAB), of_ada(["later"]), "passed through");
}

#[test]
fn consolidated_queue_preserves_message_buffer_behavior() {
    let mut line = Line::new();
    for event in FIVE {
        let offer = Offer {
            protected: true,
            priority: Priority::Low,
            ..Offer::new(Outlet::User, 9, event.to_owned())
        };
        assert!(is_accepted(line.put("ada", offer)));
    }
    for n in 0..195 {
        let class = if n == 100 { Priority::Low } else { Priority::Normal };
        assert!(is_accepted(line.offer_as("ada", Outlet::User, &n.to_string(), class)));
    }
    assert_eq!(line.queue.waiting("ada", Outlet::User), 200);
    // The lowest class gives way first, then the oldest; the five never do, though they are low.
    assert!(is_accepted(line.offer("ada", Outlet::User, "one more")));
    assert!(is_accepted(line.offer("ada", Outlet::User, "and one")));
    let evicted: Vec<u64> = line
        .events
        .iter()
        .filter_map(|event| match event {
            Event::DeadLettered { seq, reason: Reason::Evicted { .. }, .. } => Some(*seq),
            _ => None,
        })
        .collect();
    assert_eq!(evicted, [106, 6], "number 100 of the others, and the first of them");
    assert_eq!(line.queue.waiting("ada", Outlet::User), 200);
    let too_long = Offer::new(Outlet::User, (32 << 10) + 1, String::new());
    assert_eq!(line.put("ada", too_long), Admission::Refused(Refusal::TooLarge { limit: 32 << 10 }));
    assert_eq!(line.deliver("ada", Outlet::User)[..5], of_ada(FIVE));
}

#[test]
fn single_queue_implementation_exists() {
    nothing(&competing(workspace(), "Queue", &[&[QUEUE], &LISTS[..]].concat()));
    let paths = import_paths(workspace(), "router/src/", "Queue");
    assert_eq!(paths.into_iter().collect::<Vec<_>>(), ["router::queue::Queue"], "one path leads to it");
}

#[test]
fn no_duplicate_queue_implementations() {
    let places = makers(workspace(), "Queue");
    let known = [QUEUE.0, LISTS[0].0, LISTS[1].0];
    assert!(places.iter().all(|place| known.contains(&place.as_str())), "{places:?}");
    assert_eq!(
        places.iter().filter(|place| **place == QUEUE.0).count(),
        1,
        "one literal makes it: {places:?}"
    );
    for named in ["MessageQueue", "DeadLetterQueue", "WorkQueue", "FifoQueue", "ConnectionQueue"] {
        nothing(&competing(workspace(), named, &[]));
    }
}

#[test]
fn consistent_message_delivery_interface() {
    type Held = Queue<String>;
    let offer: fn(&mut Held, Instant, &str, Offer<'_, String>, &mut Vec<Event>) -> Admission = Held::offer;
    let ack: fn(&mut Held, Instant, Lease) -> bool = Held::ack;
    let mut line = Line::new();
    for outlet in [AGENTS, TAB, Outlet::User] {
        let message = Offer::new(outlet, 2, "hi".to_owned());
        assert!(is_accepted(offer(&mut line.queue, line.now, "ada", message, &mut line.events)));
        let lease = line.lease("ada", outlet, 1)[0];
        assert!(
            ack(&mut line.queue, line.now, lease) && !ack(&mut line.queue, line.now, lease),
            "settled once"
        );
    }
    assert_eq!(line.account(), Account { offered: 3, delivered: 3, ..Account::default() });
}

#[test]
fn queue_selection_logic_based_on_context() {
    // What a message is for decides how it is treated; nobody chooses a queue. Each is offered one more than it takes.
    let full = |outlet, most: usize| {
        let mut line = Line::new();
        for n in 0..most {
            assert!(
                is_accepted(line.offer_as("ada", outlet, &n.to_string(), Priority::Low)),
                "{outlet:?} takes {most}"
            );
        }
        let low = line.offer_as("ada", outlet, "low", Priority::Low);
        let high = line.offer_as("ada", outlet, "high", Priority::High);
        (is_accepted(low), is_accepted(high), line.queue.waiting("ada", outlet) as usize - most)
    };
    assert_eq!(full(AGENTS, 10_000), (false, false, 0), "work: refused, nothing gives way");
    assert_eq!(full(TAB, 1_000), (false, true, 0), "a connection: what is lower gives way");
    assert_eq!(
        full(Outlet::User, 200),
        (true, true, 0),
        "what was missed: the oldest of the lowest gives way"
    );
}

#[test]
fn consolidated_queue_performance_benchmarks() {
    let mut line = Line::new();
    let begin = line.now;
    for n in 0..100 {
        assert!(is_accepted(line.offer("ada", AGENTS, &n.to_string())));
    }
    assert_eq!(line.deliver("ada", AGENTS).len(), 100);
    assert_eq!(
        (line.now, line.queue.breaker(0)),
        (begin, BreakerState::Closed { failures: 0 }),
        "no time of its own"
    );
}

#[test]
fn end_to_end_message_delivery_with_consolidated_queue() {
    let mut line = Line::new();
    let session = [
        ("login", TAB),
        ("connect", TAB),
        ("agent_request", AGENTS),
        ("agent_started", TAB),
        ("agent_completed", TAB),
    ];
    let accepted =
        session.into_iter().filter(|(body, outlet)| is_accepted(line.offer("ada", *outlet, body))).count();
    assert_eq!(accepted, 5);
    assert_eq!(line.deliver("ada", AGENTS), of_ada(["agent_request"]));
    assert_eq!(line.deliver("ada", TAB), of_ada(["login", "connect", "agent_started", "agent_completed"]));
}

#[test]
fn multi_user_message_isolation_single_queue() {
    let mut line = Line::new();
    let users = ["ada", "eve", "kim"];
    for n in 0..3 {
        // All on a connection of the same number: it is each user's own.
        users.iter().for_each(|user| assert!(is_accepted(line.offer(user, TAB, &format!("{user}-{n}")))));
    }
    for user in users {
        let own: Vec<String> = (0..3).map(|n| format!("{user}: {user}-{n}")).collect();
        assert_eq!(line.queue.account_of(user).map(|account| account.waiting), Some(3));
        assert_eq!(line.deliver(user, TAB), own);
    }
    assert_eq!(line.account().delivered, 9);
}

#[test]
fn agent_websocket_events_with_ssot_queue() {
    let mut line = Line::new();
    let classes = [Priority::High, Priority::Normal, Priority::Low, Priority::Critical, Priority::High];
    for (event, priority) in FIVE.into_iter().zip(classes) {
        let offer =
            Offer { priority, order: Some(1), protected: true, ..Offer::new(TAB, 9, event.to_owned()) };
        assert!(is_accepted(line.put("ada", offer)));
    }
    assert_eq!(
        line.deliver("ada", TAB),
        of_ada(FIVE),
        "a run's events in their order, whatever their classes"
    );
}

#[test]
fn connection_lifecycle_with_consolidated_queue() {
    let mut line = Line::new();
    let stages = ["connecting", "accepted", "authenticated", "services_ready"];
    line.stand("ada", TAB, Standing::Held);
    for stage in stages {
        assert!(is_accepted(line.offer("ada", TAB, stage)));
        assert!(line.deliver("ada", TAB).is_empty(), "{stage}: it is kept");
    }
    line.stand("ada", TAB, Standing::Open);
    assert_eq!(line.deliver("ada", TAB), of_ada(stages), "processing_ready gives out what was kept");
    for stage in ["processing_ready", "processing", "idle"] {
        assert!(is_accepted(line.offer("ada", TAB, stage)));
        assert_eq!(line.deliver("ada", TAB), of_ada([stage]));
    }
    line.stand("ada", TAB, Standing::Degraded);
    ["degraded", "closing"].into_iter().for_each(|stage| assert!(is_accepted(line.offer("ada", TAB, stage))));
    assert_eq!(line.lease("ada", TAB, 9).len(), 1, "one at a time");
    line.queue.close(line.now, "ada", TAB, Leftover::Bury(Reason::ConnectionGone), &mut line.events);
    assert_eq!(line.offer("ada", TAB, "closed"), Admission::Refused(Refusal::Closed));
    let gone =
        line.queue.dead_letters("ada").filter(|letter| letter.reason == Reason::ConnectionGone).count();
    assert_eq!(
        (gone, line.account().waiting + line.account().leased),
        (2, 0),
        "what waited and what was out"
    );
}

#[test]
fn golden_path_no_message_loss() {
    let mut line = Line::new();
    let bodies: Vec<String> = (1..=9).map(|n| format!("message {n}")).collect();
    bodies[..4].iter().for_each(|body| assert!(is_accepted(line.offer("ada", TAB, body))));
    // Two are on their way when the connection is lost; what was not acknowledged waits for the next one.
    let out = line.lease("ada", TAB, 2);
    assert!(line.queue.ack(line.now, out[0]));
    line.queue.close(line.now, "ada", TAB, Leftover::Keep, &mut line.events);
    assert!(!line.queue.ack(line.now, out[1]), "too late: it goes out again");
    bodies[4..].iter().for_each(|body| assert!(is_accepted(line.offer("ada", Outlet::User, body))));
    assert_eq!(line.deliver("ada", Outlet::User), of_ada(bodies[1..].iter().map(String::as_str)));
    assert_eq!(line.account(), Account { offered: 9, delivered: 9, ..Account::default() });
}

#[test]
fn golden_path_proper_message_ordering() {
    let mut line = Line::new();
    for n in 1..=8_u32 {
        let priority = Priority::ALL[n as usize % 4];
        let offer = Offer { priority, order: Some(7), ..Offer::new(AGENTS, 1, n.to_string()) };
        assert!(is_accepted(line.put("ada", offer)));
    }
    // The first one fails once: the others wait behind it.
    let lease = line.lease("ada", AGENTS, 9);
    assert_eq!(lease.len(), 1, "one piece of work of a run at a time");
    line.queue.nack(line.now, lease[0], "not yet", Retry::Later { chance: 0 }, &mut line.events);
    assert!(line.lease("ada", AGENTS, 9).is_empty());
    line.wait(1_000);
    assert_eq!(line.deliver("ada", AGENTS), of_ada(["1", "2", "3", "4", "5", "6", "7", "8"]));
}
