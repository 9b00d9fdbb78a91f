//! The queue, call by call: what the laws over random sequences do not name.

use router::{
    Instant,
    queue::{
        Admission, Event, Limits, Offer, Outlet, Overflow, Policies, Policy, Priority, Queue, Reason,
        Refusal, Retry, Scope,
    },
};

const CONNECTION: Outlet = Outlet::Connection(1);

fn at(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

fn offer(priority: Priority, body: &'static str) -> Offer<'static, &'static str> {
    Offer { priority, ..Offer::new(Outlet::User, 1, body) }
}

/// A queue whose users may have three messages waiting for whichever connection comes.
fn of_three(overflow: Overflow) -> Queue<&'static str> {
    let user = Policy { messages_max: 3, headroom_messages: 0, overflow, ..Policy::replay() };
    Queue::new(Limits::default(), Policies { user, ..Policies::default() })
}

fn bodies(queue: &Queue<&'static str>, outlet: Outlet) -> Vec<&'static str> {
    queue.messages("ada", outlet).into_iter().map(|waiting| *waiting.body).collect()
}

#[test]
fn in_the_order_of_arrival_each_message_gives_way_by_its_own_class() {
    let mut queue = of_three(Overflow::DropLowest);
    let mut events = Vec::new();
    for (class, body) in [(Priority::High, "a"), (Priority::Low, "b"), (Priority::Normal, "c")] {
        queue.offer(at(0), "ada", offer(class, body), &mut events);
    }
    queue.offer(at(0), "ada", offer(Priority::Normal, "d"), &mut events);
    assert_eq!(bodies(&queue, Outlet::User), ["a", "c", "d"], "the lowest class gave way, not the oldest");
    let low = queue.offer(at(0), "ada", offer(Priority::Low, "e"), &mut events);
    assert_eq!(low, Admission::Refused(Refusal::UserQuota), "nothing higher gives way");
    queue.verify().expect("the books are true");

    let mut queue = of_three(Overflow::DropOldest);
    for (class, body) in [(Priority::High, "a"), (Priority::Low, "b"), (Priority::Normal, "c")] {
        queue.offer(at(0), "ada", offer(class, body), &mut events);
    }
    queue.offer(at(0), "ada", offer(Priority::Normal, "d"), &mut events);
    assert_eq!(bodies(&queue, Outlet::User), ["a", "c", "d"], "the oldest that is not above it");
}

#[test]
fn what_gives_way_to_a_protected_message_is_a_matter_of_its_own() {
    let user = Policy {
        messages_max: 1,
        headroom_messages: 0,
        overflow: Overflow::Refuse,
        overflow_protected: Overflow::DropOldest,
        ..Policy::replay()
    };
    let mut queue = Queue::new(Limits::default(), Policies { user, ..Policies::default() });
    let mut events = Vec::new();
    queue.offer(at(0), "ada", offer(Priority::Normal, "a"), &mut events);
    let plain = queue.offer(at(0), "ada", offer(Priority::High, "b"), &mut events);
    assert_eq!(plain, Admission::Refused(Refusal::UserQuota));
    let protected = Offer { protected: true, ..offer(Priority::Normal, "c") };
    assert!(matches!(queue.offer(at(0), "ada", protected, &mut events), Admission::Accepted { .. }));
    assert_eq!(bodies(&queue, Outlet::User), ["c"]);
    let another = Offer { protected: true, ..offer(Priority::Critical, "d") };
    let full = queue.offer(at(0), "ada", another, &mut events);
    assert_eq!(full, Admission::Refused(Refusal::UserQuota), "protected ones never give way");
}

#[test]
fn a_resumed_outlet_does_not_wait_for_its_pause() {
    let mut queue = Queue::new(Limits::default(), Policies::default());
    let (mut events, mut leases) = (Vec::new(), Vec::new());
    queue.offer(at(0), "ada", Offer::new(CONNECTION, 1, "a"), &mut events);
    queue.lease(at(0), "ada", CONNECTION, 1, &mut leases);
    assert!(queue.nack(at(0), leases[0], "gone", Retry::Later { chance: 0 }, &mut events));
    leases.clear();
    queue.lease(at(0), "ada", CONNECTION, 1, &mut leases);
    assert!(leases.is_empty(), "it pauses");
    queue.resume(at(0), "ada", CONNECTION);
    queue.lease(at(0), "ada", CONNECTION, 1, &mut leases);
    let failures = queue.leased(leases[0]).map(|message| message.failures);
    assert_eq!(failures, Some(1), "its attempts still count");
    queue.verify().expect("the books are true");
}

#[test]
fn a_failure_without_a_pause_does_not_shorten_the_pause_of_one_behind_it() {
    let mut queue = Queue::new(Limits::default(), Policies::default());
    let (mut events, mut leases) = (Vec::new(), Vec::new());
    for body in ["a", "b"] {
        queue.offer(at(0), "ada", Offer::new(CONNECTION, 1, body), &mut events);
    }
    queue.lease(at(0), "ada", CONNECTION, 2, &mut leases);
    assert!(queue.nack(at(0), leases[1], "later", Retry::Later { chance: 0 }, &mut events));
    assert!(queue.nack(at(0), leases[0], "now", Retry::Now, &mut events));
    leases.clear();
    queue.lease(at(0), "ada", CONNECTION, 2, &mut leases);
    assert!(leases.is_empty(), "the lane pauses");
    queue.tick(at(1), &mut events);
    queue.lease(at(1), "ada", CONNECTION, 2, &mut leases);
    assert_eq!(leases.len(), 2);
}

#[test]
fn dead_letters_leave_by_hand_or_with_a_word() {
    let limits = Limits { dead_letters_max: 2, ..Limits::default() };
    let mut queue = Queue::new(limits, Policies::default());
    let (mut events, mut leases) = (Vec::new(), Vec::new());
    for body in ["a", "b", "c"] {
        queue.offer(at(0), "ada", Offer::new(CONNECTION, 1, body), &mut events);
        leases.clear();
        queue.lease(at(0), "ada", CONNECTION, 1, &mut leases);
        queue.nack(at(0), leases[0], "bad", Retry::Never(Reason::Poison), &mut events);
    }
    let dropped: Vec<u64> = events
        .iter()
        .filter_map(|event| match event {
            Event::LetterDropped { seq, .. } => Some(*seq),
            Event::DeadLettered { .. } | Event::LeaseExpired { .. } | Event::Notice { .. } => None,
        })
        .collect();
    assert_eq!(dropped, [1], "the oldest, and it is told");
    assert_eq!(queue.discard("ada", 2).map(|letter| letter.body), Some("b"));
    assert!(queue.discard("ada", 2).is_none(), "it is gone");
    assert_eq!((queue.letters_len(), queue.account().dead), (1, 3), "the books remember it");
    queue.verify().expect("the books are true");
}

#[test]
fn a_lane_that_was_emptied_does_not_hide_those_behind_it() {
    let mut queue = Queue::new(Limits::default(), Policies::default());
    let (mut events, mut leases) = (Vec::new(), Vec::new());
    let work = |order, body| Offer { order: Some(order), ..Offer::new(Outlet::Worker(0), 1, body) };
    // A lane that had a lease keeps its deadline for a while, and with it its place.
    queue.offer(at(0), "ada", work(1, "a"), &mut events);
    queue.lease_work(at(0), 0, 1, &mut leases);
    assert!(queue.ack(at(0), leases[0]));
    queue.offer(at(1), "ada", work(1, "b"), &mut events);
    assert_eq!(queue.clear(at(1), Scope::User("ada"), &mut events), 1);
    queue.offer(at(2), "ada", work(2, "c"), &mut events);
    queue.verify().expect("whoever has work to give is in turn");
    leases.clear();
    queue.lease_work(at(2), 0, 1, &mut leases);
    assert_eq!(leases.first().and_then(|lease| queue.leased(*lease)).map(|leased| *leased.body), Some("c"));
}

#[test]
fn the_middle_of_three_lanes_in_line_may_leave() {
    let worker = Policy { ttl_us: Some(100_000_000), lease_us: None, ..Policy::work() };
    let mut queue = Queue::new(Limits::default(), Policies { worker, ..Policies::default() });
    let (mut events, mut leases) = (Vec::new(), Vec::new());
    let work = |order| Offer { order: Some(order), ..Offer::new(Outlet::Worker(0), 1, order) };
    queue.offer(at(0), "ada", work(1), &mut events);
    queue.lease_work(at(0), 0, 1, &mut leases);
    queue.offer(at(10), "ada", work(2), &mut events);
    assert!(queue.nack(at(11), leases[0], "again", Retry::Now, &mut events));
    queue.offer(at(20), "ada", work(3), &mut events);
    // In line stand 2, 1 and 3, and 1 is too old.
    queue.tick(at(101), &mut events);
    queue.verify().expect("the books are true");
    leases.clear();
    queue.lease_work(at(101), 0, 9, &mut leases);
    let bodies: Vec<u64> = leases.iter().filter_map(|lease| Some(*queue.leased(*lease)?.body)).collect();
    assert_eq!(bodies, [2, 3]);
}

#[test]
fn a_hundred_thousand_order_keys_in_a_row_leave_nothing_behind() {
    let mut queue = Queue::new(Limits::default(), Policies::default());
    let (mut events, mut leases) = (Vec::new(), Vec::new());
    for order in 0..100_000 {
        let now = Instant::from_micros(order);
        let work = Offer { order: Some(order), ..Offer::new(Outlet::Worker(0), 1, order) };
        queue.offer(now, "ada", work, &mut events);
        queue.lease_work(now, 0, 1, &mut leases);
        let lease = leases.pop().expect("a lane for each, as long as it has something");
        assert_eq!(queue.leased(lease).map(|leased| *leased.body), Some(order));
        assert!(queue.ack(now, lease));
        assert_eq!(queue.users_len(), 0);
    }
    queue.verify().expect("the books are true");
}

#[test]
fn ten_times_as_much_as_is_done_for_ten_minutes_never_passes_the_bounds() {
    let limits = Limits {
        users_max: 60,
        user_messages_max: 800,
        user_bytes_max: 400_000,
        floor_messages: 32,
        floor_bytes: 16_000,
        pool_messages_max: 4_000,
        pool_bytes_max: 2_000_000,
        dedupe_total_max: 8_000,
        ..Limits::default()
    };
    let (messages_max, bytes_max) = (limits.messages_max(), limits.bytes_max());
    assert_eq!((messages_max, bytes_max), (5_920, 2_960_000));
    let mut queue = Queue::new(limits, Policies::default());
    let (mut events, mut leases) = (Vec::new(), Vec::new());
    let (mut waiting_bytes, mut peak, mut refused) = (0_u64, (0, 0), 0_u64);
    // A hundred a second are done, a thousand offered: by the first users a lot, by the others little.
    for tick in 0..600_000_u64 {
        let now = Instant::from_micros(tick * 1_000);
        queue.tick(now, &mut events);
        let user = if tick % 4 == 0 { tick / 4 % 70 } else { tick % 8 };
        let (name, id) = (format!("user-{user}"), format!("m{tick}"));
        let bytes = 100 + (tick * 7_919 % 1_900) as u32;
        let offer = Offer { id: Some(&id), ..Offer::new(Outlet::Worker(0), bytes, u64::from(bytes)) };
        match queue.offer(now, &name, offer, &mut events) {
            Admission::Accepted { .. } => waiting_bytes += u64::from(bytes),
            Admission::Refused(Refusal::UserQuota | Refusal::GlobalQuota) => refused += 1,
            Admission::Duplicate { .. } | Admission::Refused(_) => {
                panic!("each is new, and no other reason holds")
            }
        }
        if tick % 10 == 0 {
            queue.lease_work(now, 0, 1, &mut leases);
            for lease in leases.drain(..) {
                waiting_bytes -= *queue.leased(lease).expect("fresh from the queue").body;
                assert!(queue.ack(now, lease));
            }
        }
        let account = queue.account();
        let here = (account.waiting + account.leased, waiting_bytes);
        assert!(here.0 <= messages_max && here.1 <= bytes_max, "{here:?} at {now:?}");
        peak = (here.0.max(peak.0), here.1.max(peak.1));
        if tick % 10_000 == 0 {
            queue.verify().expect("the books are true, and the bounds of each user and each window kept");
        }
    }
    assert!(refused > 500_000 && peak.1 > bytes_max / 2, "it was full: {refused} refused, at most {peak:?}");
}
