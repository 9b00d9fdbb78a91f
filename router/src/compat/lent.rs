//! The router in the hands of a facade.

use alloc::{borrow::ToOwned as _, boxed::Box, vec::Vec};

use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use crate::{
    Router,
    contract::{Authority, Context, Deliver, Effect, Effects, Input, Instant, ReceiptId, Target},
};

/// The canonical router, lent to facades for some calls, with the time and the effects of these calls.
///
/// Whoever has a `Lent` can hand it to facades and do nothing else with it. The effects are the caller's to carry out,
/// in order, as after [`Router::handle`].
#[derive(Debug)]
pub struct Lent<'r> {
    pub(super) router: &'r mut Router,
    pub(super) now: Instant,
    pub(super) out: &'r mut Effects,
    receipts: &'r mut u64,
    pub(super) authority: Option<&'r Authority>,
    /// Whether a facade may connect a socket.
    pub(super) connects: bool,
    /// Facades that were called, once for each call.
    called: Vec<&'static str>,
}

impl<'r> Lent<'r> {
    /// Lends a router. `receipts` is the number of the last [`ReceiptId`] that its host gave away; a facade that wants an
    /// account of a delivery takes the next one, so that no two deliveries of one router share a number.
    pub const fn new(
        router: &'r mut Router,
        now: Instant,
        out: &'r mut Effects,
        receipts: &'r mut u64,
    ) -> Self {
        Self { router, now, out, receipts, authority: None, connects: true, called: Vec::new() }
    }

    /// Lends the right to cross users, too, which the broadcasts of [`QualityMessageRouter`] need.
    ///
    /// [`QualityMessageRouter`]: super::QualityMessageRouter
    #[must_use]
    pub const fn with_authority(mut self, authority: &'r Authority) -> Self {
        self.authority = Some(authority);
        self
    }

    /// Keeps to itself who is connected: `register_connection` answers `false`. For a host whose sockets are connected
    /// where they are accepted, as those of a server are.
    #[must_use]
    pub const fn without_sockets(mut self) -> Self {
        self.connects = false;
        self
    }

    /// The facades that were called, by name, once for each call, oldest first: for whoever lends the router and keeps
    /// figures of all of them together.
    pub fn called(&self) -> &[&'static str] {
        &self.called
    }

    /// One canonical input; answers the effects that it had.
    pub(super) fn input(&mut self, input: Input<'_>) -> &[Effect] {
        let before = self.out.len();
        self.router.handle(self.now, input, self.out);
        &self.out.iter().as_slice()[before..]
    }

    /// One canonical delivery whose account is asked for.
    pub(super) fn deliver(&mut self, target: Target<'_>, context: Context<'_>, event: &Value) -> ReceiptId {
        *self.receipts += 1;
        let receipt = ReceiptId(*self.receipts);
        let event = raw(event);
        self.input(Input::Deliver(Deliver { receipt: Some(receipt), target, context, event: &event }));
        receipt
    }
}

/// A facade over the router that is lent to it. The old methods are here, with the old arguments.
#[derive(Debug)]
pub struct Over<'a, 'r, F> {
    pub(super) facade: &'a mut F,
    pub(super) lent: &'a mut Lent<'r>,
}

impl<'a, 'r, F> Over<'a, 'r, F> {
    pub(super) const fn new(facade: &'a mut F, lent: &'a mut Lent<'r>) -> Self {
        Self { facade, lent }
    }
}

/// Counts a call, and gives what it works with.
pub(super) fn used<'o, 'r, F: Counted>(
    over: &'o mut Over<'_, 'r, F>,
    method: &'static str,
) -> (&'o mut F, &'o mut Lent<'r>) {
    let uses = over.facade.uses_mut();
    uses.note(method);
    over.lent.called.push(uses.facade());
    (&mut *over.facade, &mut *over.lent)
}

/// A value that counts its calls.
pub(super) trait Counted {
    /// Where they are counted.
    fn uses_mut(&mut self) -> &mut super::Uses;
}

/// What all facades have in common.
macro_rules! facade {
    ($name:ident) => {
        impl super::lent::Counted for $name {
            fn uses_mut(&mut self) -> &mut super::Uses {
                &mut self.uses
            }
        }

        impl $name {
            /// The old methods, over a router that is lent for them.
            pub const fn over<'a, 'r>(
                &'a mut self,
                lent: &'a mut super::Lent<'r>,
            ) -> super::Over<'a, 'r, Self> {
                super::Over::new(self, lent)
            }

            /// How often each method was called on this value.
            pub const fn compat_uses(&self) -> &super::Uses {
                &self.uses
            }
        }
    };
}
pub(super) use facade;

/// A value as the JSON text that canonical calls take.
pub(super) fn raw(value: &Value) -> Box<RawValue> {
    // A `Value` can always be written.
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
