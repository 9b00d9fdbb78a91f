//! Reading a trace.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use flate2::read::DeflateDecoder;
use simulator::trace::{Chain, Damage};

use super::{HEAD, LENGTH, SEAL, TAIL, is_packed};

/// Text of one block at most: a block that was altered must not fill the memory.
const TEXT_MAX: u64 = 256 << 20;

/// The lines of a trace as they stand in its file, each with its end, whatever they hold.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    file: R,
    /// Of a packed trace.
    blocks: Option<Blocks>,
    /// Why the file could not be read on, if so.
    pub(crate) broken: Option<io::Error>,
}

/// How far a packed trace was read.
#[derive(Debug, Default)]
struct Blocks {
    seal: Chain,
    /// Bytes of the file that were read.
    at: u64,
    /// Text that was unpacked.
    text: Vec<u8>,
    /// How much of it was given out.
    given: usize,
    /// What is wrong behind it.
    damage: Option<Damage>,
}

impl Lines<BufReader<File>> {
    /// Opens a file: packed if its name or its first bytes say so.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
        let begins_packed = file.fill_buf()?.starts_with(&HEAD[..2]);
        Ok(Self::new(file, begins_packed || is_packed(path)))
    }
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(file: R, is_packed: bool) -> Self {
        Self { file, blocks: is_packed.then(Blocks::default), broken: None }
    }

    fn plain(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        (&mut self.file).take(TEXT_MAX).read_until(b'\n', &mut line)?;
        Ok((!line.is_empty()).then_some(line))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Vec<u8>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken.is_some() {
            return None;
        }
        let next = match &mut self.blocks {
            Some(blocks) => blocks.line(&mut self.file),
            None => self.plain().map(|line| line.map(Ok)),
        };
        next.unwrap_or_else(|error| {
            self.broken = Some(error);
            None
        })
    }
}

impl Blocks {
    fn line(&mut self, file: &mut impl Read) -> io::Result<Option<Result<Vec<u8>, Damage>>> {
        loop {
            let rest = &self.text[self.given..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = rest[..=end].to_vec();
                self.given += line.len();
                return Ok(Some(Ok(line)));
            }
            if let Some(damage) = self.damage.take() {
                return Ok(Some(Err(damage)));
            }
            self.text.drain(..self.given);
            self.given = 0;
            if !self.block(file)? {
                // A line without an end is the last.
                let rest = std::mem::take(&mut self.text);
                return Ok((!rest.is_empty()).then_some(Ok(rest)));
            }
        }
    }

    /// Unpacks the next block, as far as it can be; false at the end of the file.
    fn block(&mut self, file: &mut impl Read) -> io::Result<bool> {
        let from = self.at;
        let mut head = Vec::with_capacity(HEAD.len() + LENGTH + SEAL);
        file.take(head.capacity() as u64).read_to_end(&mut head)?;
        self.at += head.len() as u64;
        if head.is_empty() {
            return Ok(false);
        }
        let is_ours = head.iter().zip(HEAD).all(|(one, two)| *one == two);
        let Some((length, seal)) = head.get(HEAD.len()..).and_then(|rest| rest.split_first_chunk()) else {
            return Ok(self.damaged(from, "the head of a block", is_ours));
        };
        if !is_ours {
            let what = "these bytes are no head of a block of a trace; what another program packed, unpack with zcat first";
            return Ok(self.damaged(from, what, false));
        }
        if seal.len() < SEAL {
            return Ok(self.damaged(from, "the head of a block", true));
        }
        let size = u64::from(u32::from_le_bytes(*length)) + TAIL as u64;
        let mut body = Vec::new();
        file.take(size).read_to_end(&mut body)?;
        self.at += body.len() as u64;
        if (body.len() as u64) < size {
            let what = "a block is shorter than it says it is";
            return Ok(self.damaged(from, what, true));
        }
        let (packed, tail) = body.split_at(body.len() - TAIL);
        for part in [&length[..], packed, tail] {
            self.seal.take(part);
        }
        let is_sealed = self.seal.value() == *seal;
        let unpacked = DeflateDecoder::new(packed).take(TEXT_MAX).read_to_end(&mut self.text);
        match unpacked {
            Ok(_) if is_sealed => {}
            Ok(_) => _ = self.damaged(from, "the block is not the one that its seal was made of", false),
            Err(error) => {
                let what = format!("the block does not unpack ({error})");
                self.damaged(from, &what, false);
            }
        }
        Ok(true)
    }

    /// Notes what is wrong with the bytes read last.
    fn damaged(&mut self, from: u64, what: &str, is_end: bool) -> bool {
        self.damage = Some(Damage { from, to: self.at, what: what.to_owned(), is_end });
        true
    }
}
