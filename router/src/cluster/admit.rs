//! Messages: taken in by the store, and only then worked on.

use alloc::{boxed::Box, sync::Arc};

use super::{
    Why,
    outbox::Outbox,
    record::{Asked, Note},
};
use crate::{
    contract::{ConnId, Effects, RunRequest},
    error::ErrorCode,
    message::Kind,
    router::Router,
    store::{Admit, Admitted, NotAdmitted, Op},
    timers::Timer,
    wire,
};

/// What a sender is told to wait before another try, milliseconds.
const RETRY_AFTER_MS: u64 = 1_000;
/// Epoch of a run that was just taken in.
pub(super) const FIRST_EPOCH: u64 = 1;

/// Who sent a message.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) conn: ConnId,
    pub(crate) kind: Kind,
    pub(crate) message_id: Option<Arc<str>>,
}

impl Router {
    /// Whether a message would be refused because the store cannot be reached; if so its sender is told.
    pub(crate) fn refuse_without_store(
        &mut self,
        conn: ConnId,
        message_id: Option<&str>,
        out: &mut Effects,
    ) -> bool {
        let refused = self.cluster.as_deref().is_some_and(|cluster| !cluster.is_up);
        if refused {
            let code = ErrorCode::BackendUnavailable;
            self.answer_error(conn, code, None, Some(RETRY_AFTER_MS), message_id, out);
        }
        refused
    }

    /// Asks the store to take a message in. Its agent starts when the store has.
    pub(crate) fn admit_message(
        &mut self,
        request: Arc<RunRequest>,
        gated: bool,
        sender: Option<Sender>,
        out: &mut Effects,
    ) {
        let Some(owner) = self.run(request.run).and_then(|run| run.owner) else { return };
        let run = request.run_id().into();
        let note = Note {
            thread: request.thread_id.clone(),
            request: request.request_id.clone(),
            tier: request.tier,
            agent: Box::default(),
            open: alloc::vec::Vec::new(),
            asked: Some(Asked {
                kind: request.kind,
                text: request.text().into(),
                payload: request.payload.clone(),
                gated,
            }),
        };
        let (open, note) = (request.run, note.encode(&mut self.writer));
        let message_id = sender.as_ref().and_then(|sender| sender.message_id.clone());
        let mut outbox = Outbox::new(owner, self.audience.user(owner).id.clone(), run, FIRST_EPOCH, 0);
        (outbox.is_admitted, outbox.is_in_doubt) = (false, true);
        (outbox.open, outbox.sender, outbox.request) = (Some(open), sender, Some(request));
        outbox.note = note;
        let number = self.open_outbox(outbox, out);
        if let Some(slot) = self.runs.get_mut(open.index()) {
            slot.outbox = number;
        }
        self.stats.cluster.offered += 1;
        self.stats.cluster.in_doubt += 1;
        self.ask_to_admit(number, message_id, out);
        if let Some(cluster) = self.cluster.as_deref() {
            self.timers.set(self.now.after(cluster.settings.doubt_us), Timer::Doubt(number));
        }
    }

    fn ask_to_admit(&mut self, number: u64, message_id: Option<Arc<str>>, out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref() else { return };
        let Some(outbox) = cluster.outboxes.get(&number) else { return };
        let admit = Admit {
            user: outbox.name.clone(),
            node: cluster.me.clone(),
            run: outbox.run.clone(),
            message_id,
            note: outbox.note.clone(),
        };
        self.ask_store(Op::Admit(admit), Why::Admit(number), out);
    }

    /// The store does not know a run of ours: it lost its tail. The run is made known again, and what is left of its
    /// events follows.
    pub(super) fn admit_again(&mut self, number: u64, out: &mut Effects) {
        let cluster = self.cluster.as_deref_mut();
        let Some(outbox) = cluster.and_then(|cluster| cluster.outboxes.get_mut(&number)) else { return };
        if outbox.is_admitted {
            outbox.is_admitted = false;
            outbox.epoch = FIRST_EPOCH;
            outbox.rewind(0);
            self.ask_to_admit(number, None, out);
        }
    }

    /// What the store says to a message.
    pub(super) fn admitted(&mut self, number: u64, admitted: &Admitted, out: &mut Effects) {
        let Some(cluster) = self.cluster.as_deref_mut() else { return };
        let Some(outbox) = cluster.outboxes.get_mut(&number) else { return };
        match admitted {
            Admitted::New => self.take_in(number, FIRST_EPOCH, out),
            // The answer to an earlier try got lost.
            Admitted::Known { run, epoch, mine: true, .. }
                if *run == outbox.run && *epoch <= outbox.epoch + 1 =>
            {
                self.take_in(number, *epoch, out);
            }
            Admitted::Known { run, .. } if *run == outbox.run => self.fenced(number, out),
            Admitted::Known { run, open, .. } => {
                let (run, open, sender) = (run.clone(), *open, outbox.sender.take());
                self.settle_admission(number, |stats| &mut stats.duplicates);
                self.stats.inbound.duplicates += 1;
                self.lose_outbox(number, out);
                self.tell_duplicate(sender, open.then_some(&*run), out);
            }
            Admitted::Refused(why) => {
                let code = match why {
                    NotAdmitted::Runs => ErrorCode::RunLimit,
                    NotAdmitted::Quota | NotAdmitted::RunTaken => ErrorCode::Overloaded,
                };
                let limit =
                    (code == ErrorCode::RunLimit).then_some(u64::from(cluster.settings.bounds.runs_max));
                self.settle_admission(number, |stats| &mut stats.refused);
                self.refuse_sender(number, code, limit, out);
            }
        }
    }

    fn take_in(&mut self, number: u64, epoch: u64, out: &mut Effects) {
        self.settle_admission(number, |stats| &mut stats.admitted);
        let cluster = self.cluster.as_deref_mut();
        let Some(outbox) = cluster.and_then(|cluster| cluster.outboxes.get_mut(&number)) else { return };
        (outbox.is_admitted, outbox.epoch, outbox.sender) = (true, epoch, None);
        if let Some(request) = outbox.request.take()
            && self.run(request.run).is_some()
        {
            self.start_agent(request, out);
        }
        self.fly(number, out);
    }

    /// The message was not carried to the store, and never will be.
    pub(super) fn not_admitted(&mut self, number: u64, out: &mut Effects) {
        self.settle_admission(number, |stats| &mut stats.refused);
        self.refuse_sender(number, ErrorCode::BackendUnavailable, Some(RETRY_AFTER_MS), out);
    }

    /// The store owes an answer for too long: the sender is told that nobody knows. The message stays asked for.
    pub(crate) fn doubt_due(&mut self, number: u64, out: &mut Effects) {
        let cluster = self.cluster.as_deref_mut();
        let outbox = cluster.and_then(|cluster| cluster.outboxes.get_mut(&number));
        let Some(sender) = outbox.and_then(|outbox| outbox.sender.take()) else { return };
        self.stats.cluster.unknown_told += 1;
        self.tell(&sender, ErrorCode::UnknownOutcome, None, out);
    }

    pub(super) fn settle_admission(
        &mut self,
        number: u64,
        outcome: impl FnOnce(&mut crate::stats::Cluster) -> &mut u64,
    ) {
        let cluster = self.cluster.as_deref_mut();
        let Some(outbox) = cluster.and_then(|cluster| cluster.outboxes.get_mut(&number)) else { return };
        // A run that was made known again was counted before.
        if core::mem::take(&mut outbox.is_in_doubt) {
            self.stats.cluster.in_doubt -= 1;
            *outcome(&mut self.stats.cluster) += 1;
        }
    }

    fn refuse_sender(&mut self, number: u64, code: ErrorCode, limit: Option<u64>, out: &mut Effects) {
        let cluster = self.cluster.as_deref_mut();
        let outbox = cluster.and_then(|cluster| cluster.outboxes.get_mut(&number));
        let sender = outbox.and_then(|outbox| outbox.sender.take());
        self.lose_outbox(number, out);
        if let Some(sender) = sender {
            self.tell(&sender, code, limit, out);
        }
    }

    fn tell(&mut self, sender: &Sender, code: ErrorCode, limit: Option<u64>, out: &mut Effects) {
        if self.audience.conn(sender.conn).is_some() {
            self.answer_error(sender.conn, code, None, limit, sender.message_id.as_deref(), out);
        }
    }

    fn tell_duplicate(&mut self, sender: Option<Sender>, run: Option<&str>, out: &mut Effects) {
        let Some(Sender { conn, kind, message_id: Some(id) }) = sender else { return };
        let Some(state) = self.audience.conn(conn) else { return };
        let user = &self.audience.user(state.user).id;
        let frame = wire::duplicate(&mut self.writer, self.now, kind, user, &id, run);
        self.stats.frames.encoded += 1;
        self.reply(conn, frame, out);
    }
}
