//! Frames for users that are no run events: whoever is away gets none later.

use super::{Audience, Owner, Sealed};
use crate::{
    audience::delivery::{Flow, fan_out},
    contract::Frame,
};

impl Audience {
    /// Hands a frame to every open connection of its owner.
    pub(crate) fn tell<'b>(&mut self, owner: &Owner<'b>, sealed: &Sealed<'b>, flow: &mut Flow<'_>) {
        let Self { conns, users, .. } = self;
        fan_out(conns, &users[owner.user.index as usize].conns, &sealed.frame, flow);
    }

    /// Hands a frame to the open connections of all who are subscribed to a topic now.
    pub(crate) fn tell_topic(&mut self, topic: &str, frame: &Frame, flow: &mut Flow<'_>) {
        let users = if mutant!(flow.config, AlertEverybody) {
            self.by_id.iter().map(|(_, index)| self.user_ref(*index)).collect()
        } else {
            self.topic_subscribers(topic)
        };
        for user in users {
            self.with_owner(user, |audience, owner| {
                audience.tell(&owner, &owner.seal(frame.clone()), flow);
            });
        }
    }
}
