//! What one user's load does to the others' waits, in virtual time: arrivals by seed, workers of a fixed speed. The figures
//! are the same in every run; `--nocapture` shows them.

use std::{cmp::Reverse, collections::BinaryHeap};

use router::{
    Instant,
    queue::{Admission, Lease, Limits, Offer, Outlet, Policies, Queue},
};

const WORK: Outlet = Outlet::Worker(0);
/// What all workers do together, bytes per second.
const CAPACITY: u64 = 1 << 20;
const WORKERS: u64 = 4;
/// Users whose waits are looked at; all together they keep the workers half busy.
const OTHERS: u64 = 20;
/// Smallest and largest message of theirs.
const SIZES: (u32, u32) = (1 << 10, 4 << 10);
const SECOND: u64 = 1_000_000;
const LENGTH_US: u64 = 60 * SECOND;

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(mixed ^ (mixed >> 31)) * u128::from(end)) >> 64) as u64
    }
}

/// What somebody offers.
#[derive(Clone, Copy)]
struct Load {
    /// Smallest and largest message, bytes.
    sizes: (u32, u32),
    /// Bytes per second.
    rate: u64,
}

impl Load {
    fn bytes(&self, dice: &mut Dice) -> u32 {
        self.sizes.0 + dice.below(u64::from(self.sizes.1 - self.sizes.0) + 1) as u32
    }

    /// Time to the next message: on average as long as this one takes at the load's rate.
    fn gap(&self, bytes: u32, dice: &mut Dice) -> u64 {
        dice.below(2 * u64::from(bytes) * SECOND / self.rate + 1)
    }
}

/// What happens next, and in this order at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Arrival(usize),
    Done(Lease),
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// From offer to lease, microseconds, of everybody but the first user; sorted.
    waits: Vec<u64>,
    /// Messages of theirs that were refused.
    refused: u64,
    /// What each user was served, bytes.
    served: Vec<u64>,
}

impl Outcome {
    fn quantile(&self, permille: usize) -> u64 {
        self.waits[(self.waits.len() * permille).div_ceil(1_000) - 1]
    }

    #[expect(clippy::print_stdout, reason = "the figures are the same in every run")]
    fn tell(&self, name: &str) {
        let [p50, p99, most] = [500, 990, 1_000].map(|permille| self.quantile(permille));
        let (messages, first) = (self.waits.len(), self.served[0]);
        println!(
            "{name}: {messages} waits, p50 {p50} us, p99 {p99} us, max {most} us; the first user's {first} bytes"
        );
    }
}

fn play(loads: &[Load], workers: u64) -> Outcome {
    let mut queue = Queue::new(Limits::default(), Policies::default());
    let mut dice: Vec<Dice> = (0..loads.len() as u64).map(Dice).collect();
    let names: Vec<String> = (0..loads.len()).map(|user| format!("user-{user}")).collect();
    let first = |(user, load): (usize, &Load)| {
        Reverse((load.gap(load.sizes.1, &mut dice[user]), Next::Arrival(user)))
    };
    let mut next: BinaryHeap<_> = loads.iter().enumerate().map(first).collect();
    let mut outcome = Outcome { waits: Vec::new(), refused: 0, served: vec![0; loads.len()] };
    let mut idle = workers as usize;
    let (mut events, mut leases) = (Vec::new(), Vec::new());
    while let Some(Reverse((at, what))) = next.pop().filter(|Reverse((at, _))| *at < LENGTH_US) {
        let now = Instant::from_micros(at);
        queue.tick(now, &mut events);
        match what {
            Next::Arrival(user) => {
                let (load, dice) = (loads[user], &mut dice[user]);
                let bytes = load.bytes(dice);
                let offer = Offer::new(WORK, bytes, (now, user, bytes));
                let taken = queue.offer(now, &names[user], offer, &mut events);
                outcome.refused += u64::from(user > 0 && matches!(taken, Admission::Refused(_)));
                next.push(Reverse((at + load.gap(bytes, dice), Next::Arrival(user))));
            }
            Next::Done(lease) => {
                assert!(queue.ack(now, lease));
                idle += 1;
            }
        }
        leases.clear();
        queue.lease_work(now, 0, idle, &mut leases);
        idle -= leases.len();
        for &lease in &leases {
            let (offered_at, user, bytes) = *queue.leased(lease).expect("fresh from the queue").body;
            outcome.served[user] += u64::from(bytes);
            if user > 0 {
                outcome.waits.push(now.since(offered_at));
            }
            let takes_us = (u64::from(bytes) * SECOND * workers).div_ceil(CAPACITY);
            next.push(Reverse((at + takes_us, Next::Done(lease))));
        }
    }
    queue.verify().expect("the books are true");
    outcome.waits.sort_unstable();
    outcome
}

/// The others' waits beside somebody, and beside somebody who is as they are.
fn beside(noisy: Load, workers: u64) -> (Outcome, Outcome) {
    let other = Load { sizes: SIZES, rate: CAPACITY / 2 / OTHERS };
    let with = |first| play(&[vec![first], vec![other; OTHERS as usize]].concat(), workers);
    let (quiet, loud) = (with(other), with(noisy));
    quiet.tell("one like the others");
    loud.tell("one who is not");
    assert_eq!((quiet.refused, loud.refused), (0, 0), "nobody is refused for another's load");
    assert_eq!(with(noisy), loud, "the same in every run");
    (quiet, loud)
}

/// A hundred times what all the others offer together.
const HUNDREDFOLD: u64 = 100 * CAPACITY / 2;

#[test]
fn one_who_offers_a_hundred_times_as_much_at_most_doubles_the_others_waits() {
    for workers in [WORKERS, 1] {
        let (quiet, loud) = beside(Load { sizes: SIZES, rate: HUNDREDFOLD }, workers);
        assert!(loud.quantile(990) <= 2 * quiet.quantile(990));
        let all: u64 = loud.served.iter().sum();
        let share = (all - loud.served[0]) * 100 / all;
        assert!((40..=75).contains(&share), "the others get what they ask for: {share} %");
    }
}

#[test]
fn one_with_messages_of_a_mebibyte_at_most_triples_the_others_waits() {
    let (quiet, loud) = beside(Load { sizes: (1 << 20, 1 << 20), rate: HUNDREDFOLD }, WORKERS);
    assert!(loud.quantile(990) <= 3 * quiet.quantile(990));
}

#[test]
fn who_always_has_work_gets_the_same_bytes_whatever_its_messages_are_like() {
    let large = 1 << 20;
    for sizes in
        [[(150, 150), SIZES], [SIZES, (150, 150)], [SIZES, (large, large)], [(32, 9_000), (large, large)]]
    {
        let loads = sizes.map(|sizes| Load { sizes, rate: 2 * CAPACITY });
        let served = play(&loads, 1).served;
        let apart = served[0].abs_diff(served[1]);
        assert!(apart <= u64::from(large) + 2 * 4_096, "{sizes:?}: {served:?}");
    }
}
