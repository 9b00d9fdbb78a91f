//! Events of the host, from outside the router's stream of inputs.

use router::ConnId;

/// To whom a host's event goes. What a host may do, no client frame can: the right to cross users stays in the server.
#[derive(Clone, Copy, Debug)]
pub enum Recipients<'a> {
    /// One connection of that user.
    Connection(&'a str, ConnId),
    /// All connections of that user; kept for those expected back.
    User(&'a str),
    /// The connections of that user that want that thread; kept for those expected back.
    Thread(&'a str, &'a str),
    /// Every subscriber of a topic.
    Topic(&'a str),
    /// Every open connection, but one perhaps.
    All {
        /// The one that is spared.
        except: Option<ConnId>,
    },
}
