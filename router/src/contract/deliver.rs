//! Deliveries: an event from the host, to whom it goes, and the honest account of what became of it.

use alloc::{boxed::Box, vec::Vec};

use serde_json::value::RawValue;

use super::{Authority, ConnId};

/// Number the caller gives to a delivery that it wants an account of; comes back in the [`Receipt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptId(pub u64);

/// To whom an event goes. Only the last two cross users, and they need the router's one [`Authority`].
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// One connection of that user. Not kept for later: whoever asks for one connection means that one.
    Connection(&'a str, ConnId),
    /// All connections of that user, whatever thread they are restricted to; kept for those expected back.
    User(&'a str),
    /// The connections of that user that want that thread; kept for those expected back.
    Thread(&'a str, &'a str),
    /// Every subscriber of a topic, each as [`User`](Self::User). Who subscribes later does not get it.
    Topic(&'a Authority, &'a str),
    /// Every open connection but one perhaps: one frame, shared by all, kept for nobody.
    All(&'a Authority, Option<ConnId>),
}

/// The ids that an event gets from where it comes from. One that is `None` leaves the event its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context<'a> {
    /// `thread_id`.
    pub thread: Option<&'a str>,
    /// `run_id`.
    pub run: Option<&'a str>,
    /// `request_id`.
    pub request: Option<&'a str>,
}

/// An event to be delivered.
///
/// The event is a JSON object. Its top-level `user_id`, `thread_id`, `run_id` and `request_id` are set from target and
/// context; another text there, or in a top-level key that ends in `_user_id`, refuses the event. `cursor` and
/// `recovered` are the router's, `timestamp` is added when it is missing. Everything else is passed on as it is.
#[derive(Clone, Copy, Debug)]
pub struct Deliver<'a> {
    /// Asks for an account; without one there is none, and nothing is spent on it.
    pub receipt: Option<ReceiptId>,
    /// To whom.
    pub target: Target<'a>,
    /// Ids that the event gets.
    pub context: Context<'a>,
    /// The event.
    pub event: &'a RawValue,
}

impl<'a> Deliver<'a> {
    /// An event without context, and nobody asks what became of it.
    pub const fn new(target: Target<'a>, event: &'a RawValue) -> Self {
        let context = Context { thread: None, run: None, request: None };
        Self { receipt: None, target, context, event }
    }
}

/// Why an event was refused as a whole: no frame was made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryRefusal {
    /// It is not a JSON object, or has a text that is none: half of a surrogate pair.
    NotAnObject,
    /// Its frame would be longer than an outbound frame may be.
    TooLarge,
    /// It names another user, thread, run or request than the one it is for.
    ForeignUser,
    /// The id is no user's, or too many users that never were here are being waited for.
    UnknownUser,
    /// That user has no such connection.
    UnknownConnection,
    /// The thread is somebody else's, or its name is empty or too long.
    ForeignThread,
}

impl DeliveryRefusal {
    /// All of them, in the order of their declaration.
    pub const ALL: [DeliveryRefusal; 6] = [
        DeliveryRefusal::NotAnObject,
        DeliveryRefusal::TooLarge,
        DeliveryRefusal::ForeignUser,
        DeliveryRefusal::UnknownUser,
        DeliveryRefusal::UnknownConnection,
        DeliveryRefusal::ForeignThread,
    ];

    /// Stable name, for reports and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            DeliveryRefusal::NotAnObject => "not_an_object",
            DeliveryRefusal::TooLarge => "too_large",
            DeliveryRefusal::ForeignUser => "foreign_user",
            DeliveryRefusal::UnknownUser => "unknown_user",
            DeliveryRefusal::UnknownConnection => "unknown_connection",
            DeliveryRefusal::ForeignThread => "foreign_thread",
        }
    }
}

/// Why one connection did not get the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Missed {
    /// It closed before the frame was handed to the operating system.
    Closed,
    /// Its outbound queue was full.
    Overflow,
    /// It was too slow, and the event left the recovery window meanwhile; the client is told of a gap.
    Gapped,
}

/// What became of a delivery. Emitted once, when every connection addressed at admission has been written, has missed
/// it, or is gone; with none addressed, a refusal, or no room for an account, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The caller's number.
    pub receipt: ReceiptId,
    /// The event's `type` as JSON; `"unknown"` when it has none.
    pub event_type: Box<str>,
    /// Connections addressed at admission: `delivered + failed.len()`.
    pub attempted: u32,
    /// Connections whose frame was handed to the operating system.
    pub delivered: u32,
    /// The connections that did not get it, and why.
    pub failed: Vec<(ConnId, Missed)>,
    /// Users none of whose connections has it, and for whom it is kept until they come back.
    pub queued: u32,
    /// The event was sent, but as many receipts as [`receipts_max`](crate::Config::receipts_max) were open: nothing else
    /// here says what became of it.
    pub uncounted: bool,
    /// Why nothing was sent at all.
    pub refused: Option<DeliveryRefusal>,
}

impl Receipt {
    /// Nobody addressed so far.
    pub(crate) const fn blank(receipt: ReceiptId, event_type: Box<str>) -> Self {
        Self {
            receipt,
            event_type,
            attempted: 0,
            delivered: 0,
            failed: Vec::new(),
            queued: 0,
            uncounted: false,
            refused: None,
        }
    }

    /// Share of the addressed connections that got it, in percent; 0 when none was addressed.
    pub fn success_percent(&self) -> f64 {
        if self.attempted == 0 { 0.0 } else { f64::from(self.delivered) * 100.0 / f64::from(self.attempted) }
    }
}
