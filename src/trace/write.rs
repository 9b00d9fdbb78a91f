//! Writing a trace.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use flate2::{Compression, Crc, write::DeflateEncoder};
use simulator::trace::{Chain, Chained, Header};

use super::{HEAD, is_packed};

/// Text of one block. Larger ones pack hardly better, and a damaged one takes more with it.
const BLOCK_BYTES: usize = 1 << 20;
/// Fast; frames repeat themselves so much that more effort gains little.
const LEVEL: u32 = 2;

/// Writes a trace line by line.
#[derive(Debug)]
pub(crate) struct Writer<W: Write> {
    out: W,
    chained: Chained,
    /// What was not written yet.
    text: String,
    /// The seal so far, of a packed trace.
    seal: Option<Chain>,
}

impl Writer<BufWriter<File>> {
    /// Makes the file, or empties it.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self::new(BufWriter::new(File::create(path)?), is_packed(path)))
    }
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W, is_packed: bool) -> Self {
        let seal = is_packed.then(Chain::default);
        Self { out, chained: Chained::default(), text: String::new(), seal }
    }

    pub(crate) fn header(&mut self, header: &Header) -> io::Result<()> {
        self.chained.header(header, &mut self.text);
        self.block_if_full()
    }

    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        self.chained.line(line, &mut self.text);
        self.block_if_full()
    }

    /// Ends the trace of a run of that hash.
    pub(crate) fn end(mut self, hash: &str) -> io::Result<W> {
        self.chained.end(hash, &mut self.text);
        self.block()?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn block_if_full(&mut self) -> io::Result<()> {
        if self.text.len() < BLOCK_BYTES { Ok(()) } else { self.block() }
    }

    fn block(&mut self) -> io::Result<()> {
        let text = self.text.as_bytes();
        match &mut self.seal {
            None => self.out.write_all(text)?,
            Some(seal) => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(LEVEL));
                encoder.write_all(text)?;
                let packed = encoder.finish()?;
                let mut crc = Crc::new();
                crc.update(text);
                let tail = [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat();
                let length = u32::try_from(packed.len()).map_err(io::Error::other)?.to_le_bytes();
                for part in [&length[..], &packed, &tail] {
                    seal.take(part);
                }
                for part in [&HEAD[..], &length, &seal.value(), &packed, &tail] {
                    self.out.write_all(part)?;
                }
            }
        }
        self.text.clear();
        Ok(())
    }
}
