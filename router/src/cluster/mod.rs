//! A node of several that share their users by a store: see [`store`](crate::store) for what the store promises.
//!
//! One rule carries all of it: **a frame is shown to nobody, not even to a local connection, before it is in the log**. So
//! what a node alone does in one step falls into two here:
//!
//! - *emit*: an event is encoded without its cursor and waits in its run's way into the log ([`outbox`]). Everything
//!   that waits does so in the one [`Queue`].
//! - *arrive*: an event that the log has comes in, at its cursor, into the user's recovery window and from there to the
//!   connections ([`replica`]). Whether this node appended it or another makes no difference.
//!
//! The recovery window is the end of the log, read as far as somebody here needs it; replay, gaps, slow readers and
//! acknowledgements are those of a node alone.
//!
//! A message is accepted when the store has it ([`admit`]), and its agent starts then. Leases, liveness and the runs of
//! nodes that died are the business of [`node`]. Every request is one of `asked` until its answer comes; one that is in
//! doubt is made again, unchanged and under its number.
//!
//! A node whose lease may have run out stops nobody by itself. Who took its runs over has done so by an epoch, and every
//! append since is answered *fenced*; as long as nobody has, its agents' work is good.

mod admit;
mod node;
mod outbox;
mod record;
mod replica;

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

pub(crate) use self::{
    admit::Sender,
    outbox::{Unlogged, ends_run},
    replica::run_key,
};
use self::{node::Taking, outbox::Outbox, replica::Replica};
use crate::{
    audience::UserRef,
    contract::{Effect, Effects, Instant, UserId},
    router::Router,
    store::{Answer, Bounds, Node, Op, OpId, Request, Stored, Trouble, Way},
    timers::Timer,
};

/// Limits and timings of a node of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// What the store keeps; all nodes must say the same.
    pub bounds: Bounds,
    /// Events of a run on their way into the log at which its agent is told to pause.
    pub pending_events_max: u32,
    /// Their bytes.
    pub pending_bytes_max: u64,
    /// Bytes of all events of this node on their way into the log, above what each user may always have.
    pub pending_total_bytes_max: u64,
    /// Time between two signs of life of this node.
    pub pulse_us: u64,
    /// Time between two renewals of a user's leases, when anything happened of late.
    pub renew_us: u64,
    /// The same for a quiet user; below the time for which the store tells a node of a user's events.
    pub renew_quiet_us: u64,
    /// After this time a sender is told that it is not known whether the message was taken in.
    pub doubt_us: u64,
    /// Pause before a request is made again.
    pub again_us: u64,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            bounds: Bounds::default(),
            pending_events_max: 64,
            pending_bytes_max: 256 << 10,
            pending_total_bytes_max: 64 << 20,
            pulse_us: 2_000_000,
            renew_us: 1_000_000,
            renew_quiet_us: 4_000_000,
            doubt_us: 5_000_000,
            again_us: 200_000,
        }
    }
}

impl ClusterConfig {
    /// The defaults with leases of another length, and with what goes by it.
    pub fn with_lease_ms(lease_ms: u64) -> Self {
        let default = Self::default();
        let scaled = |us: u64| us.saturating_mul(lease_ms) / default.bounds.lease_ms;
        Self {
            pulse_us: scaled(default.pulse_us),
            // The store tells a node of a user's events no longer than before.
            renew_us: scaled(default.renew_us).min(default.renew_us),
            renew_quiet_us: scaled(default.renew_quiet_us).min(default.renew_quiet_us),
            bounds: Bounds { lease_ms, alive_ms: lease_ms, ..default.bounds },
            ..default
        }
    }
}

/// What a node of several has to mind.
#[derive(Debug)]
pub(crate) struct Cluster {
    settings: ClusterConfig,
    me: Node,
    is_up: bool,
    /// Since when the store answers without a break.
    up_since: Instant,
    last_op: u64,
    asked: BTreeMap<OpId, Asked>,
    replicas: BTreeMap<UserRef, Replica>,
    outboxes: BTreeMap<u64, Outbox>,
    last_outbox: u64,
    /// Nodes that gave no sign of life, and since when this one knows.
    dead: BTreeMap<Node, Instant>,
    taking: Option<Taking>,
    is_pulsing: bool,
    /// The last sign of life that the store had.
    alive_at: Instant,
    /// Bytes on their way into the log, and how many agents were told to pause.
    pending_bytes: u64,
    paused: u32,
    /// Agents may be paused for whom there was room, but not for all.
    is_held_back: bool,
    /// When requests are made again, if that is arranged.
    again_at: Option<Instant>,
}

/// A request without an answer.
#[derive(Debug)]
struct Asked {
    op: Op,
    why: Why,
    /// It may have been carried out.
    is_doubted: bool,
    /// It is not on its way, and must be made again.
    is_parked: bool,
}

/// What the answer to a request is for.
#[derive(Clone, Debug)]
enum Why {
    /// The message of that outbox.
    Admit(u64),
    /// Events of that outbox.
    Append(u64),
    /// What the user missed.
    Attach(UserRef),
    /// What a connection missed before the user's window begins.
    Back(UserRef),
    /// Leases and attachment of the user; of which outboxes the runs are, and under which epochs.
    Renew(UserRef, Vec<(u64, u64)>),
    /// The user's cursors go on above what was shown.
    Raise(UserRef),
    /// A sign of life.
    Pulse,
    /// Of whom a dead node may own runs.
    Held,
    /// The user's runs; on the hint of a dead node, the hold that was asked for ahead of it.
    TakeOver(UserId, Option<OpId>),
    /// The hint that the user's runs may be here: messages wait for it. `None`: ahead of a takeover.
    Hold(Option<UserRef>),
    /// May be carried out; nothing follows.
    Notice,
}

impl Why {
    /// Whether the request is made again until it is answered.
    const fn is_lasting(&self) -> bool {
        match self {
            Why::Admit(_)
            | Why::Append(_)
            | Why::Attach(_)
            | Why::Back(_)
            | Why::Raise(_)
            | Why::Held
            | Why::TakeOver(..)
            | Why::Hold(_) => true,
            Why::Renew(..) | Why::Pulse | Why::Notice => false,
        }
    }
}

impl Cluster {
    pub(crate) fn new(settings: &ClusterConfig, node: &str) -> Option<Box<Self>> {
        Some(Box::new(Self {
            me: Node::new(node)?,
            settings: settings.clone(),
            is_up: false,
            up_since: Instant::default(),
            last_op: 0,
            asked: BTreeMap::new(),
            replicas: BTreeMap::new(),
            outboxes: BTreeMap::new(),
            last_outbox: 0,
            dead: BTreeMap::new(),
            taking: None,
            is_pulsing: false,
            alive_at: Instant::default(),
            pending_bytes: 0,
            paused: 0,
            is_held_back: false,
            again_at: None,
        }))
    }

    /// Whether that user's cursors are known to be those of the store: not after it was away, until it said so.
    fn is_checked(&self, user: UserRef) -> bool {
        self.replicas.get(&user).is_none_or(|replica| replica.is_checked)
    }

    /// Whether a request without an answer is to be made again. Events that were taken back meanwhile go out anew, under
    /// numbers that may be others: what they were asked under must not come after that.
    fn is_wanted(&self, id: OpId, why: &Why) -> bool {
        match why {
            Why::Append(outbox) => self.outboxes.get(outbox).is_some_and(|outbox| outbox.has_flight(id)),
            Why::Admit(_)
            | Why::Attach(_)
            | Why::Back(_)
            | Why::Renew(..)
            | Why::Raise(_)
            | Why::Pulse
            | Why::Held
            | Why::TakeOver(..)
            | Why::Hold(_)
            | Why::Notice => why.is_lasting(),
        }
    }

    /// Whether a request may be made now.
    fn may_ask(&self, why: &Why) -> bool {
        self.is_up
            && match why {
                Why::Admit(outbox) => self.outboxes.get(outbox).is_none_or(|outbox| {
                    let replica = self.replicas.get(&outbox.user);
                    replica.is_none_or(|replica| replica.is_checked && replica.is_held)
                }),
                Why::Append(outbox) => {
                    self.outboxes.get(outbox).is_none_or(|outbox| self.is_checked(outbox.user))
                }
                Why::Attach(user) | Why::Back(user) => self.is_checked(*user),
                Why::Renew(..)
                | Why::Raise(_)
                | Why::Pulse
                | Why::Held
                | Why::TakeOver(..)
                | Why::Hold(_)
                | Why::Notice => true,
            }
    }
}

impl Router {
    /// Asks the store, or will when it can be reached.
    fn ask_store(&mut self, op: Op, why: Why, out: &mut Effects) -> OpId {
        let Some(cluster) = self.cluster.as_deref_mut() else { return OpId::default() };
        cluster.last_op += 1;
        let id = OpId(cluster.last_op);
        let is_parked = !cluster.may_ask(&why);
        if is_parked && !why.is_lasting() {
            return id;
        }
        if !is_parked {
            self.stats.cluster.requests += 1;
            out.push(Effect::Store(Box::new(Request { id, op: op.clone() })));
        }
        cluster.asked.insert(id, Asked { op, why, is_doubted: false, is_parked });
        id
    }

    /// What became of a request.
    pub(crate) fn stored(&mut self, stored: &Stored, out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(asked) = cluster.asked.remove(&stored.id).filter(|asked| !asked.is_parked) else {
            self.stats.cluster.stale_answers += 1;
            return;
        };
        let answer = match &stored.answer {
            Ok(answer) => answer,
            Err(trouble) => return self.troubled(stored.id, asked, *trouble, out),
        };
        match (asked.why, answer, asked.op) {
            (Why::Admit(outbox), Answer::Admitted(admitted), _) => self.admitted(outbox, admitted, out),
            (Why::Append(outbox), Answer::Appended(appended), Op::Append(append)) => {
                self.appended(outbox, stored.id, *appended, &append, out);
            }
            (Why::Attach(user), Answer::Attached(attached), _) => {
                self.attached(user, stored.id, attached, out);
            }
            (Why::Back(user), Answer::Attached(attached), _) => {
                self.read_back(user, stored.id, attached, out)
            }
            (Why::Renew(user, outboxes), Answer::Renewed(renewed), _) => {
                self.renewed(user, &outboxes, renewed, out);
            }
            (Why::Raise(user), Answer::Raised { raised, .. }, _) => self.raised(user, *raised, out),
            (Why::Pulse, Answer::Nodes(nodes), _) => self.nodes(nodes, out),
            (Why::Held, Answer::Hints(hints), _) => self.hinted(hints, out),
            (Why::TakeOver(user, hold), Answer::TakenOver(runs), _) => {
                self.taken_over(&user, hold, runs, out);
                if hold.is_some() {
                    self.took(out);
                }
            }
            (Why::Hold(user), Answer::Holding, _) => self.holding(user, out),
            (Why::Notice, _, _) => {}
            (
                Why::Admit(_)
                | Why::Append(_)
                | Why::Attach(_)
                | Why::Back(_)
                | Why::Renew(..)
                | Why::Raise(_)
                | Why::Pulse
                | Why::Held
                | Why::Hold(_)
                | Why::TakeOver(..),
                _,
                _,
            ) => self.stats.cluster.stale_answers += 1,
        }
    }

    /// A request has no answer. What was not carried out for certain may be told so; the rest is made again, if it must be.
    fn troubled(&mut self, id: OpId, asked: Asked, trouble: Trouble, out: &mut Effects) {
        self.stats.cluster.troubled += 1;
        let is_doubted = asked.is_doubted || trouble == Trouble::InDoubt;
        if mutant!(self.config, DoubtIsDone)
            && let (Why::Append(outbox), Op::Append(append), true) = (&asked.why, &asked.op, is_doubted)
        {
            let have = append.first_seq + append.frames.len() as u64 - 1;
            let known = crate::store::Appended::Known { have, first: None };
            return self.appended(*outbox, id, known, append, out);
        }
        match asked.why {
            Why::Admit(outbox) if !is_doubted => return self.not_admitted(outbox, out),
            Why::Attach(user) => self.degrade(user, out),
            Why::Renew(user, _) => self.not_renewed(user),
            Why::Admit(_)
            | Why::Append(_)
            | Why::Back(_)
            | Why::Raise(_)
            | Why::Pulse
            | Why::Held
            | Why::TakeOver(..)
            | Why::Hold(_)
            | Why::Notice => {}
        }
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        if !cluster.is_wanted(id, &asked.why) {
            return;
        }
        cluster.asked.insert(id, Asked { is_doubted, is_parked: true, ..asked });
        self.arrange_again();
    }

    /// Sets the time at which parked requests are made again.
    fn arrange_again(&mut self) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        if cluster.is_up && cluster.again_at.is_none() {
            let at = self.now.after(cluster.settings.again_us);
            cluster.again_at = Some(at);
            self.timers.set(at, Timer::Again);
        }
    }

    /// Makes the requests that wait for it, in their order.
    pub(crate) fn ask_again(&mut self, out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        if cluster.again_at.is_some_and(|at| at <= self.now) {
            cluster.again_at = None;
        }
        let parked = cluster.asked.iter().filter(|(_, asked)| asked.is_parked && cluster.may_ask(&asked.why));
        let parked: Vec<(OpId, bool)> =
            parked.map(|(id, asked)| (*id, cluster.is_wanted(*id, &asked.why))).collect();
        for (id, is_wanted) in parked {
            if !is_wanted {
                cluster.asked.remove(&id);
                continue;
            }
            let Some(asked) = cluster.asked.get_mut(&id) else { continue };
            asked.is_parked = false;
            self.stats.cluster.requests += 1;
            self.stats.cluster.repeated += 1;
            out.push(Effect::Store(Box::new(Request { id, op: asked.op.clone() })));
        }
    }

    /// The way to the store changed.
    pub(crate) fn store_way(&mut self, way: Way, out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        match way {
            Way::Up => {
                cluster.is_up = true;
                cluster.up_since = self.now;
                let is_first = !core::mem::replace(&mut cluster.is_pulsing, true);
                if is_first {
                    self.pulse(out);
                }
                self.check_all(out);
                self.ask_again(out);
            }
            Way::Down => cluster.is_up = false,
            Way::Listening => self.catch_up_all(out),
            Way::Deaf => {}
        }
    }

    /// Whether the store can be reached, as far as is known. Always so for a node alone.
    pub fn is_store_up(&self) -> bool {
        self.cluster.as_deref().is_none_or(|cluster| cluster.is_up)
    }

    /// Whether anything of the user is on its way into the log, or asked of the store.
    pub(crate) fn is_owed(&self, user: UserRef) -> bool {
        let replica = self.cluster.as_deref().and_then(|cluster| cluster.replicas.get(&user));
        replica.is_some_and(|replica| !replica.outboxes.is_empty())
    }

    /// Whether anything is on its way into the log.
    pub(crate) fn owes_events(&self) -> bool {
        self.stats.cluster.pending > 0 || self.stats.cluster.in_doubt > 0
    }

    /// Recounts what the counters claim of a node of several.
    pub(crate) fn verify_cluster(&self) -> Result<(), alloc::string::String> {
        let Some(cluster) = self.cluster.as_deref() else { return Ok(()) };
        let waiting = cluster.outboxes.values().map(|outbox| outbox.unlogged());
        let levels = [
            ("events on their way into the log", self.stats.cluster.pending, waiting.sum()),
            (
                "messages in doubt",
                self.stats.cluster.in_doubt,
                cluster.outboxes.values().filter(|outbox| outbox.is_in_doubt).count() as u64,
            ),
        ];
        match levels.into_iter().find(|(_, claimed, counted)| claimed != counted) {
            Some((what, claimed, counted)) => {
                Err(alloc::format!("{what}: counter says {claimed}, there are {counted}"))
            }
            None => Ok(()),
        }
    }
}
