//! What the node does and how long it takes: counts of inputs, effects, copies and queue passes, and a model of service
//! times on top of them.
//!
//! **Counts** always run. They are taken from the inputs and effects that pass through the world's one door, so that no
//! scenario and no checker can forget one; the gate takes its exact numbers from them, too.
//!
//! **The model** runs if the scenario has a `[service]` section. The node is then one server with one processor: each input
//! takes `hop`, and each of its effects, in their order, `effect`, with `copy` and `kib` for a frame that is made and
//! `queue_pass` for one that waited in a queue of the router. A frame leaves when its effect is done, so a fan-out has a
//! first recipient and a last. What comes in meanwhile waits for its turn, first come first served. The clock of what the
//! router sees is the time at which its turn comes.
//!
//! Without the section no time passes at the node, and a run is the same, hash included, as it was before there was a model.

mod costs;
mod node;

pub use costs::{Costs, Load};
pub(crate) use node::Node;
pub use node::NodeTimes;
