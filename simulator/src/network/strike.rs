//! The network where rules decide: what is sent is late, lost, doubled, overtaken or garbled.

use router::{Effects, Frame};

use super::{Cargo, Down, Event, Link, LinkRef, Links, Queue, Up};
use crate::faults::{Fate, garble};

/// Something that others may overtake.
#[derive(Debug)]
pub(crate) enum Late {
    Up(Up),
    Down(Down),
}

impl Links {
    /// [`send_up`](Links::send_up) under rules.
    pub(super) fn send_up_struck(
        &mut self,
        now_us: u64,
        link: LinkRef,
        thing: Up,
        mut delay_us: u64,
        queue: &mut Queue,
    ) {
        let fate = self.fate(now_us, link, true, thing.cargo());
        let (thing, copies) = match (fate, thing) {
            (Fate::Lost, _) => return,
            (Fate::Overtaken(by_us), thing) => {
                return self.send_late(now_us + delay_us + by_us, link, Late::Up(thing), queue);
            }
            (Fate::Garbled(at), Up::Text(text)) => (Up::Text(garble(&text, at)), 1),
            (Fate::Twice, thing) => (thing, 2),
            (Fate::Later(by_us), thing) => {
                delay_us += by_us;
                (thing, 1)
            }
            (Fate::NotBefore(_) | Fate::Arrives | Fate::Garbled(_), thing) => (thing, 1),
        };
        let Some(current) = self.get(link) else { return };
        current.up_at_us = current.up_at_us.max(now_us + delay_us).max(fate.not_before());
        for _ in 0..copies {
            current.up.push_back(thing.clone());
            queue.set(current.up_at_us, Event::Up { link });
        }
    }

    /// Hands a thing to a socket that has room for it, under rules.
    pub(super) fn put_down_struck(&mut self, now_us: u64, thing: Down, link: LinkRef, queue: &mut Queue) {
        let latency = self.latency;
        if self.get(link).is_some_and(|current| current.deaf) {
            if let Some(current) = self.get(link) {
                current.swallow(thing);
            }
            return;
        }
        let fate = self.fate(now_us, link, false, thing.cargo());
        let Some(current) = self.get(link) else { return };
        let delay_us = current.delays.draw(latency);
        match (fate, thing) {
            // To the server it is written: its socket took it.
            (Fate::Lost, thing) => current.count_written(&thing),
            (Fate::Overtaken(by_us), thing) => {
                current.count_written(&thing);
                self.send_late(now_us + delay_us + by_us, link, Late::Down(thing), queue);
            }
            (Fate::Garbled(at), Down::Frame(frame)) => {
                let garbled = Down::Frame(frame_of(&garble(frame.as_str(), at)));
                current.travel(garbled, now_us + delay_us, link, queue);
            }
            (Fate::Twice, thing) => {
                current.travel(thing.clone(), now_us + delay_us, link, queue);
                let written = current.written;
                current.travel(thing, now_us + delay_us, link, queue);
                // One frame was written, and the network made two of it.
                current.written = written;
            }
            (Fate::Later(by_us), thing) => current.travel(thing, now_us + delay_us + by_us, link, queue),
            (Fate::NotBefore(_) | Fate::Arrives | Fate::Garbled(_), thing) => {
                current.travel(thing, (now_us + delay_us).max(fate.not_before()), link, queue);
            }
        }
    }

    /// Lets a socket write on, as far as there is room; true if frames were written.
    pub(super) fn write_on_struck(&mut self, now_us: u64, link: LinkRef, queue: &mut Queue) -> bool {
        let latency = self.latency;
        let before = self.get(link).map_or(0, |current| current.written);
        while let Some(current) = self.get(link).filter(|current| current.has_room(now_us, latency))
            && let Some(next) = current.unwritten.pop_front()
        {
            self.put_down_struck(now_us, next, link, queue);
        }
        self.get(link).is_some_and(|current| current.written > before)
    }

    /// What becomes of the news that the client is gone: when it arrives, if it does.
    pub(crate) fn news_at(&mut self, now_us: u64, link: LinkRef) -> Option<u64> {
        let delay_us = self.delay_us(link);
        match self.fate(now_us, link, true, Cargo::Control) {
            Fate::Lost => None,
            Fate::Later(by_us) => Some(now_us + delay_us + by_us),
            fate @ (Fate::Arrives
            | Fate::Twice
            | Fate::Overtaken(_)
            | Fate::Garbled(_)
            | Fate::NotBefore(_)) => Some((now_us + delay_us).max(fate.not_before())),
        }
    }

    /// Takes a thing that others were allowed to overtake.
    pub(crate) fn take_late(&mut self, link: LinkRef, number: u32) -> Option<Late> {
        let late = &mut self.get(link)?.late;
        let at = late.iter().position(|(known, _)| *known == number)?;
        Some(late.swap_remove(at).1)
    }

    fn send_late(&mut self, at_us: u64, link: LinkRef, thing: Late, queue: &mut Queue) {
        self.late += 1;
        let number = self.late;
        if let Some(current) = self.get(link) {
            current.late.push((number, thing));
            queue.set(at_us, Event::Late { link, number });
        }
    }

    fn fate(&mut self, now_us: u64, link: LinkRef, up: bool, cargo: Cargo) -> Fate {
        let Some(faults) = self.get(link).and_then(|current| current.faults.as_deref_mut()) else {
            return Fate::Arrives;
        };
        let Some((fate, kind)) = faults.fate(now_us, up, cargo) else { return Fate::Arrives };
        self.tally.add(kind);
        if fate.disturbs() {
            self.struck.push(link);
        }
        fate
    }
}

impl Link {
    /// Puts a thing at the head of what the client can read: it was late, and has arrived.
    pub(crate) fn arrive_late(&mut self, thing: Down) {
        if let Down::Frame(frame) = &thing {
            self.down_bytes += frame.len();
        }
        self.down.insert((self.arrived as usize).min(self.down.len()), thing);
        self.arrived += 1;
    }

    /// Written, and on its way.
    fn travel(&mut self, thing: Down, at_us: u64, link: LinkRef, queue: &mut Queue) {
        self.count_written(&thing);
        if let Down::Frame(frame) = &thing {
            self.down_bytes += frame.len();
        }
        self.down_at_us = self.down_at_us.max(at_us);
        self.down.push_back(thing);
        queue.set(self.down_at_us, Event::Down { link });
    }

    /// Written to a socket whose other end is dead: it stays in the buffers.
    fn swallow(&mut self, thing: Down) {
        self.count_written(&thing);
        if let Down::Frame(frame) = &thing {
            self.down_bytes += frame.len();
        }
        self.down.push_back(thing);
    }
}

impl Fate {
    const fn not_before(self) -> u64 {
        if let Fate::NotBefore(at_us) = self { at_us } else { 0 }
    }
}

impl Up {
    const fn cargo(&self) -> Cargo {
        match self {
            Up::Connect { .. } => Cargo::Upgrade,
            Up::Text(_) => Cargo::Text,
            Up::Pong | Up::Close => Cargo::Control,
        }
    }
}

impl Down {
    const fn cargo(&self) -> Cargo {
        match self {
            Down::Frame(_) => Cargo::Text,
            Down::Ping | Down::Close(_) | Down::Reset => Cargo::Control,
        }
    }
}

fn frame_of(text: &str) -> Frame {
    let mut effects = Effects::new();
    let index = effects.text(text);
    effects.frame(index).clone()
}
