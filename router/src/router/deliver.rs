//! The host's deliveries: whom an event is for, what it may say, and the receipt.

use alloc::{boxed::Box, string::String, sync::Arc};

use super::Router;
use crate::{
    audience::{Entry, UserRef, is_issued_thread, is_user_id},
    contract::{
        Authority, ConnId, Context, Deliver, DeliveryRefusal, Effect, Effects, Receipt, Target, Tier,
    },
    handlers::THREAD_BYTES_MAX,
    wire::{self, Stamp},
};

/// What an event's type is called when it has none.
const UNKNOWN: &str = "\"unknown\"";

impl Router {
    pub(super) fn deliver(&mut self, deliver: &Deliver<'_>, out: &mut Effects) {
        self.stats.deliveries.requested += 1;
        // Who reads slowly keeps receipts open; that must not cost anybody else an event.
        let full = self.receipts.len() >= self.config.receipts_max as usize || self.is_beyond_count(deliver);
        let counted = Deliver { receipt: deliver.receipt.filter(|_| !full), ..*deliver };
        let refused = self.admit_delivery(&counted, out).err();
        match refused {
            Some(refusal) => self.stats.count_refusal(refusal),
            None => self.stats.deliveries.admitted += 1,
        }
        let uncounted = full && refused.is_none();
        if let Some(receipt) = deliver.receipt.filter(|_| uncounted || refused.is_some()) {
            if uncounted {
                self.stats.deliveries.receipts_opened += 1;
                self.stats.deliveries.receipts_given += 1;
                self.stats.deliveries.receipts_uncounted += 1;
            }
            let event_type = wire::delivered_type(deliver.event.get()).unwrap_or(UNKNOWN).into();
            let blank = Receipt::blank(receipt, event_type);
            out.push(Effect::Receipt(Box::new(Receipt { uncounted, refused, ..blank })));
        }
    }

    /// Whether the event goes by the shared log: then nobody here knows who gets it.
    fn is_beyond_count(&self, deliver: &Deliver<'_>) -> bool {
        let is_logged = matches!(deliver.target, Target::User(_) | Target::Thread(..) | Target::Topic(..));
        self.cluster.is_some() && is_logged
    }

    fn admit_delivery(&mut self, deliver: &Deliver<'_>, out: &mut Effects) -> Result<(), DeliveryRefusal> {
        let Deliver { target, context, event, .. } = *deliver;
        if event.get().len() > self.config.outbound_frame_bytes_max as usize {
            return Err(DeliveryRefusal::TooLarge);
        }
        match target {
            Target::Connection(user, conn) => {
                let user = self.audience.find(user).ok_or(DeliveryRefusal::UnknownUser)?;
                if !self.audience.owns(user, conn) && !mutant!(self.config, SkipOwnerCheck) {
                    return Err(DeliveryRefusal::UnknownConnection);
                }
                let event_type = self.begin_for(user, context, event.get())?;
                let receipt = self.open_receipt(deliver, event_type);
                self.deliver_to_conn(user, conn, receipt, out)
            }
            Target::User(user) => self.deliver_to_user(deliver, user, None, context, out),
            Target::Thread(user, thread) => {
                if context.thread.is_some_and(|named| named != thread) {
                    return Err(DeliveryRefusal::ForeignUser);
                }
                let context = Context { thread: Some(thread), ..context };
                self.deliver_to_user(deliver, user, Some(thread), context, out)
            }
            Target::Topic(authority, topic) => self.deliver_to_topic(deliver, authority, topic, out),
            Target::All(authority, exclude) => {
                let event_type = self.begin_for_many(context, event.get())?;
                let frame = wire::end_delivered(&mut self.writer, None, None);
                self.fits(frame.len())?;
                self.stats.frames.encoded += 1;
                let receipt = self.open_receipt(deliver, event_type);
                let (audience, mut flow) = self.flow(out);
                audience.broadcast(authority, &frame, exclude, receipt, &mut flow);
                self.seal_receipt(receipt, out);
                Ok(())
            }
        }
    }

    fn deliver_to_conn(
        &mut self,
        user: UserRef,
        conn: ConnId,
        receipt: Option<u64>,
        out: &mut Effects,
    ) -> Result<(), DeliveryRefusal> {
        let name = self.audience.user(user).id.clone();
        let frame = wire::end_delivered(&mut self.writer, Some(&name), None);
        self.stats.frames.encoded += 1;
        self.in_flow(conn, out, |audience, owner, member, flow| {
            audience.send_counted(member, owner.seal(frame), receipt, flow);
        });
        self.seal_receipt(receipt, out);
        Ok(())
    }

    fn deliver_to_user(
        &mut self,
        deliver: &Deliver<'_>,
        user: &str,
        thread: Option<&str>,
        context: Context<'_>,
        out: &mut Effects,
    ) -> Result<(), DeliveryRefusal> {
        // Looked at before a user is made of it.
        self.check_thread(context.thread, user)?;
        let known = self.audience.find(user);
        if known.is_none() && !self.may_await(user) {
            return Err(DeliveryRefusal::UnknownUser);
        }
        let event_type = match known {
            Some(user) => self.begin_for(user, context, deliver.event.get())?,
            None => self.begin_for_stranger(user, context, deliver.event.get())?,
        };
        let receipt = self.open_receipt(deliver, event_type);
        let user = known.unwrap_or_else(|| self.await_user(user, Tier::Free));
        let body = None;
        self.publish_delivered(user, thread.map(Into::into), body, receipt, out);
        self.seal_receipt(receipt, out);
        Ok(())
    }

    /// The same event for every subscriber of now, each with its own id and cursor, as if delivered to that user.
    fn deliver_to_topic(
        &mut self,
        deliver: &Deliver<'_>,
        _: &Authority,
        topic: &str,
        out: &mut Effects,
    ) -> Result<(), DeliveryRefusal> {
        let event_type = self.begin_for_many(deliver.context, deliver.event.get())?;
        let body = String::from(self.writer.finish());
        let receipt = self.open_receipt(deliver, event_type);
        for user in self.audience.topic_subscribers(topic) {
            self.publish_delivered(user, None, Some(&body), receipt, out);
        }
        self.seal_receipt(receipt, out);
        Ok(())
    }

    /// Puts the event, begun in the writer or given, into the user's log and hands it to the user's connections.
    pub(crate) fn publish_delivered(
        &mut self,
        user: UserRef,
        thread: Option<Arc<str>>,
        body: Option<&str>,
        receipt: Option<u64>,
        out: &mut Effects,
    ) {
        if mutant!(self.config, NoticeNotKept) && self.audience.user(user).conns.is_empty() {
            return;
        }
        if let Some(body) = body {
            self.writer.begin();
            self.writer.raw(body);
        }
        self.stats.frames.encoded += 1;
        if self.cluster.is_some() {
            let name = self.audience.user(user).copied_id();
            let frame = wire::end_delivered(&mut self.writer, Some(&name), None);
            return self.emit_unbound(user, thread.as_deref(), frame.as_str(), out);
        }
        let (audience, mut flow) = self.flow(out);
        audience.with_owner(user, |audience, owner| {
            let (cursor, name) = (audience.next_cursor(&owner), audience.user(user).copied_id());
            let frame = wire::end_delivered(flow.writer, Some(&name), Some(cursor));
            let entry = Entry { thread, run: 0, seq: 0 };
            audience.publish_counted(&owner, owner.seal(frame), entry, receipt, &mut flow);
        });
        let state = self.audience.user_mut(user);
        let over = state.idle_since.after(self.config.recovery_ttl_us) <= self.now;
        // A window that is over begins anew with what is put into it; so does that of somebody who is waited for, of whom
        // there are few. Else a steady stream of events would keep all who ever were here for ever.
        if state.is_idle() && (over || state.is_awaited() && body.is_none()) {
            state.idle_since = self.now;
        }
    }

    pub(crate) fn begin_for<'e>(
        &mut self,
        user: UserRef,
        context: Context<'_>,
        event: &'e str,
    ) -> Result<Option<&'e str>, DeliveryRefusal> {
        let user = self.audience.user(user);
        if context.thread.is_some_and(|thread| !is_thread(thread) || !user.may_use_thread(thread)) {
            return Err(DeliveryRefusal::ForeignThread);
        }
        let may_name = |thread: &str| user.may_use_thread(thread);
        let stamp = Stamp { user: Some(&user.id), context, may_name: &may_name, now: self.now };
        let event_type = wire::begin_delivered(&mut self.writer, event, &stamp)?;
        self.fits(self.writer.finish().len())?;
        Ok(event_type)
    }

    fn begin_for_stranger<'e>(
        &mut self,
        user: &str,
        context: Context<'_>,
        event: &'e str,
    ) -> Result<Option<&'e str>, DeliveryRefusal> {
        let may_name = |thread: &str| !is_issued_thread(thread);
        let stamp = Stamp { user: Some(user), context, may_name: &may_name, now: self.now };
        let event_type = wire::begin_delivered(&mut self.writer, event, &stamp)?;
        self.fits(self.writer.finish().len())?;
        Ok(event_type)
    }

    /// An event for several users names none of them, and no thread that is one's alone.
    fn begin_for_many<'e>(
        &mut self,
        context: Context<'_>,
        event: &'e str,
    ) -> Result<Option<&'e str>, DeliveryRefusal> {
        let may_name = |thread: &str| !is_issued_thread(thread);
        if context.thread.is_some_and(|thread| !is_thread(thread) || !may_name(thread)) {
            return Err(DeliveryRefusal::ForeignThread);
        }
        let stamp = Stamp { user: None, context, may_name: &may_name, now: self.now };
        let event_type = wire::begin_delivered(&mut self.writer, event, &stamp)?;
        self.fits(self.writer.finish().len())?;
        Ok(event_type)
    }

    fn check_thread(&self, thread: Option<&str>, user: &str) -> Result<(), DeliveryRefusal> {
        let stranger = self.audience.find(user).is_none();
        let fit = thread.is_none_or(|thread| is_thread(thread) && !(stranger && is_issued_thread(thread)));
        if fit { Ok(()) } else { Err(DeliveryRefusal::ForeignThread) }
    }

    /// What the router adds after this, the user's id and the cursor, is bounded by this much.
    fn fits(&self, bytes: usize) -> Result<(), DeliveryRefusal> {
        const TAIL_BYTES_MAX: usize = 4 * 1024;
        let max = self.config.outbound_frame_bytes_max as usize;
        if bytes + TAIL_BYTES_MAX <= max { Ok(()) } else { Err(DeliveryRefusal::TooLarge) }
    }

    /// Whether events may be kept for somebody who never was here.
    pub(crate) fn may_await(&self, user: &str) -> bool {
        is_user_id(user) && self.audience.awaited_users() < self.config.awaited_users_max
    }

    /// Takes in a user who never was here.
    pub(crate) fn await_user(&mut self, user: &str, tier: Tier) -> UserRef {
        let user = self.audience.add_awaited(user, tier);
        self.stats.connections.users = self.audience.users_len() as u64;
        self.idle(user);
        user
    }

    fn open_receipt(&mut self, deliver: &Deliver<'_>, event_type: Option<&str>) -> Option<u64> {
        deliver.receipt.map(|receipt| {
            self.stats.deliveries.receipts_opened += 1;
            self.stats.deliveries.receipts_open += 1;
            self.receipts.open(receipt, event_type.unwrap_or(UNKNOWN).into())
        })
    }

    fn seal_receipt(&mut self, receipt: Option<u64>, out: &mut Effects) {
        if let Some(receipt) = receipt {
            let (_, mut flow) = self.flow(out);
            flow.seal(receipt);
        }
    }

    pub(super) fn unregister(&mut self, user: Option<&str>, name: &str, out: &mut Effects) {
        let theirs = |conn: &ConnId| user.is_none_or(|user| self.is_of(*conn, user));
        if let Some(conn) = self.audience.named(name).filter(theirs) {
            self.close(conn, crate::contract::Close::Unregistered, out);
        }
    }

    pub(super) fn sweep_idle(&mut self, out: &mut Effects) {
        let idle = self.audience.idle_conns(self.now, self.config.idle_us);
        self.stats.connections.idle += idle.len() as u64;
        for conn in &idle {
            self.close(*conn, crate::contract::Close::Idle, out);
        }
        out.push(Effect::Swept { connections: idle.len() as u32 });
    }
}

fn is_thread(thread: &str) -> bool {
    (1..=THREAD_BYTES_MAX).contains(&thread.len())
}
