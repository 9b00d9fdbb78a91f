//! What waits for users who are away, and how it reaches them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Hazard, Manager};
use crate::legacy::sink::Message;

/// How many entries may wait for a user.
pub(super) const QUEUE_MAX: usize = 50;
/// Pause before the first entry is sent.
const PAUSE_US: u64 = 100_000;
/// Time for one entry.
const ENTRY_US: u64 = 3_000_000;
/// Time for all entries when a connection is added.
pub(super) const CONNECT_US: u64 = 5_000_000;
/// Time for all entries when somebody has waited for the connection.
const AWAITED_US: u64 = 2_000_000;
/// How often somebody who waits looks.
const LOOK_US: u64 = 100_000;
/// Attempts of one entry by hand.
const ATTEMPTS_MAX: u64 = 3;
/// Members that only entries have.
const NOTES: [&str; 3] = ["failure_reason", "failed_at", "recovery_attempts"];

/// Who holds the user's lock while entries are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Under {
    /// Each send takes it for itself.
    EachSend,
    /// Whoever asked for the recovery.
    Caller,
}

impl Manager {
    /// Keeps an event that nobody took.
    pub(super) fn store(&self, user: &str, event: &Message, reason: &str) {
        let seconds = self.0.event_loop.now_us() as f64 / 1e6;
        let mut entry = event.clone();
        for (key, value) in NOTES.into_iter().zip([reason.into(), seconds.into(), 0.into()]) {
            entry.insert(key.to_owned(), value);
        }
        let mut books = self.0.books.borrow_mut();
        *books.failures.entry(user.to_owned()).or_default() += 1;
        let queue = books.queues.entry(user.to_owned()).or_default();
        queue.push(entry);
        let over = queue.len().saturating_sub(self.0.queue_max);
        queue.drain(..over);
        if over > 0 && !self.has(Hazard::M5) {
            *books.untold.entry(user.to_owned()).or_default() += over as u64;
        }
    }

    /// Sends what waits for a user.
    pub(super) async fn recover(&self, user: &str, limit_us: u64, under: Under) {
        if self.0.books.borrow().queues.get(user).is_none_or(Vec::is_empty) {
            return;
        }
        if self.has(Hazard::M4) {
            // Whatever is not sent by then has left the queue already.
            let _ = self.0.event_loop.timeout(limit_us, self.empty_then_send(user, under)).await;
        } else {
            self.send_then_remove(user, under).await;
        }
    }

    async fn empty_then_send(&self, user: &str, under: Under) {
        let entries = self.0.books.borrow_mut().queues.get_mut(user).map(std::mem::take);
        self.0.event_loop.sleep(PAUSE_US).await;
        let gap = self.gap(user);
        for entry in gap.into_iter().chain(entries.unwrap_or_default()) {
            let event = recovered(entry);
            let sending = async {
                self.count_event();
                let _guard = match under {
                    Under::EachSend => Some(self.lock_of(user).acquire().await),
                    Under::Caller => None,
                };
                let (ids, failed) = self.send_in_turn(user, &event).await;
                self.settle(user, &event, &ids, failed);
            };
            let _ = self.0.event_loop.timeout(ENTRY_US, sending).await;
        }
    }

    async fn send_then_remove(&self, user: &str, under: Under) {
        if under == Under::EachSend {
            self.0.event_loop.sleep(PAUSE_US).await;
        }
        loop {
            let _guard = match under {
                Under::EachSend => Some(self.lock_of(user).acquire().await),
                Under::Caller => None,
            };
            if let Some(gap) = self.gap(user) {
                self.send_in_turn(user, &recovered(gap)).await;
            }
            let first = self.0.books.borrow().queues.get(user).and_then(|queue| queue.first().cloned());
            let Some(entry) = first else { return };
            self.count_event();
            let (ids, failed) = self.send_in_turn(user, &recovered(entry)).await;
            let written = failed.len() < ids.len();
            self.remove_failed(user, failed);
            if !written {
                return;
            }
            if let Some(queue) = self.0.books.borrow_mut().queues.get_mut(user) {
                queue.remove(0);
            }
        }
    }

    /// What a client has to be told about entries that a full queue lost.
    fn gap(&self, user: &str) -> Option<Message> {
        let missed = self.0.books.borrow_mut().untold.remove(user)?;
        json!({"type": "recovery_gap", "missed": missed}).as_object().cloned()
    }

    /// Tries what waits once more, by hand; how many entries were tried.
    pub async fn attempt_message_recovery(&self, user: &str) -> usize {
        if !self.is_connection_active(user) {
            return 0;
        }
        let entries = self.0.books.borrow_mut().queues.get_mut(user).map(std::mem::take);
        let mut tried = 0;
        for mut entry in entries.unwrap_or_default() {
            let attempts = entry.get("recovery_attempts").and_then(Value::as_u64).unwrap_or_default();
            if attempts >= ATTEMPTS_MAX {
                continue;
            }
            let reason = entry.get("failure_reason").cloned().unwrap_or_default();
            entry = recovered(entry);
            entry.insert("original_failure".to_owned(), reason);
            tried += usize::from(self.send_to_user(&user.into(), &entry).await.is_ok());
        }
        tried
    }

    /// Waits for a user to connect; whether that happened in time. Then what waits is sent.
    pub async fn wait_for_connection(&self, user: &str, timeout_us: u64) -> bool {
        let since = self.0.event_loop.now_us();
        // Sums of tenths of a second were a hair below the timeout: there is a look more than it has room for.
        while self.0.event_loop.now_us() - since <= timeout_us {
            if self.is_connection_active(user) {
                self.recover(user, AWAITED_US, Under::EachSend).await;
                return true;
            }
            self.0.event_loop.sleep(LOOK_US).await;
        }
        false
    }

    /// What waits, by user: the events with reason, time and attempts among their members.
    pub fn recovery_queues(&self) -> BTreeMap<String, Vec<Message>> {
        self.0.books.borrow().queues.clone()
    }

    /// How often something had to wait, by user.
    pub fn error_counts(&self) -> BTreeMap<String, u64> {
        self.0.books.borrow().failures.clone()
    }
}

fn recovered(mut entry: Message) -> Message {
    for note in NOTES {
        entry.remove(note);
    }
    entry.insert("recovered".to_owned(), true.into());
    entry
}
