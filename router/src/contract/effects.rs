//! Frames, and the ordered list of effects that shares them.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use bytestring::ByteString;

use super::{ConnId, Effect};

/// One outbound text frame: valid JSON, valid UTF-8, shared by all its recipients.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(ByteString);

impl Frame {
    pub(crate) fn copy_of(text: &str) -> Self {
        Self(text.into())
    }

    /// The frame's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The frame's bytes; cloning them shares the allocation.
    pub fn bytes(&self) -> &Bytes {
        self.0.as_bytes()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the frame has no text; never true for a frame that the router made.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Position of a frame in its [`Effects`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameIx(u32);

/// Ordered effects of one or more inputs. Reuse it: after warm-up, appending allocates nothing.
#[derive(Debug, Default)]
pub struct Effects {
    list: Vec<Effect>,
    /// The frames, each with how many effects name it.
    frames: Vec<(Frame, u32)>,
}

impl Effects {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all effects and keeps the memory.
    pub fn clear(&mut self) {
        self.list.clear();
        self.frames.clear();
    }

    /// The effects, in the order in which they must happen.
    pub fn iter(&self) -> core::slice::Iter<'_, Effect> {
        self.list.iter()
    }

    /// How many effects there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The frame an effect names. Panics for an index of another list, which is a fault of the caller.
    pub fn frame(&self, ix: FrameIx) -> &Frame {
        &self.frames[ix.0 as usize].0
    }

    /// The frame for one of the effects that name it; the last to ask gets it whole, and it is empty from then on. For one
    /// recipient, nothing is shared. Panics like [`frame`](Self::frame).
    pub fn hand_out(&mut self, ix: FrameIx) -> Frame {
        let (frame, left) = &mut self.frames[ix.0 as usize];
        *left = left.saturating_sub(1);
        if *left == 0 { core::mem::replace(frame, Frame(ByteString::new())) } else { frame.clone() }
    }

    /// How many different frames the effects share.
    pub fn frames_len(&self) -> usize {
        self.frames.len()
    }

    /// The frames sent to one connection, in order.
    pub fn frames_to(&self, to: ConnId) -> impl Iterator<Item = &Frame> {
        self.list.iter().filter_map(move |effect| {
            let Effect::Send { conn, frame } = effect else { return None };
            (*conn == to).then(|| self.frame(*frame))
        })
    }

    /// Makes room for that many more.
    pub(crate) fn reserve(&mut self, effects: usize) {
        self.list.reserve(effects);
    }

    /// Appends an effect. A router does so by itself; this is for models that stand in for one.
    pub fn push(&mut self, effect: Effect) {
        if let Effect::Send { frame, .. } | Effect::Refused { frame, .. } = &effect
            && let Some((_, named)) = self.frames.get_mut(frame.0 as usize)
        {
            *named += 1;
        }
        self.list.push(effect);
    }

    /// [`push`](Self::push) of one of many that name the same frame: they are counted together, by
    /// [`count_names`](Self::count_names).
    ///
    /// The connection comes in parts: as a whole it would be put together in memory, and read back from there while its parts
    /// are still on their way.
    #[inline]
    pub(crate) fn push_uncounted(&mut self, [index, generation, user_hint]: [u32; 3], frame: FrameIx) {
        if self.list.len() < self.list.capacity() {
            self.list.push(Effect::Send { conn: ConnId { index, generation, user_hint }, frame });
        } else {
            self.push_and_grow(ConnId { index, generation, user_hint }, frame);
        }
    }

    #[cold]
    #[inline(never)]
    fn push_and_grow(&mut self, conn: ConnId, frame: FrameIx) {
        self.list.push(Effect::Send { conn, frame });
    }

    /// So many more effects name that frame.
    pub(crate) fn count_names(&mut self, ix: FrameIx, times: u32) {
        self.frames[ix.0 as usize].1 += times;
    }

    /// Takes in the text of a frame, for effects to name. For models that stand in for a router: what they write is
    /// theirs to answer for, so the text is not checked.
    pub fn text(&mut self, text: &str) -> FrameIx {
        self.share(Frame::copy_of(text))
    }

    pub(crate) fn share(&mut self, frame: Frame) -> FrameIx {
        self.frames.push((frame, 0));
        FrameIx(self.frames.len() as u32 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_recipient_of_a_frame_gets_it_whole() {
        let mut effects = Effects::new();
        let (one, two) = (effects.text("one"), effects.text("two"));
        let conn = |index| ConnId { index, generation: 0, user_hint: 0 };
        for (index, frame) in [(0, one), (1, two), (2, one)] {
            effects.push(Effect::Send { conn: conn(index), frame });
        }
        assert_eq!(effects.hand_out(one).as_str(), "one");
        assert_eq!(effects.frame(one).as_str(), "one", "somebody else gets it, too");
        assert_eq!(effects.hand_out(two).as_str(), "two");
        assert_eq!(effects.hand_out(one).as_str(), "one");
        assert!(effects.frame(one).is_empty() && effects.frame(two).is_empty());
    }
}
