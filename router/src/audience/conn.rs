//! What the router keeps of a connection.

use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};
use core::num::NonZero;

use super::{Awaited, Flow, UserRef, vouch::Passed};
use crate::contract::{ConnId, Connect, Frame, Instant};

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnState {
    /// The slot is free.
    Vacant,
    /// Accepted; its messages are held.
    SettingUp,
    /// Served.
    Open,
    /// A close was asked for; nothing is sent or handled any more.
    Closing,
}

/// A frame waiting behind the socket.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) frame: Frame,
    /// 0 for a frame outside the recovery window.
    pub(crate) cursor: u64,
}

/// One connection. What every message touches comes first; the rest is boxed.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct Conn {
    generation: u32,
    pub(crate) user: UserRef,
    pub(crate) state: ConnState,
    /// Only some threads' run events are wanted; which, is in `cold`.
    pub(crate) filtered: bool,
    /// It is filtered, or was and may have passed over what it wants now.
    pub(super) partial: bool,
    /// The queue was full: run events wait in the recovery window until there is room again.
    pub(crate) lagging: bool,
    pub(crate) missed: u8,
    /// Frames the socket still takes.
    pub(crate) credit: u32,
    pub(crate) queued_bytes: u32,
    pub(crate) last_inbound: Instant,
    /// Highest cursor written.
    pub(crate) written: u64,
    /// Highest cursor handed to the socket or queued.
    pub(crate) taken: u64,
    /// The frames handed to the socket.
    pub(crate) in_flight: InFlight,
    pub(crate) queued: VecDeque<Queued>,
    pub(crate) cold: Box<Cold>,
}

/// Cursors of frames, oldest first; 0 of those without. Mostly there is one, which stands in place: a line of memory of its own
/// would be a miss for each frame.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight {
    /// One more than the first cursor.
    first: Option<NonZero<u64>>,
    rest: Vec<u64>,
}

impl InFlight {
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        self.first.iter().map(|first| first.get() - 1).chain(self.rest.iter().copied())
    }

    #[inline]
    pub(super) fn push(&mut self, cursor: u64) {
        if self.first.is_none() {
            self.first = Some(NonZero::<u64>::MIN.saturating_add(cursor));
        } else {
            self.rest.push(cursor);
        }
    }

    /// Takes out the oldest `count`, of which there are so many; answers the highest of their cursors.
    pub(super) fn take(&mut self, count: usize) -> u64 {
        let Some(others) = count.checked_sub(1) else { return 0 };
        let first = self.first.take().map_or(0, |first| first.get() - 1);
        let highest = self.rest.drain(..others).fold(first, u64::max);
        if !self.rest.is_empty() {
            let next = self.rest.remove(0);
            self.push(next);
        }
        highest
    }
}

/// What few messages touch, and first of it what each frame does: with many connections every line of it is a miss.
#[derive(Clone, Debug)]
#[repr(C)]
pub(crate) struct Cold {
    /// The one deadline that counts; one that fires earlier than this was replaced.
    pub(crate) timer_at: Instant,
    /// Frames handed to the operating system so far, and when the last one was.
    pub(crate) frames_written: u64,
    pub(crate) last_written: Option<Instant>,
    pub(crate) last_progress: Instant,
    pub(crate) last_heartbeat: Instant,
    /// The client has these for certain.
    pub(crate) acked: u64,
    pub(crate) ready_at: Instant,
    /// Frames that an open receipt waits for.
    pub(crate) awaited: Vec<Awaited>,
    pub(crate) expires_at: Option<Instant>,
    /// Messages that wait for the end of set-up, and their bytes.
    pub(crate) held: u32,
    /// It is known what its user missed: it may be opened.
    pub(crate) seated: bool,
    pub(crate) held_bytes: usize,
    /// Number in the connection's id.
    pub(crate) number: u64,
    pub(crate) resume: Option<u64>,
    pub(crate) threads: Vec<Arc<str>>,
    pub(crate) rejects: VecDeque<Instant>,
    /// The caller's own name of it.
    pub(crate) name: Option<Arc<str>>,
    /// What it passed over when it wanted other threads than now.
    pub(super) passed: Option<Passed>,
}

impl Conn {
    pub(super) fn vacant() -> Self {
        Self {
            generation: 0,
            state: ConnState::Vacant,
            filtered: false,
            partial: false,
            lagging: false,
            missed: 0,
            user: UserRef { index: 0, generation: 0 },
            credit: 0,
            queued_bytes: 0,
            last_inbound: Instant::default(),
            in_flight: InFlight::default(),
            queued: VecDeque::new(),
            written: 0,
            taken: 0,
            cold: Box::new(Cold {
                number: 0,
                acked: 0,
                resume: None,
                threads: Vec::new(),
                ready_at: Instant::default(),
                expires_at: None,
                last_heartbeat: Instant::default(),
                last_progress: Instant::default(),
                timer_at: Instant::default(),
                held: 0,
                held_bytes: 0,
                rejects: VecDeque::new(),
                name: None,
                frames_written: 0,
                last_written: None,
                awaited: Vec::new(),
                seated: true,
                passed: None,
            }),
        }
    }

    pub(super) fn occupy(
        &mut self,
        user: UserRef,
        number: u64,
        connect: &Connect<'_>,
        acked: u64,
        flow: &Flow<'_>,
    ) {
        let vacant = Self::vacant();
        *self = Self { generation: self.generation, ..vacant };
        self.state = ConnState::SettingUp;
        self.user = user;
        self.filtered = connect.thread.is_some();
        self.partial = self.filtered;
        self.credit = flow.config.socket_window_frames + u32::from(mutant!(flow.config, WindowOneMore));
        self.last_inbound = flow.now;
        self.written = acked;
        self.taken = acked;
        let cold = &mut *self.cold;
        cold.number = number;
        cold.acked = acked;
        cold.resume = connect.resume;
        cold.threads = connect.thread.map(Into::into).into_iter().collect();
        cold.ready_at = flow.now.after(flow.config.ready_after_us);
        cold.expires_at = connect.expires_at;
        cold.last_heartbeat = flow.now;
        cold.last_progress = flow.now;
        cold.timer_at = Instant::from_micros(u64::MAX);
    }

    /// Frees the slot; handles to it are stale from now on.
    pub(super) fn free(&mut self) {
        let vacant = Self::vacant();
        *self = Self { generation: self.generation + 1, ..vacant };
    }

    /// What [`id`](Self::id) is made of: index, generation, hint at the user.
    #[inline]
    pub(super) const fn id_parts(&self, index: u32) -> [u32; 3] {
        [index, self.generation, self.user.index]
    }

    /// The handle of this connection, which stands at `index`.
    pub(crate) const fn id(&self, index: u32) -> ConnId {
        ConnId { index, generation: self.generation, user_hint: self.user.index }
    }

    /// Something of each line of memory that a message or an event needs, so many pointers away.
    pub(super) fn lines(&self, step: u8) -> u64 {
        let cold = &self.cold;
        match step {
            0 => u64::from(self.credit) ^ self.in_flight.len() as u64 ^ self.queued.len() as u64 ^ self.taken,
            1 => {
                let times = cold.timer_at.as_micros() ^ cold.last_progress.as_micros();
                times ^ cold.frames_written ^ cold.awaited.len() as u64 ^ cold.acked
            }
            _ => 0,
        }
    }

    pub(super) fn is(&self, generation: u32) -> bool {
        self.generation == generation && self.in_use()
    }

    pub(crate) fn in_use(&self) -> bool {
        self.state != ConnState::Vacant
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == ConnState::Open
    }

    /// Whether events of that thread are wanted here; those of none are wanted everywhere.
    pub(crate) fn wants(&self, thread: Option<&str>) -> bool {
        !self.filtered
            || thread.is_none_or(|thread| self.cold.threads.iter().any(|wanted| **wanted == *thread))
    }

    /// Whether run events are on their way to this connection.
    pub(crate) const fn is_behind(&self) -> bool {
        self.lagging || self.taken > self.written
    }
}
