//! What the old calls waited for.

use alloc::{boxed::Box, string::String};

use crate::contract::{Instant, Receipt, ReceiptId};

/// The answer of an old call that was awaited.
///
/// A delivery is over when the sockets have written it, or have missed it; the router tells by
/// [`Effect::Receipt`](crate::Effect::Receipt). Until then nobody knows the count, so no facade makes one up.
#[derive(Clone, Debug)]
pub enum Pending<T> {
    /// Nothing to wait for.
    Ready(T),
    /// It comes with a receipt.
    Awaited(Awaited<T>),
}

/// Which receipt, and what to make of it.
#[derive(Clone, Debug)]
pub struct Awaited<T> {
    receipt: ReceiptId,
    user: Box<str>,
    at: Instant,
    translate: fn(&Sent, &Receipt) -> T,
}

/// What a call knew when it was made.
#[derive(Debug)]
pub(super) struct Sent {
    /// To whom.
    pub(super) user: String,
    /// When.
    pub(super) at: Instant,
}

impl<T> Pending<T> {
    pub(super) fn new(
        receipt: ReceiptId,
        user: &str,
        at: Instant,
        translate: fn(&Sent, &Receipt) -> T,
    ) -> Self {
        Pending::Awaited(Awaited { receipt, user: user.into(), at, translate })
    }

    /// The receipt that the answer comes with; `None` when there is nothing to wait for.
    pub const fn receipt(&self) -> Option<ReceiptId> {
        match self {
            Pending::Ready(_) => None,
            Pending::Awaited(awaited) => Some(awaited.receipt),
        }
    }

    /// The old answer.
    ///
    /// # Errors
    /// The call itself, when the receipt is another one's.
    pub fn settle(self, receipt: &Receipt) -> Result<T, Self> {
        match self {
            Pending::Ready(answer) => Ok(answer),
            Pending::Awaited(awaited) if awaited.receipt == receipt.receipt => {
                let sent = Sent { user: awaited.user.into(), at: awaited.at };
                Ok((awaited.translate)(&sent, receipt))
            }
            other @ Pending::Awaited(_) => Err(other),
        }
    }
}

/// The old count of successes: connections that have the frame.
pub(super) fn count(_: &Sent, receipt: &Receipt) -> u32 {
    receipt.delivered
}

/// The old answer of a send to one connection: whether it has the frame.
pub(super) fn reached(_: &Sent, receipt: &Receipt) -> bool {
    receipt.delivered > 0
}
