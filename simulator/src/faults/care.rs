//! What a client that must reckon with faults minds: whether the other end still lives, what was not answered, when to
//! try again. One [`Care`] per tab; it says what to do, and the world does it.
//!
//! It knows what a client knows: the frames it received, the clock, and what `docs/wire.md` promises.
//!
//! - Nothing comes for a while: a ping; no answer to that: another connection, with the cursor.
//! - A connection that brings no welcome, or not what its welcome says there is: another one.
//! - A message without an answer is sent again under its `message_id`. The answer `duplicate` without a run says that the
//!   run is over: its end was lost on the way, and is fetched by another connection.
//! - A run of another tab that falls silent: likewise.
//! - Failed attempts wait longer and longer; and many messages are sent again a few at a time, as a server refuses a crowd.

use crate::plan::ActionKind;

/// From a connection's first step to its welcome.
pub(crate) const CONNECT_US: u64 = 10_000_000;
/// Silence after which a ping is sent; below the 25 s after which the router asks by itself.
pub(crate) const SILENCE_US: u64 = 15_000_000;
/// From the ping to a sign of life; from the welcome to what it says there is.
pub(crate) const PROBE_US: u64 = 5_000_000;
/// From a message to the first word about it.
pub(crate) const ANSWER_US: u64 = 10_000_000;
/// Silence of a run that is known to be open.
pub(crate) const RUN_US: u64 = 30_000_000;
/// Between two messages that are sent again, once so many went at once. With as many new ones as a plan has, that stays below
/// the rejected frames for which a server closes a connection.
const AGAIN_US: u64 = 1_500_000;
const AGAIN_AT_ONCE: u64 = 3;
/// The longest of them.
pub(crate) const LONGEST_US: u64 = RUN_US;

/// One tab's worries.
#[derive(Debug, Default)]
pub(crate) struct Care {
    /// When the connection was begun; `None` while there is none.
    since_us: Option<u64>,
    /// The user's cursor when the connection was welcomed; `None` before that.
    owed: Option<u64>,
    heard_at_us: u64,
    probed_at_us: Option<u64>,
    /// The last event of a run.
    event_at_us: u64,
    /// Attempts that failed, since everything was well.
    failures: u32,
    asked: Vec<Asked>,
    /// When all that was sent again so far would have been, one by one.
    again_us: u64,
    /// When the world will ask what to do; `u64::MAX` if it was not told to.
    alarm_us: u64,
    /// Whether this connection is one that was made to see whether anything is missing.
    looking: bool,
    /// When the server last said that something is missing for good.
    gap_us: Option<u64>,
}

/// A message that has not been dealt with.
#[derive(Debug)]
pub(crate) struct Asked {
    message_id: Box<str>,
    action: ActionKind,
    /// First sent.
    at_us: u64,
    /// Sent last, or heard of last.
    last_us: u64,
    sent: u32,
    /// Whether the server showed that it has it.
    known: bool,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Wait,
    Ping,
    /// Sends the message of that place again.
    Repeat(usize),
    /// Drops the connection and makes another.
    Reconnect,
}

impl Care {
    pub(crate) fn new() -> Self {
        Self { alarm_us: u64::MAX, ..Self::default() }
    }

    /// A connection is begun. `looking`: to see whether anything is missing.
    pub(crate) fn connecting(&mut self, now_us: u64, looking: bool) {
        *self = Self {
            since_us: Some(now_us),
            owed: None,
            probed_at_us: None,
            heard_at_us: now_us,
            looking,
            asked: std::mem::take(&mut self.asked),
            ..*self
        };
    }

    /// The connection is no more.
    pub(crate) fn disconnected(&mut self) {
        self.since_us = None;
        self.owed = None;
        self.looking = false;
    }

    /// A frame came.
    pub(crate) fn heard(&mut self, now_us: u64) {
        self.heard_at_us = now_us;
        self.probed_at_us = None;
    }

    /// The welcome came. If the server `forgot` what it knew, every open message is unknown to it.
    pub(crate) fn welcomed(&mut self, now_us: u64, cursor: u64, forgot: bool) {
        self.owed = Some(cursor);
        self.event_at_us = now_us;
        for asked in &mut self.asked {
            asked.known &= !forgot;
        }
        if forgot {
            self.gap(now_us);
        }
    }

    /// The server says that something is missing for good.
    pub(crate) fn gap(&mut self, now_us: u64) {
        self.gap_us = Some(now_us);
    }

    /// The server says that the message's run is over. If its end was not seen and may be in a gap, the message is dealt
    /// with; false if the end must still come.
    pub(crate) fn settled_by_gap(&mut self, message_id: &str) -> bool {
        let gap_us = self.gap_us;
        let Some(asked) = self.of(message_id) else { return true };
        let settled = gap_us.is_some_and(|gap_us| gap_us >= asked.at_us);
        if settled {
            self.answered(message_id);
        }
        settled
    }

    /// What was asked for the answer says that it failed: that is an answer to a question, and no end of a run.
    pub(crate) fn failed_to_answer(&mut self, now_us: u64, message_id: &str) {
        let asked = self.of(message_id).map(|asked| matches!(asked.action, ActionKind::Quality(_)));
        match asked {
            Some(true) => self.answered(message_id),
            Some(false) => self.refused(now_us, message_id),
            None => {}
        }
    }

    /// Everything that the welcome spoke of has come: the connection is a good one.
    pub(crate) fn caught_up(&mut self) {
        self.failures = 0;
    }

    /// A connection failed: how often in a row.
    pub(crate) fn failed(&mut self) -> u32 {
        self.failures += 1;
        self.failures - 1
    }

    /// A message goes out, or would if there were a connection.
    pub(crate) fn asks(&mut self, now_us: u64, message_id: &str, action: &ActionKind) {
        self.asked.push(Asked {
            message_id: message_id.into(),
            action: action.clone(),
            at_us: now_us,
            last_us: now_us,
            sent: 1,
            known: false,
        });
    }

    /// An event of a run came; `ends`: its last.
    pub(crate) fn event(&mut self, now_us: u64, request_id: &str, ends: bool) {
        self.event_at_us = now_us;
        if ends {
            self.answered(request_id);
        } else {
            self.known(now_us, request_id);
        }
    }

    /// The server showed that it has the message.
    pub(crate) fn known(&mut self, now_us: u64, message_id: &str) {
        if let Some(asked) = self.of(message_id) {
            (asked.known, asked.last_us) = (true, now_us);
        }
    }

    /// The message was refused: it is sent again in a while.
    pub(crate) fn refused(&mut self, now_us: u64, message_id: &str) {
        if let Some(asked) = self.of(message_id) {
            (asked.known, asked.last_us) = (false, now_us);
        }
    }

    /// The message is dealt with.
    pub(crate) fn answered(&mut self, message_id: &str) {
        self.asked.retain(|asked| *asked.message_id != *message_id);
    }

    /// Whether the message is not dealt with.
    pub(crate) fn awaits(&self, message_id: &str) -> bool {
        self.asked.iter().any(|asked| *asked.message_id == *message_id)
    }

    /// The messages that were not dealt with.
    pub(crate) fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// The message of that place goes out again.
    pub(crate) fn repeats(&mut self, now_us: u64, place: usize) -> Option<&Asked> {
        let asked = self.asked.get_mut(place)?;
        self.again_us = self.again_us.max(now_us) + AGAIN_US;
        asked.last_us = now_us;
        asked.sent += 1;
        Some(asked)
    }

    /// The places of the messages that were sent before this connection and that the server has not shown to have; no more
    /// than may go at once.
    pub(crate) fn unknown(&self, now_us: u64) -> Vec<usize> {
        let since_us = self.since_us.unwrap_or_default();
        let unknown = |asked: &Asked| !asked.known && asked.last_us < since_us;
        let ahead_us = self.again_us.saturating_sub(now_us);
        let count = (AGAIN_AT_ONCE * AGAIN_US).saturating_sub(ahead_us) / AGAIN_US;
        (0..self.asked.len()).filter(|place| unknown(&self.asked[*place])).take(count as usize).collect()
    }

    /// Whether there is a connection and its welcome came.
    pub(crate) const fn is_welcomed(&self) -> bool {
        self.owed.is_some()
    }

    /// The cursor that the welcome spoke of.
    pub(crate) const fn owed(&self) -> Option<u64> {
        self.owed
    }

    /// Whether the connection was made to see whether anything is missing.
    pub(crate) const fn is_looking(&self) -> bool {
        self.looking
    }

    /// What to do now, if anything. `behind`: what the welcome spoke of has not all come; `follows`: runs of other tabs are
    /// open.
    pub(crate) fn step(&mut self, now_us: u64, behind: bool, follows: bool) -> Step {
        match self.next(behind, follows) {
            Some((at_us, step)) if at_us <= now_us => {
                if step == Step::Ping {
                    self.probed_at_us = Some(now_us);
                }
                step
            }
            Some(_) | None => Step::Wait,
        }
    }

    /// When to ask again what to do, unless that is arranged already.
    pub(crate) fn alarm(&mut self, behind: bool, follows: bool) -> Option<u64> {
        let (at_us, _) = self.next(behind, follows)?;
        let sooner = at_us < self.alarm_us;
        self.alarm_us = self.alarm_us.min(at_us);
        sooner.then_some(at_us)
    }

    /// The alarm rings.
    pub(crate) fn rings(&mut self) {
        self.alarm_us = u64::MAX;
    }

    /// The step that is due first.
    fn next(&self, behind: bool, follows: bool) -> Option<(u64, Step)> {
        let since_us = self.since_us?;
        let Some(_) = self.owed else { return Some((since_us + CONNECT_US, Step::Reconnect)) };
        let alive = match self.probed_at_us {
            Some(probed_us) => (probed_us + PROBE_US, Step::Reconnect),
            None => (self.heard_at_us + SILENCE_US, Step::Ping),
        };
        let behind = behind.then_some((self.event_at_us + PROBE_US, Step::Reconnect));
        let follows = follows.then_some((self.event_at_us + RUN_US, Step::Reconnect));
        let again_us = self.again_us.saturating_sub((AGAIN_AT_ONCE - 1) * AGAIN_US);
        let unanswered = self.asked.iter().enumerate().map(|(place, asked)| {
            let due_us = asked.last_us + if asked.known { RUN_US } else { ANSWER_US };
            (due_us.max(again_us), Step::Repeat(place))
        });
        let others = behind.into_iter().chain(follows).chain(unanswered);
        others.chain([alive]).min_by_key(|(at_us, _)| *at_us)
    }

    fn of(&mut self, message_id: &str) -> Option<&mut Asked> {
        self.asked.iter_mut().find(|asked| *asked.message_id == *message_id)
    }
}

impl Asked {
    pub(crate) fn action(&self) -> &ActionKind {
        &self.action
    }

    /// What it waits for, in words.
    pub(crate) fn waits_for(&self) -> String {
        let Asked { message_id, at_us, last_us, sent, known, .. } = self;
        let [at, last] = [at_us, last_us].map(|us| *us as f64 / 1e6);
        let what = if *known { "its end" } else { "a first word about it" };
        format!(
            "message {message_id} of {at:.6} s waits for {what}; sent {sent} times, heard of last at {last:.6} s"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Care {
        let mut care = Care::new();
        care.connecting(0, false);
        care.heard(100);
        care.welcomed(100, 7, false);
        care
    }

    #[test]
    fn silence_is_probed_and_a_dead_end_given_up() {
        let mut care = opened();
        assert_eq!(care.step(SILENCE_US, false, false), Step::Wait);
        assert_eq!(care.alarm(false, false), Some(SILENCE_US + 100));
        assert_eq!(care.alarm(false, false), None, "once is enough");
        assert_eq!(care.step(SILENCE_US + 100, false, false), Step::Ping);
        assert_eq!(care.step(SILENCE_US + PROBE_US, false, false), Step::Wait);
        assert_eq!(care.step(SILENCE_US + PROBE_US + 100, false, false), Step::Reconnect);
        care.heard(SILENCE_US + PROBE_US);
        assert_eq!(care.step(SILENCE_US + PROBE_US + 100, false, false), Step::Wait);
    }

    #[test]
    fn an_unanswered_message_goes_out_again_until_its_end() {
        let mut care = opened();
        care.asks(1_000, "m1", &ActionKind::Ping);
        assert_eq!(care.step(ANSWER_US + 1_000, false, false), Step::Repeat(0));
        assert_eq!(care.repeats(ANSWER_US + 1_000, 0).map(|asked| asked.sent), Some(2));
        assert_eq!(care.step(ANSWER_US + 1_001, false, false), Step::Wait);
        care.event(ANSWER_US + 2_000, "m1", false);
        care.heard(RUN_US);
        assert_eq!(care.step(RUN_US, false, false), Step::Wait);
        assert_eq!(care.unknown(RUN_US), [] as [usize; 0]);
        care.connecting(RUN_US, false);
        care.welcomed(RUN_US, 0, true);
        assert_eq!(care.unknown(RUN_US), [0], "the server forgot");
        care.event(RUN_US, "m1", true);
        assert!(care.asked().is_empty());
    }

    #[test]
    fn of_many_unanswered_messages_a_few_go_at_once_and_then_one_by_one() {
        let mut care = opened();
        (0..9).for_each(|number| care.asks(1_000, &format!("m{number}"), &ActionKind::Ping));
        let now_us = 2_000_000;
        care.connecting(now_us, false);
        care.welcomed(now_us, 0, false);
        care.heard(ANSWER_US);
        let at_once = care.unknown(now_us);
        assert_eq!(at_once, [0, 1, 2]);
        at_once.into_iter().for_each(|place| _ = care.repeats(now_us, place));
        assert_eq!(care.unknown(now_us), [] as [usize; 0]);
        let due_us = ANSWER_US + 1_000;
        for place in 3..6 {
            assert_eq!(care.step(due_us, false, false), Step::Repeat(place));
            assert!(care.repeats(due_us, place).is_some());
        }
        assert_eq!(care.step(due_us, false, false), Step::Wait);
        assert_eq!(care.step(due_us + AGAIN_US, false, false), Step::Repeat(6));
    }

    #[test]
    fn an_end_that_may_be_in_a_gap_is_not_waited_for() {
        let mut care = opened();
        care.asks(1_000, "m1", &ActionKind::Ping);
        assert!(!care.settled_by_gap("m1"), "it must be fetched");
        care.gap(2_000);
        care.asks(3_000, "m2", &ActionKind::Ping);
        assert!(care.settled_by_gap("m1") && !care.settled_by_gap("m2"));
        assert!(care.settled_by_gap("m1"), "it is dealt with");
        care.failed_to_answer(4_000, "m2");
        assert_eq!(care.asked().len(), 1);
    }

    #[test]
    fn without_its_welcome_or_what_that_owes_a_connection_is_no_good() {
        let mut care = Care::new();
        assert_eq!(care.step(1, true, true), Step::Wait, "there is none");
        care.connecting(0, true);
        assert_eq!(care.step(CONNECT_US, false, false), Step::Reconnect);
        care.heard(1);
        care.welcomed(1, 9, false);
        assert_eq!(care.step(PROBE_US, true, false), Step::Wait);
        assert_eq!(care.step(PROBE_US + 1, true, false), Step::Reconnect);
        assert_eq!((care.failed(), care.failed()), (0, 1));
        care.caught_up();
        assert_eq!(care.failed(), 0);
        care.disconnected();
        assert_eq!(care.step(u64::MAX, true, true), Step::Wait);
    }
}
