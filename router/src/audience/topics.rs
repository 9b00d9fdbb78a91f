//! Who wants to hear of a topic: users, never connections.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use super::{Audience, UserRef};

/// Users by topic, and topics by user. A subscription lives as long as the router knows the user: while the user has a
/// connection or a recovery window.
#[derive(Clone, Debug, Default)]
pub(super) struct Topics {
    by_topic: BTreeMap<Arc<str>, BTreeSet<UserRef>>,
    by_user: BTreeMap<UserRef, Vec<Arc<str>>>,
    per_user_max: usize,
}

impl Topics {
    pub(super) fn new(per_user_max: u32) -> Self {
        Self { per_user_max: per_user_max as usize, ..Self::default() }
    }

    fn add(&mut self, user: UserRef, topic: &str) -> bool {
        let known = self.by_user.get(&user).map_or(&[][..], Vec::as_slice);
        if known.iter().any(|known| **known == *topic) {
            return true;
        }
        if known.len() >= self.per_user_max {
            return false;
        }
        let topic: Arc<str> = match self.by_topic.get_key_value(topic) {
            Some((topic, _)) => topic.clone(),
            None => topic.into(),
        };
        self.by_topic.entry(topic.clone()).or_default().insert(user);
        self.by_user.entry(user).or_default().push(topic);
        true
    }

    fn remove(&mut self, user: UserRef, topic: &str) -> bool {
        let Some(topics) = self.by_user.get_mut(&user) else { return false };
        let before = topics.len();
        topics.retain(|known| **known != *topic);
        let removed = topics.len() < before;
        if topics.is_empty() {
            self.by_user.remove(&user);
        }
        if removed {
            self.leave(user, topic);
        }
        removed
    }

    fn leave(&mut self, user: UserRef, topic: &str) {
        let Some(users) = self.by_topic.get_mut(topic) else { return };
        users.remove(&user);
        if users.is_empty() {
            self.by_topic.remove(topic);
        }
    }

    /// What a user is subscribed to.
    pub(super) fn of(&self, user: UserRef) -> &[Arc<str>] {
        self.by_user.get(&user).map_or(&[], Vec::as_slice)
    }

    /// Forgets everything about a user.
    pub(super) fn forget(&mut self, user: UserRef) {
        for topic in self.by_user.remove(&user).unwrap_or_default() {
            self.leave(user, &topic);
        }
    }
}

impl Audience {
    /// Makes a user a subscriber of a topic; a second time changes nothing. `false` when the user is not known or has
    /// as many subscriptions as [`topics_per_user_max`](crate::Config::topics_per_user_max).
    pub(crate) fn subscribe_topic(&mut self, user: UserRef, topic: &str) -> bool {
        self.knows(user) && self.topics.add(user, topic)
    }

    /// Ends a subscription; `false` when there was none.
    pub(crate) fn unsubscribe_topic(&mut self, user: UserRef, topic: &str) -> bool {
        self.topics.remove(user, topic)
    }

    /// The subscribers at this moment. Who comes or goes while it is in use does not change it.
    pub(crate) fn topic_subscribers(&self, topic: &str) -> Vec<UserRef> {
        self.topics.by_topic.get(topic).map(|users| users.iter().copied().collect()).unwrap_or_default()
    }

    /// How many topics have a subscriber, and how many subscriptions there are.
    pub(crate) fn subscriptions(&self) -> (usize, usize) {
        (self.topics.by_topic.len(), self.topics.by_user.values().map(Vec::len).sum())
    }

    /// Ends all subscriptions of a user.
    pub(crate) fn unsubscribe_all(&mut self, user: UserRef) {
        self.topics.forget(user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Tier;

    #[test]
    fn subscriptions_are_bounded_idempotent_and_go_with_their_user() {
        let mut audience = Audience::with_topics(2);
        let (ada, eve) = (audience.find_or_add("ada", Tier::Free), audience.find_or_add("eve", Tier::Free));
        assert!(audience.subscribe_topic(ada, "a") && audience.subscribe_topic(ada, "a"));
        assert!(audience.subscribe_topic(ada, "b") && !audience.subscribe_topic(ada, "c"));
        assert!(audience.subscribe_topic(eve, "a"));
        assert_eq!(audience.topic_subscribers("a"), [ada, eve]);
        assert!(audience.unsubscribe_topic(ada, "b") && !audience.unsubscribe_topic(ada, "b"));
        assert!(audience.topic_subscribers("b").is_empty());
        audience.remove_user(ada);
        assert_eq!(audience.topic_subscribers("a"), [eve]);
        assert!(!audience.subscribe_topic(ada, "a"), "a user that is no more subscribes to nothing");
    }
}
