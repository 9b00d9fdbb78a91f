//! What was dispatched lately, user by user.

use alloc::{
    collections::{BTreeMap, VecDeque},
    format,
    string::String,
    sync::Arc,
};

use super::Envelope;
use crate::{
    audience::{Audience, UserRef},
    config::Config,
    contract::Instant,
};

/// A message that was dispatched.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    at: Instant,
    received: Arc<Envelope>,
    left: Option<Arc<Envelope>>,
    bytes: usize,
}

impl Record {
    pub(super) fn new(at: Instant, received: Arc<Envelope>, left: Option<Arc<Envelope>>) -> Self {
        let bytes = received.bytes() + left.as_deref().map_or(0, Envelope::bytes);
        Self { at, received, left, bytes }
    }

    /// When it came.
    pub const fn at(&self) -> Instant {
        self.at
    }

    /// The message as it came.
    pub fn received(&self) -> &Envelope {
        &self.received
    }

    /// The message as middleware and handlers left it: its payload and headers amended. A message that was put in its
    /// place is another one, and not in here; nor is a redirection.
    pub fn left(&self) -> &Envelope {
        self.left.as_deref().unwrap_or(&self.received)
    }

    /// Bytes that count towards the limit.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[derive(Clone, Debug, Default)]
struct Ring {
    records: VecDeque<Record>,
    bytes: usize,
}

impl Ring {
    /// Takes a record in; answers how many were forgotten for it, itself included when it is too large.
    fn push(&mut self, record: Record, config: &Config) -> u64 {
        let (max, bytes_max) =
            (config.route_history_messages_max as usize, config.route_history_bytes_max as usize);
        if max == 0 || record.bytes > bytes_max {
            return 1;
        }
        let mut forgotten = 0;
        while self.records.len() >= max || self.bytes + record.bytes > bytes_max {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= oldest.bytes;
            forgotten += 1;
        }
        self.bytes += record.bytes;
        self.records.push_back(record);
        forgotten
    }
}

/// Bounded rings: one of the services' own messages, one per user whom the router knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Histories {
    services: Ring,
    users: BTreeMap<UserRef, Ring>,
}

impl Histories {
    pub(super) fn of(&self, user: Option<UserRef>) -> impl DoubleEndedIterator<Item = &Record> {
        let ring = match user {
            Some(user) => self.users.get(&user),
            None => Some(&self.services),
        };
        ring.into_iter().flat_map(|ring| &ring.records)
    }

    /// Answers how many records were forgotten for it.
    pub(super) fn push(&mut self, user: Option<UserRef>, record: Record, config: &Config) -> u64 {
        let ring = match user {
            Some(user) => self.users.entry(user).or_default(),
            None => &mut self.services,
        };
        ring.push(record, config)
    }

    pub(super) fn users_len(&self) -> usize {
        self.users.len()
    }

    /// The user is gone, and what was kept for it, too. Answers how many records that were.
    pub(super) fn forget(&mut self, user: UserRef) -> u64 {
        self.users.remove(&user).map_or(0, |ring| ring.records.len() as u64)
    }

    /// Recounts; answers how many records there are.
    pub(super) fn verify(&self, audience: &Audience, config: &Config) -> Result<u64, String> {
        let mut kept = 0;
        for (user, ring) in core::iter::once((None, &self.services))
            .chain(self.users.iter().map(|(user, ring)| (Some(*user), ring)))
        {
            if user.is_some_and(|user| !audience.knows(user)) {
                return Err(String::from("a history of a user who is gone"));
            }
            let whose = user.map(|user| &*audience.user(user).id);
            let counted: usize = ring.records.iter().map(Record::bytes).sum();
            if ring.bytes != counted
                || counted > config.route_history_bytes_max as usize
                || ring.records.len() > config.route_history_messages_max as usize
            {
                return Err(format!("history of {whose:?}: a bound does not hold"));
            }
            if ring.records.iter().any(|record| record.received.user.as_deref() != whose) {
                return Err(format!("history of {whose:?}: holds a message of somebody else"));
            }
            kept += ring.records.len() as u64;
        }
        Ok(kept)
    }
}
