//! What the router keeps of a user.

use alloc::{collections::VecDeque, format, sync::Arc, vec::Vec};

use smallvec::SmallVec;

use super::{receipts::Share, standing::Standing};
use crate::dedupe::Dedupe;
use crate::{
    config::Config,
    contract::{Frame, Instant, RunRef, Tier, UserId},
};

/// Micro-tokens of one inbound message in the token bucket.
pub(super) const MESSAGE: u64 = 1_000_000;

/// A run event in the recovery window.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) frame: Frame,
    /// `None`: of interest to every connection.
    pub(crate) thread: Option<Arc<str>>,
    pub(crate) run: u64,
    pub(crate) seq: u64,
}

/// A client that went away and may come back: holds its unacknowledged events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ghost {
    pub(crate) acked: u64,
    pub(crate) until: Instant,
}

/// Longest id kept inline, in bytes.
const SHORT_ID: usize = 30;

/// One user: identity, limits in use, connections, runs, recovery window.
///
/// What every message touches comes first and needs no pointer followed: with a million users each line of
/// memory is a miss.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct User {
    generation: u32,
    pub(crate) tier: Tier,
    /// Length of `short_id`; 0 when the id is longer.
    short_len: u8,
    short_id: [u8; SHORT_ID],
    /// Token bucket in micro-tokens.
    pub(super) tokens: u64,
    pub(super) refilled: Instant,
    /// Fingerprint of `thread`.
    thread_mark: u64,
    pub(crate) runs: SmallVec<[RunRef; 2]>,
    pub(super) dedupe: Dedupe,
    pub(crate) conns: SmallVec<[u32; 4]>,
    /// Last cursor issued.
    pub(crate) cursor: u64,
    /// Every event up to here is delivered or given up.
    pub(crate) settled: u64,
    /// Every event up to here was written to some connection.
    pub(crate) delivered: u64,
    /// The first event that only connections restricted to other threads were there for.
    pub(crate) unheard: Option<u64>,
    pub(crate) id: UserId,
    /// Conversation of messages that name none.
    thread: Option<Arc<str>>,
    /// The newest events; the last one's cursor is `cursor`, without holes.
    pub(crate) log: VecDeque<Logged>,
    pub(crate) log_bytes: usize,
    pub(crate) ghosts: Vec<Ghost>,
    pub(crate) idle_since: Instant,
    pub(crate) audited: Option<Instant>,
    pub(crate) audits_suppressed: u64,
    pub(super) threads: u64,
    pub(super) standing: Standing,
    /// Shares of receipts that count an event of the window as kept, and its cursor, ascending.
    pub(super) promised: VecDeque<(Share, u64)>,
    /// Known only because something was put by: never connected.
    pub(super) awaited: bool,
    /// The latest timer set for the recovery window.
    pub(crate) due: Instant,
}

impl User {
    pub(super) fn new(id: UserId, tier: Tier) -> Self {
        let mut short_id = [0; SHORT_ID];
        let short_len = if id.len() <= SHORT_ID {
            short_id[..id.len()].copy_from_slice(id.as_bytes());
            id.len() as u8
        } else {
            0
        };
        Self {
            generation: 0,
            tier,
            short_len,
            short_id,
            tokens: u64::MAX,
            refilled: Instant::default(),
            thread_mark: 0,
            runs: SmallVec::new(),
            dedupe: Dedupe::default(),
            conns: SmallVec::new(),
            cursor: 0,
            settled: 0,
            delivered: 0,
            unheard: None,
            id,
            thread: None,
            log: VecDeque::new(),
            log_bytes: 0,
            ghosts: Vec::new(),
            idle_since: Instant::default(),
            audited: None,
            audits_suppressed: 0,
            threads: 0,
            standing: Standing::default(),
            promised: VecDeque::new(),
            awaited: false,
            due: Instant::default(),
        }
    }

    pub(super) fn reuse(&mut self, id: UserId, tier: Tier) {
        *self = Self { generation: self.generation, ..Self::new(id, tier) };
    }

    /// Frees the slot; handles to it are stale from now on.
    pub(super) fn free(&mut self) {
        let generation = self.generation + 1;
        *self = Self { generation, ..Self::new("".into(), Tier::Free) };
    }

    pub(super) const fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) fn is(&self, generation: u32) -> bool {
        self.generation == generation && !self.id.is_empty()
    }

    /// Something of each line of memory that a message or an event needs, so many pointers away.
    pub(super) fn lines(&self, step: u8) -> u64 {
        let here = || {
            let lengths = self.runs.len() ^ self.dedupe.len() ^ self.conns.len() ^ self.log.len();
            lengths as u64 ^ self.cursor ^ u64::from(self.thread.is_some()) ^ u64::from(self.generation)
        };
        match step {
            0 => here() ^ self.due.as_micros() ^ self.log_bytes as u64,
            1 => self.log.back().map_or(0, |logged| logged.seq),
            2 => self.log.iter().fold(0, |lines, logged| {
                let frame = logged.frame.bytes();
                lines ^ u64::from(frame.is_unique()) ^ u64::from(frame.first().copied().unwrap_or_default())
            }),
            _ => 0,
        }
    }

    /// The id's bytes, without a pointer followed when it is short.
    pub(crate) fn id_bytes(&self) -> &[u8] {
        match self.short_len {
            0 => self.id.as_bytes(),
            len => &self.short_id[..len as usize],
        }
    }

    /// The id as a text of its own: sharing `id` would touch a line of memory that nothing else needs.
    pub(crate) fn copied_id(&self) -> UserId {
        core::str::from_utf8(self.id_bytes()).unwrap_or(&self.id).into()
    }

    /// Whether the user is known only because something was put by, and never was here.
    pub(crate) const fn is_awaited(&self) -> bool {
        self.awaited
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.conns.is_empty() && self.runs.is_empty()
    }

    /// Takes one message's worth from the token bucket, if it is there.
    pub(crate) fn take_token(&mut self, now: Instant, config: &Config) -> bool {
        let full = u64::from(config.rate_burst) * MESSAGE;
        let earned = now.since(self.refilled).saturating_mul(u64::from(config.rate_per_s));
        let earned = if mutant!(config, NoRefill) { 0 } else { earned };
        self.tokens = self.tokens.saturating_add(earned).min(full);
        self.refilled = now;
        let granted = self.tokens >= MESSAGE;
        if granted {
            self.tokens -= MESSAGE;
        }
        granted
    }

    /// Nobody who was there wanted the event with that cursor: it stays undelivered.
    pub(crate) fn skip(&mut self, cursor: u64) {
        self.unheard = Some(self.unheard.map_or(cursor, |first| first.min(cursor)));
    }

    /// `cursor`, or the last one before the first event that nobody wanted.
    pub(crate) fn up_to_unheard(&self, cursor: u64) -> u64 {
        self.unheard.map_or(cursor, |first| cursor.min(first - 1))
    }

    /// A connection that always wanted everything was written everything up to `cursor`.
    pub(crate) fn heard(&mut self, cursor: u64) {
        if self.unheard.is_some_and(|first| first <= cursor) {
            self.unheard = None;
        }
        self.delivered = self.delivered.max(self.up_to_unheard(cursor));
    }

    /// Gives up the window, and the places that are kept in it.
    pub(super) fn empty_window(&mut self) {
        self.settled = self.cursor;
        self.unheard = None;
        self.log.clear();
        self.log.shrink_to_fit();
        self.log_bytes = 0;
        self.ghosts.clear();
    }

    /// Cursor of the oldest event in the window; one past the newest when there is none.
    pub(crate) fn log_first(&self) -> u64 {
        self.cursor + 1 - self.log.len() as u64
    }

    /// The event with that cursor, while it is in the window.
    pub(crate) fn logged(&self, cursor: u64) -> Option<&Logged> {
        self.log.get(cursor.checked_sub(self.log_first())? as usize)
    }

    /// Number of the run that the message with that fingerprint started, if it came within the dedupe window.
    pub(crate) fn seen(&mut self, message: u64, now: Instant, config: &Config) -> Option<u64> {
        self.dedupe.find(message, now, config.dedupe())
    }

    pub(crate) fn remember(&mut self, message: u64, run: u64, now: Instant, config: &Config) {
        self.dedupe.remember(message, run, now, config.dedupe());
    }

    /// When the last remembered message id may be forgotten.
    pub(crate) fn dedupe_until(&self, config: &Config) -> Option<Instant> {
        self.dedupe.until(config.dedupe())
    }

    /// The conversation of messages that name none.
    pub(crate) const fn thread(&self) -> Option<&Arc<str>> {
        self.thread.as_ref()
    }

    /// Makes `thread` the conversation of messages that name none; answers it as the user's own text.
    pub(crate) fn enter_thread(&mut self, thread: &str) -> Arc<str> {
        let (mark, thread) = (fingerprint(thread.as_bytes()), Arc::<str>::from(thread));
        if mark != self.thread_mark || self.thread.is_none() {
            self.thread_mark = mark;
            self.thread = Some(thread.clone());
        }
        thread
    }

    /// A new conversation of this user; the id carries its owner.
    pub(crate) fn new_thread(&mut self) -> Arc<str> {
        self.threads += 1;
        format!("thread-{:016x}-{}", fingerprint(self.id.as_bytes()), self.threads).into()
    }

    /// Whether the user may speak in that thread: a thread id issued by the router names its owner, any other
    /// name is the user's own and denotes nothing of anybody else's.
    pub(crate) fn may_use_thread(&self, thread: &str) -> bool {
        issued_to(thread).is_none_or(|owner| owner == fingerprint(self.id.as_bytes()))
    }
}

/// Whether the router issued that thread id, to whomever.
pub(crate) fn is_issued_thread(thread: &str) -> bool {
    issued_to(thread).is_some()
}

/// The owner's fingerprint in a thread id that the router issued.
fn issued_to(thread: &str) -> Option<u64> {
    let (owner, number) = thread.strip_prefix("thread-")?.split_once('-')?;
    let issued = owner.len() == 16
        && owner.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit());
    if issued { u64::from_str_radix(owner, 16).ok() } else { None }
}

/// A 64-bit hash of a text's bytes, eight bytes a step: multiply-and-fold (the mixing step of wyhash, Wang Yi 2019).
/// Not against an adversary: a user who collides their own ids fools only themselves.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    const K0: u64 = 0xa076_1d64_78bd_642f;
    const K1: u64 = 0xe703_7ed1_a0b4_28db;
    let fold = |a: u64, b: u64| {
        let wide = u128::from(a) * u128::from(b);
        wide as u64 ^ (wide >> 64) as u64
    };
    let mut hash = fold(bytes.len() as u64 ^ K0, K1);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = fold(hash ^ u64::from_le_bytes(word), K0);
    }
    let mut tail = [0; 8];
    tail[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    fold(hash ^ u64::from_le_bytes(tail) ^ K1, K0)
}

/// Whether a text is fit to be a user id: 1 to 128 printable characters, no white space.
pub(crate) fn is_user_id(id: &str) -> bool {
    let printable = |c: char| !c.is_control() && !c.is_whitespace();
    !id.is_empty() && id.chars().count() <= 128 && id.chars().all(printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_gives_its_burst_and_then_its_rate() {
        let config = Config { rate_per_s: 2, rate_burst: 3, ..Config::default() };
        let mut user = User::new("ada".into(), Tier::Free);
        let t0 = Instant::from_micros(1_000_000_000);
        let granted = |user: &mut User, at| (0..10).filter(|_| user.take_token(at, &config)).count();
        assert_eq!(granted(&mut user, t0), 3);
        assert_eq!(granted(&mut user, t0.after(499_999)), 0);
        assert_eq!(granted(&mut user, t0.after(1_000_000)), 2);
    }

    #[test]
    fn issued_threads_name_their_owner() {
        let (mut ada, eve) = (User::new("ada".into(), Tier::Free), User::new("eve".into(), Tier::Free));
        let thread = ada.new_thread();
        assert!(issued_to(&thread).is_some());
        assert!(ada.may_use_thread(&thread) && !eve.may_use_thread(&thread));
        assert!(ada.may_use_thread("holiday") && eve.may_use_thread("holiday"));
        let next = ada.new_thread();
        assert!(thread.ends_with("-1") && next.ends_with("-2"), "{thread} {next}");
        for nobodys in [
            "thread-abc-1",
            "thread-0123456789ABCDEF-1",
            "thread-0123456789abcdef-",
            "thread-0123456789abcdef-1x",
            "thread-0123456789abcdef",
            "0123456789abcdef-1",
        ] {
            assert_eq!(issued_to(nobodys), None, "{nobodys}");
        }
        assert_eq!(issued_to("thread-0123456789abcdef-17"), Some(0x0123_4567_89ab_cdef));
    }
}
