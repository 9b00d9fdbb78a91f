//! The way between clients and the router: delay drawn per message, first in first out in both directions; a
//! lost connection loses what is on its way; a client that does not read fills its socket's buffer, and what the
//! buffer does not take stays unwritten.
//!
//! A scenario's faults decide on each thing when it enters the network. Without a rule for its connection nothing is asked.

mod queue;
mod strike;

use std::collections::VecDeque;

use router::{Close, ConnId, Frame};

use crate::faults::{Cargo, FaultCounts, LinkFaults};
use crate::few::Few;
use crate::prng::{Domain, Prng};
use crate::scenario::MicrosRange;

pub(crate) use queue::{Event, LinkRef, Queue, SOON_MAX};
pub(crate) use strike::Late;

/// Frames that the buffers of a connection's two sockets hold together, when they do not flow.
pub(crate) const SOCKET_FRAMES: usize = 16;

/// Bytes that they hold.
pub(crate) const SOCKET_BYTES: usize = 32 * 1024;

/// How long a closing handshake may take before the server gives up.
pub(crate) const CLOSE_TIMEOUT_US: u64 = 1_000_000;

/// On its way to the server.
#[derive(Clone, Debug)]
pub(crate) enum Up {
    /// The upgrade request.
    Connect { resume: Option<u64> },
    /// A text frame.
    Text(String),
    /// A WebSocket pong.
    Pong,
    /// A close frame.
    Close,
}

/// On its way to the client.
#[derive(Clone, Debug)]
pub(crate) enum Down {
    /// A text frame.
    Frame(Frame),
    /// A WebSocket ping.
    Ping,
    /// A close frame.
    Close(Close),
    /// The transport's word that the other end is gone. Only where there are faults; else clients know at once.
    Reset,
}

/// One connection of a tab, as the network sees it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) user: u32,
    pub(crate) tab: u8,
    /// The router's connection; `None` before it is accepted and if it was turned away.
    pub(crate) conn: Option<ConnId>,
    /// Whether the client still holds it.
    pub(crate) held: bool,
    /// Whether the client's end died and the server was not told: what it sends fills the buffers.
    pub(crate) deaf: bool,
    /// Whether the upgrade request reached the server.
    pub(crate) known: bool,
    /// Whether the server's end is gone and the client has not learned of it.
    pub(crate) orphaned: bool,
    /// Whether the client does not read for now.
    pub(crate) stalled: bool,
    /// Things at the head of `down` that have arrived and wait to be read.
    pub(crate) arrived: u32,
    /// Frames written and not yet reported.
    pub(crate) written: u32,
    /// Frames that the socket's buffer did not take.
    pub(crate) unwritten: VecDeque<Down>,
    pub(crate) up: Few<Up>,
    pub(crate) down: Few<Down>,
    down_bytes: usize,
    up_at_us: u64,
    down_at_us: u64,
    generation: u32,
    delays: Delays,
    faults: Option<Box<LinkFaults>>,
    /// Things that others may overtake, by the numbers they were given.
    late: Vec<(u32, strike::Late)>,
}

/// A link's delays. A few are drawn at once: the numbers of chance stand in memory of their own, which is far away when a delay
/// is due.
#[derive(Debug)]
struct Delays {
    /// The next one last.
    drawn_us: [u64; 4],
    left: usize,
    prng: Prng,
}

impl Delays {
    fn new(prng: Prng) -> Self {
        Self { drawn_us: [0; 4], left: 0, prng }
    }

    /// The next one; `latency` is the same for all of a link.
    fn draw(&mut self, latency: MicrosRange) -> u64 {
        if self.left == 0 {
            self.drawn_us.iter_mut().rev().for_each(|drawn_us| *drawn_us = latency.draw(&mut self.prng));
            self.left = self.drawn_us.len();
        }
        self.left -= 1;
        self.drawn_us[self.left]
    }
}

/// All links.
#[derive(Debug)]
pub(crate) struct Links {
    /// How often each kind of verdict was given.
    pub(crate) tally: FaultCounts,
    /// Connections on which something did not arrive as it was sent; the world takes them.
    pub(crate) struck: Vec<LinkRef>,
    late: u32,
    slots: Vec<Option<Box<Link>>>,
    generations: Vec<u32>,
    /// Whose link a slot's is, or was last.
    owners: Vec<u32>,
    /// By user: the slot of the newest link, or `u32::MAX`.
    newest: Vec<u32>,
    free: Vec<u32>,
    latency: MicrosRange,
    seed: u64,
}

impl Links {
    pub(crate) fn new(latency: MicrosRange, seed: u64) -> Self {
        Self {
            tally: FaultCounts::default(),
            struck: Vec::new(),
            late: 0,
            slots: Vec::new(),
            generations: Vec::new(),
            owners: Vec::new(),
            newest: Vec::new(),
            free: Vec::new(),
            latency,
            seed,
        }
    }

    /// A link for the `number`th connection of a tab.
    pub(crate) fn open(
        &mut self,
        now_us: u64,
        (user, tab): (u32, u8),
        number: u32,
        faults: Option<Box<LinkFaults>>,
    ) -> LinkRef {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.generations.push(0);
            self.owners.push(user);
            self.slots.len() as u32 - 1
        });
        let generation = self.generations[index as usize];
        self.owners[index as usize] = user;
        if self.newest.len() <= user as usize {
            self.newest.resize(user as usize + 1, u32::MAX);
        }
        self.newest[user as usize] = index;
        let stream = u64::from(user) << 24 | u64::from(tab) << 16 | u64::from(number & 0xffff);
        self.slots[index as usize] = Some(Box::new(Link {
            user,
            tab,
            conn: None,
            held: true,
            deaf: false,
            known: false,
            orphaned: false,
            stalled: false,
            arrived: 0,
            written: 0,
            unwritten: VecDeque::new(),
            up: Few::default(),
            down: Few::default(),
            down_bytes: 0,
            up_at_us: now_us,
            down_at_us: now_us,
            generation,
            delays: Delays::new(Prng::stream(self.seed, Domain::Network, stream)),
            faults,
            late: Vec::new(),
        }));
        LinkRef { index, generation }
    }

    /// The link, unless its slot has been given up since.
    pub(crate) fn get(&mut self, link: LinkRef) -> Option<&mut Link> {
        let current = self.slots.get_mut(link.index as usize)?.as_deref_mut()?;
        (current.generation == link.generation).then_some(current)
    }

    /// Whether something may have come to the client that it has not read.
    pub(crate) fn is_unread(&self, link: LinkRef) -> bool {
        let current = self.slots.get(link.index as usize).and_then(Option::as_deref);
        current.is_some_and(|current| {
            current.generation == link.generation && (current.stalled || current.arrived > 0)
        })
    }

    /// Gives up a link's slot.
    pub(crate) fn free(&mut self, link: LinkRef) {
        if self.get(link).is_some() {
            self.slots[link.index as usize] = None;
            self.generations[link.index as usize] += 1;
            self.free.push(link.index);
        }
    }

    /// The link of a slot in use.
    pub(crate) fn current(&self, index: u32) -> Option<LinkRef> {
        let link = self.slots.get(index as usize)?.as_ref()?;
        Some(LinkRef { index, generation: link.generation })
    }

    /// Whose link stands in a slot, or did last.
    pub(crate) fn owner(&self, index: u32) -> Option<u32> {
        self.owners.get(index as usize).copied()
    }

    /// The slot of a user's newest link, if there ever was one.
    pub(crate) fn newest(&self, user: u32) -> Option<u32> {
        self.newest.get(user as usize).copied().filter(|index| *index != u32::MAX)
    }

    /// What stands in a slot.
    pub(crate) fn at(&self, index: u32) -> Option<&Link> {
        self.slots.get(index as usize)?.as_deref()
    }

    /// All links in use, in the order of their slots.
    pub(crate) fn all(&self) -> Vec<LinkRef> {
        (0..self.slots.len() as u32).filter_map(|index| self.current(index)).collect()
    }

    /// Links in use.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Puts a thing on its way to the server.
    pub(crate) fn send_up(&mut self, now_us: u64, link: LinkRef, thing: Up, queue: &mut Queue) {
        let latency = self.latency;
        let Some(current) = self.get(link) else { return };
        let mut delay_us = current.delays.draw(latency);
        if let Up::Connect { .. } = thing {
            // The transport's own handshake, there and back, comes before the request.
            delay_us += current.delays.draw(latency) + current.delays.draw(latency);
        }
        if current.faults.is_some() {
            return self.send_up_struck(now_us, link, thing, delay_us, queue);
        }
        current.up_at_us = current.up_at_us.max(now_us + delay_us);
        current.up.push_back(thing);
        queue.set(current.up_at_us, Event::Up { link });
    }

    /// Hands a thing to the server's socket: on its way if the buffers have room, else kept unwritten.
    pub(crate) fn send_down(&mut self, now_us: u64, link: LinkRef, thing: Down, queue: &mut Queue) -> bool {
        let latency = self.latency;
        let Some(current) = self.get(link) else { return false };
        if !current.held && !current.deaf {
            return false; // lost, and never reported as written: the socket is dying
        }
        if current.unwritten.is_empty() && current.has_room(now_us, latency) {
            if current.faults.is_some() {
                self.put_down_struck(now_us, thing, link, queue);
                return self.get(link).is_some_and(|current| current.written > 0);
            }
            current.put_down(now_us, thing, latency, link, queue);
            return current.written > 0;
        }
        current.unwritten.push_back(thing);
        false
    }

    /// Takes the oldest thing that arrived at the client, and lets the socket write on. True if frames were
    /// written.
    #[inline]
    pub(crate) fn read(&mut self, now_us: u64, link: LinkRef, queue: &mut Queue) -> Option<(Down, bool)> {
        let latency = self.latency;
        let current = self.get(link)?;
        let thing = current.down.pop_front()?;
        if let Down::Frame(frame) = &thing {
            current.down_bytes -= frame.len();
        }
        let before = current.written;
        if current.faults.is_some() {
            return Some((thing, self.write_on_struck(now_us, link, queue)));
        }
        while current.has_room(now_us, latency)
            && let Some(next) = current.unwritten.pop_front()
        {
            current.put_down(now_us, next, latency, link, queue);
        }
        Some((thing, current.written > before))
    }

    /// A delay for something that is no message, such as the news that a connection is gone.
    pub(crate) fn delay_us(&mut self, link: LinkRef) -> u64 {
        let latency = self.latency;
        self.get(link).map_or(0, |link| link.delays.draw(latency))
    }
}

impl Link {
    /// Something of each line of memory that its next message needs, so many pointers away.
    pub(crate) fn lines(&self, step: u8) -> u64 {
        let text = |bytes: &[u8]| bytes.iter().step_by(64).fold(0, |lines, byte| lines ^ u64::from(*byte));
        let (up, down) = (self.up.front(), self.down.front());
        match step {
            0 => {
                let lengths = self.up.len() ^ self.down.len() ^ self.unwritten.len();
                u64::from(self.user) ^ self.down_at_us ^ lengths as u64
            }
            1 => u64::from(matches!(up, Some(Up::Pong)) ^ matches!(down, Some(Down::Ping))),
            2 => match (up, down) {
                (Some(Up::Text(up)), _) => text(up.as_bytes()),
                (_, Some(Down::Frame(frame))) => text(frame.bytes()) ^ u64::from(frame.bytes().is_unique()),
                (_, _) => 0,
            },
            _ => 0,
        }
    }

    /// The client lets go: what is on its way, or not yet written, is lost. The server finds out later.
    pub(crate) fn let_go(&mut self) {
        self.held = false;
        self.down.clear();
        self.unwritten = VecDeque::new();
        self.arrived = 0;
        self.down_bytes = 0;
    }

    /// The client's end dies, and nobody is told.
    pub(crate) fn die(&mut self) {
        (self.held, self.deaf, self.arrived) = (false, true, 0);
    }

    /// Frames handed to the socket whose writing the router has not been told of.
    pub(crate) fn unreported(&self) -> u32 {
        self.written + self.unwritten.iter().filter(|thing| matches!(thing, Down::Frame(_))).count() as u32
    }

    /// Whether a frame can be written. What flows to a client that reads is on the wire and fills no buffer.
    fn has_room(&self, now_us: u64, latency: MicrosRange) -> bool {
        let late = self.down_at_us > now_us + latency.high.us();
        let flows = !(self.deaf || self.stalled || late) && self.arrived == 0;
        flows || self.down.len() < SOCKET_FRAMES && self.down_bytes < SOCKET_BYTES
    }

    fn put_down(&mut self, now_us: u64, thing: Down, latency: MicrosRange, link: LinkRef, queue: &mut Queue) {
        self.count_written(&thing);
        if let Down::Frame(frame) = &thing {
            self.down_bytes += frame.len();
        }
        self.down_at_us = self.down_at_us.max(now_us + self.delays.draw(latency));
        self.down.push_back(thing);
        queue.set(self.down_at_us, Event::Down { link });
    }

    fn count_written(&mut self, thing: &Down) {
        self.written += u32::from(matches!(thing, Down::Frame(_)));
    }
}
