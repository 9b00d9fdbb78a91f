//! What a fan-out allocates, counted by an allocator of this test's own.

use std::alloc::System;

use benches::workloads::{Audience, FanOut};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations of one send after warm-up, the least of some: a ring that grows now and then is not per recipient.
fn allocations(audience: Audience, recipients: u32) -> usize {
    let mut fan_out = FanOut::new(audience, recipients);
    let mut round = || {
        let region = Region::new(ALLOCATOR);
        fan_out.send();
        let change = region.change();
        assert_eq!(fan_out.clear(), recipients as usize);
        fan_out.written();
        change.allocations + change.reallocations
    };
    // The rings of frames in flight and the recovery window find their size first.
    (0..300).for_each(|_| _ = round());
    (0..20).map(|_| round()).max().unwrap_or_default()
}

// One test, so that no other thread of this process allocates meanwhile.
#[test]
fn a_recipient_costs_no_allocation() {
    for audience in [Audience::Users, Audience::Tabs] {
        let (few, many) = (allocations(audience, 1), allocations(audience, 500));
        assert!(few <= 4, "{audience:?}: {few} allocations per event");
        assert_eq!(few, many, "{audience:?}: allocations grow with the recipients");
    }
}
