//! What a router keeps, counted by an allocator of this test's own: nothing of those who are gone.

use std::alloc::System;

use router::{Config, ConnId, Connect, Effect, Effects, Input, Instant, Router, Sizes, Ticket};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes of an empty router with everything built in.
const EMPTY_BYTES_MAX: usize = 16 * 1024;
const SECOND: u64 = 1_000_000;

struct Churn {
    router: Router,
    out: Effects,
    now: Instant,
    tickets: u64,
}

impl Churn {
    fn input(&mut self, input: Input<'_>) -> Option<ConnId> {
        self.out.clear();
        self.router.handle(self.now, input, &mut self.out);
        let mut accepted = None;
        let mut sends = Vec::new();
        for effect in self.out.iter() {
            if let Effect::Accepted { conn, .. } = effect {
                accepted = Some(*conn);
            } else if let Effect::Send { conn, .. } = effect {
                sends.push(*conn);
            }
        }
        for conn in sends {
            self.router.handle(self.now, Input::Written { conn, frames: 1 }, &mut self.out);
        }
        accepted
    }

    /// One user comes, says something, and goes; what is kept of those before expires on the way.
    fn visit(&mut self, user: u64) {
        self.tickets += 1;
        self.now = self.now.after(SECOND);
        let name = format!("visitor-{user}");
        let conn = self.input(Input::Connect(Connect::new(Ticket(self.tickets), &name))).expect("accepted");
        self.input(Input::Text { conn, text: r#"{"type":"typing_started","thread_id":"t"}"# });
        self.input(Input::Closed { conn });
    }

    /// Everybody is gone and everything kept for them has expired.
    fn settle(&mut self) -> Sizes {
        self.now = self.now.after(3600 * SECOND);
        self.input(Input::Tick);
        self.router.verify().expect("adds up");
        self.router.sizes()
    }
}

// One test, so that no other thread of this process allocates meanwhile.
#[test]
fn an_empty_router_is_small_and_nothing_is_kept_of_those_who_are_gone() {
    let region = Region::new(ALLOCATOR);
    let router = Router::new(Config::default()).expect("valid");
    let change = region.change();
    let bytes = change.bytes_allocated - change.bytes_deallocated + size_of::<Router>();
    assert!(bytes <= EMPTY_BYTES_MAX, "an empty router takes {bytes} bytes");

    let mut churn =
        Churn { router, out: Effects::new(), now: Instant::from_micros(1_700_000_000 * SECOND), tickets: 0 };
    let live = || {
        let stats = ALLOCATOR.stats();
        stats.bytes_allocated - stats.bytes_deallocated
    };
    (0..1_000).for_each(|user| churn.visit(user));
    let (sizes, heap) = (churn.settle(), live());
    (0..100_000).for_each(|user| churn.visit(user));
    let (sizes_after, heap_after) = (churn.settle(), live());
    assert_eq!(sizes, sizes_after);
    assert!(heap_after as f64 <= heap as f64 * 1.01, "{heap} bytes grew to {heap_after}");
}
