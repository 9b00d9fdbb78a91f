//! What the sequences are drawn from.

use proptest::prelude::*;
use router::queue::{Limits, Overflow, Policies, Policy};

pub(super) const ATTEMPTS_MAX: u32 = 3;
pub(super) const BASE_US: u64 = 100;
/// Longest pause after a failure.
pub(super) const PAUSE_MAX_US: u64 = 1_000;

#[derive(Clone, Debug)]
pub(super) enum Op {
    Offer { user: u8, outlet: u8, id: Option<u8>, class: u8, order: Option<u8>, protected: bool, bytes: u32 },
    LeaseWork { kind: u16, max: usize },
    Lease { user: u8, outlet: u8, max: usize },
    Ack { lease: u8 },
    Nack { lease: u8, retry: u8, chance: u32 },
    Stand { user: u8, outlet: u8, standing: u8 },
    Close { user: u8, outlet: u8, keep: bool },
    Clear { scope: u8, user: u8, outlet: u8 },
    Redrive { letter: u8 },
    Take { user: u8, outlet: u8 },
    Withdraw { message: u8 },
    End { message: u8 },
    BuryNew { user: u8, outlet: u8 },
    Wait { micros: u64 },
    ShutDown,
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let offer = (
        0..4_u8,
        0..5_u8,
        prop::option::weighted(0.5, 0..8_u8),
        0..4_u8,
        prop::option::weighted(0.2, 0..2_u8),
        prop::bool::weighted(0.2),
        prop_oneof![8 => 1..40_u32, 1 => 60..130_u32],
    );
    prop_oneof![
        24 => offer.prop_map(|(user, outlet, id, class, order, protected, bytes)| {
            Op::Offer { user, outlet, id, class, order, protected, bytes }
        }),
        8 => (0..2_u16, 1..4_usize).prop_map(|(kind, max)| Op::LeaseWork { kind, max }),
        8 => (0..4_u8, 2..5_u8, 1..4_usize).prop_map(|(user, outlet, max)| Op::Lease { user, outlet, max }),
        7 => any::<u8>().prop_map(|lease| Op::Ack { lease }),
        17 => (any::<u8>(), 0..8_u8, any::<u32>()).prop_map(|(lease, retry, chance)| Op::Nack { lease, retry, chance }),
        2 => (0..4_u8, 0..5_u8, 0..3_u8).prop_map(|(user, outlet, standing)| Op::Stand { user, outlet, standing }),
        2 => (0..4_u8, 0..5_u8, any::<bool>()).prop_map(|(user, outlet, keep)| Op::Close { user, outlet, keep }),
        1 => (0..4_u8, 0..4_u8, 0..5_u8).prop_map(|(scope, user, outlet)| Op::Clear { scope, user, outlet }),
        3 => any::<u8>().prop_map(|letter| Op::Redrive { letter }),
        6 => (0..4_u8, 2..5_u8).prop_map(|(user, outlet)| Op::Take { user, outlet }),
        2 => any::<u8>().prop_map(|message| Op::Withdraw { message }),
        1 => any::<u8>().prop_map(|message| Op::End { message }),
        1 => (0..4_u8, 0..5_u8).prop_map(|(user, outlet)| Op::BuryNew { user, outlet }),
        6 => prop_oneof![6 => 1..50_u64, 4 => 50..400_u64, 1 => 400..3_000_u64].prop_map(|micros| Op::Wait { micros }),
    ]
}

pub(super) fn limits() -> Limits {
    Limits {
        users_max: 4,
        user_messages_max: 12,
        user_bytes_max: 300,
        floor_messages: 2,
        floor_bytes: 60,
        pool_messages_max: 14,
        pool_bytes_max: 360,
        dedupe_ids_max: 6,
        dedupe_ttl_us: 2_000,
        dedupe_total_max: 14,
        dead_letters_max: 4,
        dead_letters_total_max: 9,
        notice_every_us: 600,
        quantum_bytes: 16,
        higher_leases_max: 3,
    }
}

pub(super) fn policies(overflow: Overflow) -> Policies {
    let small = Policy {
        messages_max: 3,
        headroom_messages: 1,
        message_bytes_max: 100,
        attempts_max: ATTEMPTS_MAX,
        backoff: router::queue::Backoff::Doubling {
            base_us: BASE_US,
            cap_us: PAUSE_MAX_US,
            spread_permille: 400,
        },
        dead_ttl_us: 4_000,
        ..Policy::work()
    };
    Policies {
        worker: Policy { lease_us: Some(500), ..small.clone() },
        connection: Policy {
            ttl_us: Some(900),
            window: 3,
            lease_us: None,
            overflow,
            overflow_protected: overflow,
            ..small.clone()
        },
        user: Policy {
            ttl_us: Some(1_500),
            window: 2,
            lease_us: None,
            by_priority: false,
            overflow,
            overflow_protected: overflow,
            ..small
        },
        ..Policies::default()
    }
}
