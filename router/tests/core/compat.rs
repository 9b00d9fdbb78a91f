//! Facades: each old call and its canonical call have the same effects, on two routers that are alike.

mod events;
mod messages;
mod sequences;
mod tools;

use std::fmt::Debug;

use router::{
    Authority, Config, ConnId, Connect, Deliver, Effect, Effects, Input, Instant, Receipt, ReceiptId, Router,
    Ticket,
    compat::{Lent, Pending, Uses},
};
use serde_json::Value;

/// A router for old calls and one for canonical ones.
struct Pair {
    old: Router,
    new: Router,
    now: Instant,
    receipts: u64,
    /// The right to cross users of either; lent to facades from when `trusted` is set.
    rights: (Authority, Authority),
    trusted: bool,
    /// Effects of the last pair of calls.
    out: Effects,
}

impl Pair {
    fn new() -> Self {
        Self::with(&Config::default())
    }

    fn with(config: &Config) -> Self {
        let router = || Router::new(config.clone()).expect("valid limits");
        let (mut old, mut new) = (router(), router());
        let right = |router: &mut Router| router.take_authority().expect("the first to ask");
        Self {
            rights: (right(&mut old), right(&mut new)),
            old,
            new,
            now: Instant::from_micros(1_700_000_000_000_000),
            receipts: 0,
            trusted: false,
            out: Effects::new(),
        }
    }

    /// Makes both calls, and sees that they answer, do and count the same.
    fn same<A: Debug + PartialEq>(
        &mut self,
        old: impl FnOnce(&mut Lent<'_>) -> A,
        new: impl FnOnce(&mut Router, Instant, &mut Effects) -> A,
    ) -> A {
        self.same_with(old, |router, now, _, out| new(router, now, out))
    }

    /// The same for a canonical call that needs the right to cross users.
    fn same_with<A: Debug + PartialEq>(
        &mut self,
        old: impl FnOnce(&mut Lent<'_>) -> A,
        new: impl FnOnce(&mut Router, Instant, &Authority, &mut Effects) -> A,
    ) -> A {
        let mut out = Effects::new();
        let (answer, wanted) = {
            let mut lent = Lent::new(&mut self.old, self.now, &mut out, &mut self.receipts);
            if self.trusted {
                lent = lent.with_authority(&self.rights.0);
            }
            let answer = old(&mut lent);
            self.out.clear();
            (answer, new(&mut self.new, self.now, &self.rights.1, &mut self.out))
        };
        assert_eq!(answer, wanted);
        assert_eq!(format!("{out:?}"), format!("{:?}", self.out));
        assert_eq!(self.old.stats(), self.new.stats());
        assert_eq!(self.old.sizes(), self.new.sizes());
        self.old.verify().expect("accounts");
        answer
    }

    /// The same for a call with a receipt: the sockets write, and what the receipt says is told in both forms.
    fn same_delivery<T: Debug + PartialEq>(
        &mut self,
        old: impl FnOnce(&mut Lent<'_>) -> Pending<T>,
        new: Deliver<'_>,
        told: impl FnOnce(&Receipt) -> T,
    ) -> T {
        let mut pending = None;
        let receipt = ReceiptId(self.receipts + 1);
        self.same(
            |lent| pending = Some(old(lent)),
            |router, now, out| {
                router.handle(now, Input::Deliver(Deliver { receipt: Some(receipt), ..new }), out)
            },
        );
        let pending = pending.expect("called");
        assert_eq!(pending.receipt(), Some(receipt));
        let given = self.receipt().unwrap_or_else(|| {
            self.write();
            self.receipt().expect("after the last write")
        });
        let other = Receipt { receipt: ReceiptId(u64::MAX), ..given.clone() };
        let pending = pending.settle(&other).expect_err("another call's receipt");
        let answer = pending.settle(&given).expect("its own receipt");
        assert_eq!(answer, told(&given));
        answer
    }

    /// A canonical input for both.
    fn both(&mut self, input: Input<'_>) {
        let mut out = Effects::new();
        self.old.handle(self.now, input, &mut out);
        self.out.clear();
        self.new.handle(self.now, input, &mut self.out);
    }

    fn connect(&mut self, user: &str) -> ConnId {
        self.both(Input::Connect(Connect::new(Ticket(0), user)));
        let conn = self.accepted();
        self.write();
        conn
    }

    fn accepted(&self) -> ConnId {
        let accepted = |effect: &Effect| match effect {
            Effect::Accepted { conn, .. } => Some(*conn),
            _ => None,
        };
        self.out.iter().find_map(accepted).expect("accepted")
    }

    fn receipt(&self) -> Option<Receipt> {
        let receipt = |effect: &Effect| match effect {
            Effect::Receipt(receipt) => Some((**receipt).clone()),
            _ => None,
        };
        self.out.iter().find_map(receipt)
    }

    /// Every socket writes what it was last sent.
    fn write(&mut self) {
        let sent = |effect: &Effect| match effect {
            Effect::Send { conn, .. } => Some(*conn),
            _ => None,
        };
        let conns: Vec<ConnId> = self.out.iter().filter_map(sent).collect();
        for conn in conns {
            self.both(Input::Written { conn, frames: 1 });
        }
    }
}

fn every_method_was_called(uses: &Uses) {
    for (method, calls) in uses.iter() {
        assert!(calls > 0, "{}::{method} has no test", uses.facade());
    }
    assert_eq!(uses.total(), uses.iter().map(|(_, calls)| calls).sum::<u64>());
}

/// An event; the members in the order in which a `Value` has them.
const NOTE: &str = r#"{"n":1,"type":"note"}"#;

fn note() -> Value {
    serde_json::from_str(NOTE).expect("JSON")
}
