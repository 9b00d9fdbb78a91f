//! Who hears of a topic. A subscription is the user's, not a connection's: it lives while the user has a connection
//! or an unexpired recovery window, and every connection of the user hears of it.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{Audience, Owner, Sealed, UserRef, delivery::Flow};
use crate::contract::Frame;

/// The subscribers of each topic; a topic without any is not kept.
#[derive(Debug, Default)]
pub(super) struct Topics(BTreeMap<Box<str>, BTreeSet<UserRef>>);

impl Audience {
    /// Lets a user hear of a topic; `false` if they do already.
    pub(crate) fn subscribe_topic(&mut self, user: UserRef, topic: &str) -> bool {
        match self.topics.0.get_mut(topic) {
            Some(subscribers) => subscribers.insert(user),
            None => self.topics.0.insert(topic.into(), BTreeSet::from([user])).is_none(),
        }
    }

    /// Lets a user hear no more of a topic; `false` if they did not.
    pub(crate) fn unsubscribe_topic(&mut self, user: UserRef, topic: &str) -> bool {
        let Some(subscribers) = self.topics.0.get_mut(topic) else { return false };
        let left = subscribers.remove(&user);
        if subscribers.is_empty() {
            self.topics.0.remove(topic);
        }
        left
    }

    /// Lets a user hear no more of anything.
    pub(crate) fn leave_topics(&mut self, user: UserRef) {
        self.topics.0.retain(|_, subscribers| {
            subscribers.remove(&user);
            !subscribers.is_empty()
        });
    }

    /// The subscribers of a topic.
    pub(crate) fn topic_subscribers(&self, topic: &str) -> impl Iterator<Item = UserRef> + '_ {
        self.topics.0.get(topic).into_iter().flatten().copied()
    }

    /// How many users subscribed to a topic.
    pub(crate) fn topic_len(&self, topic: &str) -> usize {
        self.topics.0.get(topic).map_or(0, BTreeSet::len)
    }

    /// Whether a user subscribed to a topic.
    pub(crate) fn is_subscribed(&self, user: UserRef, topic: &str) -> bool {
        self.topics.0.get(topic).is_some_and(|subscribers| subscribers.contains(&user))
    }

    /// Whether every subscriber is a user that is known.
    pub(crate) fn topics_hold(&self) -> bool {
        self.topics
            .0
            .values()
            .all(|subscribers| !subscribers.is_empty() && subscribers.iter().all(|user| self.knows(*user)))
    }

    /// Hands a frame to the open connections of all who are subscribed now; it is not kept for the others.
    pub(crate) fn publish_topic(&mut self, topic: &str, frame: &Frame, flow: &mut Flow<'_>) {
        let snapshot: Vec<UserRef> = self.topic_subscribers(topic).collect();
        for user in snapshot {
            self.with_owner(user, |audience, owner| {
                let sealed: Sealed<'_> = owner.seal(frame.clone());
                audience.tell(&owner, &sealed, flow);
            });
        }
    }

    /// Hands a frame that is no run event to every open connection of its owner; it is not kept for those away.
    pub(crate) fn tell<'b>(&mut self, owner: &Owner<'b>, sealed: &Sealed<'b>, flow: &mut Flow<'_>) {
        let Self { conns, users, .. } = self;
        super::delivery::fan_out(conns, &users[owner.user.index as usize].conns, &sealed.frame, flow);
    }
}
