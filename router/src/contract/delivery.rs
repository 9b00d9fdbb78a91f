//! What became of a run event, as a host may ask.

/// Names a run event of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventRef<'a> {
    /// By its cursor.
    Cursor(u64),
    /// By its run and its number there; known while the event is in the recovery window.
    InRun {
        /// The run's id.
        run_id: &'a str,
        /// The event's `seq`.
        seq: u64,
    },
}

/// What became of a run event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where it stands.
    pub state: DeliveryState,
    /// Its cursor.
    pub cursor: u64,
    /// Whether it is still in the recovery window, to be replayed to a client that resumes below it.
    pub replayable: bool,
}

/// Where a run event stands. There is no other record of it than the recovery window and how far the user's
/// connections have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryState {
    /// In the recovery window; no connection was written it yet.
    Waiting,
    /// Written to a connection of the user. While events of other threads than a connection is restricted to are
    /// unwritten, those after them are said to wait, too.
    Delivered,
    /// A client said that it has it, by `confirmation` or by resuming above it.
    Confirmed,
    /// Given up before anybody was written it: newer events needed the room. That is final, also when a slow socket
    /// writes it after all.
    Gapped,
    /// Given up before anybody was written it: nobody came back in time.
    Expired,
}
