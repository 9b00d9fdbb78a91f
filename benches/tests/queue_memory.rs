//! What a waiting message takes beside its body, counted by an allocator of this test's own, and the memory of a queue that
//! is offered ten times what is done.

use std::alloc::System;

use benches::{figures::overload, workloads::Passing};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const WAITING: usize = 1_000_000;
/// Ids that are remembered of each user: all that wait.
const IDS_MAX: u32 = 1_000;
/// What a message takes beside its body, accounts and ids included, bytes.
const EACH_MAX: usize = 200;
/// Offers of the overload: a hundred seconds at 10,000 a second.
const OFFERS: u64 = 1_000_000;

fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Bytes of so many messages that wait, of each of which the body is one number.
fn each(users: u32) -> usize {
    let mut passing = Passing::new(users, IDS_MAX);
    let before = live();
    passing.fill(WAITING);
    assert_eq!(passing.waiting(), WAITING as u64);
    live() - before
}

// One test, so that no other thread of this process allocates meanwhile.
#[test]
#[expect(clippy::print_stdout, reason = "the figures are the same on every machine of one word size")]
fn a_waiting_message_is_small_and_an_overloaded_queue_keeps_to_its_bound() {
    // First, so that the system is asked for all of it.
    let came = overload(OFFERS);
    assert!(came.waiting > 60_000 && came.refused > OFFERS / 2, "it was full: {came:?}");
    if let Some(peak) = came.peak {
        assert!(peak <= came.allowed(), "{came:?}");
        assert!(peak > came.waiting << 10, "the bodies are there: {came:?}");
    }

    let region = Region::new(ALLOCATOR);
    let all = [100_000, 1_000].map(each);
    let change = region.change();
    assert_eq!(change.bytes_allocated, change.bytes_deallocated, "nothing outlives a queue");
    // What is printed is kept by whoever runs tests: not before everything is counted.
    for (users, bytes) in [100_000, 1_000].into_iter().zip(all) {
        let body = size_of::<u64>();
        println!("{users} users: {:.1} bytes per message", bytes as f64 / WAITING as f64 - body as f64);
        assert!(bytes / WAITING - body <= EACH_MAX, "{users} users: {bytes} bytes for {WAITING} messages");
    }
}
