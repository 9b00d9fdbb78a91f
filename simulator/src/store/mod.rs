//! A model of the shared store: the same answers as the scripts of the server give, in virtual time and without IO.
//!
//! [`Model::apply`] is one operation, whole and at once, as a script is. Everything that goes wrong goes wrong around
//! it: an operation that is lost is not applied, an answer that is lost is applied and not told, a late one is told
//! later, a wake may be left out or come twice. Whoever puts the model into a world decides that; the model knows of
//! no fault but one, [`Model::lose_tail`]. A property test of the server holds the two to the same answers.

#[cfg(feature = "mutants")]
mod planted;
mod user;

use std::collections::BTreeMap;

use router::{
    Instant, UserId,
    store::{Answer, Bounds, Cursor, Hint, Node, Nodes, Op, OpId, Request, Wake},
};

use self::user::User;

/// Milliseconds of the store's clock.
type Millis = u64;

/// A store that several nodes share.
#[derive(Clone, Debug)]
pub struct Model {
    bounds: Bounds,
    users: BTreeMap<UserId, User>,
    /// Until when each node counts as alive.
    nodes: BTreeMap<Node, Millis>,
    /// Of whom a node may own runs, and the number of the last hold.
    held: BTreeMap<Node, BTreeMap<UserId, OpId>>,
    /// A planted defect.
    #[cfg(feature = "mutants")]
    pub mutant: Option<router::Mutant>,
}

/// What is kept of a user, without what is too old.
fn arrived<'a>(users: &'a mut BTreeMap<UserId, User>, id: &UserId, now: Millis) -> &'a mut User {
    let user = users.entry(id.clone()).or_default();
    user.arrive(now);
    user
}

/// What a store forgot of a user: the cursors above `from` up to `to`, if any, and runs and messages of that time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostTail {
    /// Whose.
    pub user: UserId,
    /// The last cursor that it has.
    pub from: Cursor,
    /// The last cursor that it had.
    pub to: Cursor,
}

/// A wake and whom it goes to.
pub type Sent = (Node, Wake);

impl Model {
    /// An empty store.
    pub const fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            users: BTreeMap::new(),
            nodes: BTreeMap::new(),
            held: BTreeMap::new(),
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// Carries an operation out at a time of the store's clock, and pushes the wakes that go out with it. Counts whole
    /// milliseconds.
    pub fn apply(&mut self, now: Instant, request: &Request, wakes: &mut Vec<Sent>) -> Answer {
        #[cfg(feature = "mutants")]
        if let Some(mutant) = self.mutant {
            return self.apply_wrongly(mutant, now, request, wakes);
        }
        self.apply_rightly(now, request, wakes)
    }

    fn apply_rightly(&mut self, now: Instant, request: &Request, wakes: &mut Vec<Sent>) -> Answer {
        let now = now.as_micros() / 1_000;
        let bounds = &self.bounds;
        let users = &mut self.users;
        match &request.op {
            Op::Admit(admit) => Answer::Admitted(arrived(users, &admit.user, now).admit(now, bounds, admit)),
            Op::Append(append) => {
                Answer::Appended(arrived(users, &append.user, now).append(now, bounds, append, wakes))
            }
            Op::Attach { user: of, node, from } => {
                Answer::Attached(arrived(users, of, now).attach(now, bounds, node, *from))
            }
            Op::Detach { user: of, node } => {
                arrived(users, of, now).detach(node);
                Answer::Detached
            }
            Op::Renew(renew) => Answer::Renewed(arrived(users, &renew.user, now).renew(now, bounds, renew)),
            Op::TakeOver { user: of, node } => {
                Answer::TakenOver(arrived(users, of, now).take_over(now, bounds, node, request.id))
            }
            Op::Acknowledge { user: of, cursor } => {
                Answer::Acknowledged { acked: arrived(users, of, now).acknowledge(now, bounds, *cursor) }
            }
            Op::Raise { user: of, seen } => {
                let (cur, raised) = arrived(users, of, now).raise(now, bounds, *seen);
                Answer::Raised { cur, raised }
            }
            Op::Heartbeat { node } => Answer::Nodes(self.heartbeat(now, node)),
            Op::Hold { node, user } => {
                let hold = self.held.entry(node.clone()).or_default().entry(user.clone()).or_default();
                *hold = request.id.max(*hold);
                Answer::Holding
            }
            Op::Release { node, user, hold } => {
                self.release(node, user, *hold);
                Answer::Released
            }
            Op::Held { node, after } => Answer::Hints(self.hints(node, *after)),
            Op::Forget { node } => {
                if self.nodes.get(node).is_some_and(|until| *until <= now) {
                    self.nodes.remove(node);
                }
                Answer::Forgotten
            }
        }
    }

    /// The store as it was at an earlier time takes the place of this one: a replica that had not followed takes over,
    /// or what was accepted was not on the disk. Answers of whom anything but leases and listeners was forgotten.
    pub fn lose_tail(&mut self, earlier: &Model) -> Vec<LostTail> {
        let later = std::mem::replace(self, earlier.clone());
        let nobody = User::default();
        let lost = later.users.iter().filter_map(|(id, user)| {
            let before = earlier.users.get(id).unwrap_or(&nobody);
            let tail = LostTail { user: id.clone(), from: before.span().1, to: user.span().1 };
            (!user.knows_what(before)).then_some(tail)
        });
        lost.collect()
    }

    /// The oldest cursor that the user's log still has, one above the last when it has none; and the last cursor.
    pub fn span(&self, user: &UserId) -> (Cursor, Cursor) {
        self.users.get(user).map_or((1, 0), User::span)
    }

    fn heartbeat(&mut self, now: Millis, me: &Node) -> Nodes {
        self.nodes.insert(me.clone(), now + self.bounds.alive_ms);
        let alive: Vec<&Node> =
            self.nodes.iter().filter(|(_, until)| **until > now).map(|(node, _)| node).collect();
        let mut dead: Vec<(&Millis, &Node)> = self
            .nodes
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(node, until)| (until, node))
            .collect();
        dead.sort();
        dead.truncate(self.bounds.page_max as usize);
        Nodes {
            alive: alive.len() as u32,
            rank: alive.iter().filter(|node| **node < me).count() as u32,
            dead: dead.into_iter().map(|(_, node)| node.clone()).collect(),
        }
    }

    fn release(&mut self, node: &Node, user: &UserId, hold: OpId) {
        let Some(held) = self.held.get_mut(node) else { return };
        if held.get(user).is_some_and(|last| *last <= hold) {
            held.remove(user);
        }
        if held.is_empty() {
            self.held.remove(node);
        }
    }

    fn hints(&self, node: &Node, after: OpId) -> Vec<Hint> {
        let held = self.held.get(node).into_iter().flatten();
        let mut hints: Vec<Hint> = held
            .filter(|(_, hold)| **hold > after)
            .map(|(user, hold)| Hint { user: user.clone(), hold: *hold })
            .collect();
        hints.sort_by(|one, other| (one.hold, &one.user).cmp(&(other.hold, &other.user)));
        hints.truncate(self.bounds.page_max as usize);
        hints
    }
}

#[cfg(test)]
mod tests {
    use router::store::{Admit, Admitted, Append, Appended};

    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    fn ask(store: &mut Model, ms: u64, id: u64, op: Op) -> Answer {
        store.apply(at(ms), &Request { id: OpId(id), op }, &mut Vec::new())
    }

    fn node(name: &str) -> Node {
        Node::new(name).expect("a name")
    }

    fn admit(by: &str) -> Op {
        Op::Admit(Admit {
            user: "ada".into(),
            node: node(by),
            run: "r".into(),
            message_id: Some("m".into()),
            note: "hello".into(),
        })
    }

    fn append(by: &str, epoch: u64, first_seq: u64) -> Op {
        Op::Append(Append {
            user: "ada".into(),
            node: node(by),
            run: "r".into(),
            epoch,
            first_seq,
            frames: vec!["{}".into()],
            note: None,
            ends: false,
        })
    }

    #[test]
    fn the_owner_before_a_takeover_is_fenced_and_a_second_taker_gets_nothing() {
        let mut store = Model::new(Bounds::default());
        assert_eq!(ask(&mut store, 0, 1, admit("a")), Answer::Admitted(Admitted::New));
        assert_eq!(ask(&mut store, 1, 2, append("a", 1, 1)), Answer::Appended(Appended::Logged { first: 1 }));
        let take = |by: &str| Op::TakeOver { user: "ada".into(), node: node(by) };
        assert_eq!(ask(&mut store, 5_999, 3, take("b")), Answer::TakenOver(Vec::new()), "the lease holds");
        let Answer::TakenOver(runs) = ask(&mut store, 6_000, 4, take("b")) else { panic!("runs") };
        assert_eq!((runs[0].epoch, runs[0].seq, &runs[0].note[..]), (2, 1, b"hello".as_slice()));
        assert_eq!(ask(&mut store, 6_000, 4, take("c")), Answer::TakenOver(Vec::new()));
        let Answer::TakenOver(again) = ask(&mut store, 6_001, 4, take("b")) else { panic!("runs") };
        assert_eq!(runs, again, "its answer was lost, and it asks again");
        assert_eq!(ask(&mut store, 6_002, 5, append("a", 1, 2)), Answer::Appended(Appended::Fenced));
    }

    #[test]
    fn a_tail_that_is_lost_is_told_by_the_cursor_and_raised_over() {
        let mut store = Model::new(Bounds::default());
        ask(&mut store, 0, 1, admit("a"));
        let earlier = store.clone();
        ask(&mut store, 1, 2, append("a", 1, 1));
        store.lose_tail(&earlier);
        let raised = ask(&mut store, 2, 3, Op::Raise { user: "ada".into(), seen: 1 });
        assert_eq!(raised, Answer::Raised { cur: 1_000_001, raised: true });
        assert_eq!(
            ask(&mut store, 3, 4, append("a", 1, 1)),
            Answer::Appended(Appended::Logged { first: 1_000_002 })
        );
    }
}
