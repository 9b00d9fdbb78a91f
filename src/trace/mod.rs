//! Traces in files: plain text, or packed if the file's name ends in `.gz`.
//!
//! A packed trace is a gzip file of many members, so that `zcat` shows it as text. Each member is a block of about a
//! megabyte of lines and says in its header, in an extra field of our own, how long it is and what its bytes and those of
//! all blocks before it hash to: gzip itself leaves bytes that nothing depends on, such as the padding behind the
//! compressed data, and the same text can be packed in several ways. Here no byte can change and nobody notice.
//!
//! Reading and writing hold one block at a time.

mod read;
mod write;

pub(crate) use read::Lines;
pub(crate) use write::Writer;

use std::path::Path;

/// The head of a gzip member as we write it: magic, deflate, an extra field, no time, no system; then the field's length,
/// its name and its own length. The length of the packed bytes and the seal follow.
const HEAD: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 24, 0, b'G', b'P', 20, 0];
/// The length of the packed bytes, little-endian.
const LENGTH: usize = 4;
/// The seal.
const SEAL: usize = 16;
/// gzip's own checksum of the text, and the text's length.
const TAIL: usize = 8;

/// Whether a trace of that name is packed.
fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "gz")
}

#[cfg(test)]
mod tests;
