//! Payloads that come compressed as a whole: gzip, zstd, lz4 and snappy, known by their first bytes.
//!
//! Text and JSON begin with none of these bytes: each mark holds a control character or a byte that UTF-8 never begins
//! with. A raw snappy block has no mark and is not handled.

use std::borrow::Cow;
use std::io::{BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use super::reject::{self, Reject};
use crate::limits::MAX_RECORD_BYTES;

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 8878, frames and skippable frames.
    Zstd,
    /// The LZ4 frame format, one frame or several.
    Lz4,
    /// Snappy's framing format.
    Snappy,
    /// The blocks that the Xerial library of Java writes, Kafka's clients among its users.
    Xerial,
}

const XERIAL_MARK: &[u8] = b"\x82SNAPPY\0";
/// The mark, the version and the oldest compatible version (two numbers of 32 bits).
const XERIAL_HEAD_BYTES: usize = 16;
/// Largest window of a zstd frame, as a power of two: no more memory than the largest record.
const ZSTD_WINDOW_LOG: u32 = 24;

impl Compression {
    /// What these bytes are the beginning of.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, 0x08, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            [0xff, 0x06, 0x00, 0x00, b's', b'N', b'a', b'P', b'p', b'Y', ..] => Some(Self::Snappy),
            _ if bytes.starts_with(XERIAL_MARK) => Some(Self::Xerial),
            _ => None,
        }
    }
}

/// The payload itself, decompressed where it is compressed; never more than `max_bytes`.
///
/// # Errors
/// It is broken or cut off (`bad_compression`), or longer than that (`too_large`).
pub(crate) fn decompress(payload: &[u8], max_bytes: usize) -> Result<Cow<'_, [u8]>, Reject> {
    let Some(compression) = Compression::of(payload) else {
        return Ok(Cow::Borrowed(payload));
    };
    let broken = |error: std::io::Error| bad(compression, error);
    let mut out = Vec::new();
    match compression {
        Compression::Gzip => read_all(MultiGzDecoder::new(payload), &mut out, max_bytes).map_err(broken)?,
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(payload).map_err(broken)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(broken)?;
            read_all(decoder, &mut out, max_bytes).map_err(broken)?;
        }
        Compression::Lz4 => {
            if !whole_lz4(payload) {
                return Err(bad(compression, "cut off, or something else after it"));
            }
            read_all(Lz4Frames::new(payload), &mut out, max_bytes).map_err(broken)?;
        }
        Compression::Snappy => {
            read_all(snap::read::FrameDecoder::new(payload), &mut out, max_bytes).map_err(broken)?;
        }
        Compression::Xerial => xerial(payload, &mut out, max_bytes)?,
    }
    if out.len() > max_bytes {
        let detail = format!("more than {max_bytes} bytes when decompressed ({compression:?})");
        return Err(Reject::new(reject::TOO_LARGE, detail));
    }
    Ok(Cow::Owned(out))
}

/// The text of a compressed payload that is broken, cut off or too long, as far as it goes and never more than `max_bytes`. Of one that
/// says nothing, and of one that is not compressed, the payload itself.
pub(crate) fn as_far_as_it_goes(payload: &[u8], max_bytes: usize) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    // What comes before the error is what there is.
    let _ = match Compression::of(payload) {
        None => return Cow::Borrowed(payload),
        Some(Compression::Gzip) => read_all(MultiGzDecoder::new(payload), &mut out, max_bytes),
        Some(Compression::Zstd) => zstd::stream::read::Decoder::with_buffer(payload)
            .and_then(|mut decoder| decoder.window_log_max(ZSTD_WINDOW_LOG).map(|()| decoder))
            .and_then(|decoder| read_all(decoder, &mut out, max_bytes)),
        Some(Compression::Lz4) => read_all(Lz4Frames::new(payload), &mut out, max_bytes),
        Some(Compression::Snappy) => read_all(snap::read::FrameDecoder::new(payload), &mut out, max_bytes),
        Some(Compression::Xerial) => {
            // A block is read as a whole, however little of it is wanted.
            let _ = xerial(payload, &mut out, max_bytes.max(MAX_RECORD_BYTES));
            Ok(())
        }
    };
    out.truncate(max_bytes);
    if out.is_empty() {
        Cow::Borrowed(payload)
    } else {
        Cow::Owned(out)
    }
}

fn bad(compression: Compression, error: impl std::fmt::Display) -> Reject {
    Reject::new(reject::BAD_COMPRESSION, format!("{compression:?}: {error}"))
}

/// Reads one byte more than the bound at most, so that the caller sees that it was passed.
fn read_all(reader: impl Read, out: &mut Vec<u8>, max_bytes: usize) -> std::io::Result<()> {
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(limit).read_to_end(out).map(|_| ())
}

/// Whether the payload is LZ4 frames from end to end (LZ4 Frame Format 1.6.4). The decoder takes a frame whose end is
/// missing for one that is whole.
fn whole_lz4(payload: &[u8]) -> bool {
    let mut rest = payload;
    while !rest.is_empty() {
        let Some(after) = after_lz4_frame(rest) else {
            return false;
        };
        rest = after;
    }
    true
}

fn after_lz4_frame(frame: &[u8]) -> Option<&[u8]> {
    let flags = *frame.get(4)?;
    let bytes_if = |bit: u8, bytes: usize| if flags & bit == 0 { 0 } else { bytes };
    // The magic number, the flags, the block descriptor, a content size, a dictionary, the header's checksum.
    let mut rest = frame.get(7 + bytes_if(0x08, 8) + bytes_if(0x01, 4)..)?;
    loop {
        let (size, after) = rest.split_first_chunk::<4>()?;
        // The highest bit says that the block is stored as it is.
        let size = usize::try_from(u32::from_le_bytes(*size) & 0x7fff_ffff).ok()?;
        if u32::from_le_bytes(*rest.first_chunk::<4>()?) == 0 {
            return after.get(bytes_if(0x04, 4)..);
        }
        rest = after.get(size..)?.get(bytes_if(0x10, 4)..)?;
    }
}

/// Frames of LZ4 one after another, as one reader: the decoder itself stops after each.
pub(crate) struct Lz4Frames<R: BufRead> {
    decoder: lz4_flex::frame::FrameDecoder<R>,
}

impl<R: BufRead> Lz4Frames<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            decoder: lz4_flex::frame::FrameDecoder::new(reader),
        }
    }
}

impl<R: BufRead> Read for Lz4Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let read = self.decoder.read(buffer)?;
            // Every turn takes a frame's head at least, so this ends.
            if read > 0 || self.decoder.get_mut().fill_buf()?.is_empty() {
                return Ok(read);
            }
        }
    }
}

/// Blocks, each after its length (32 bits, big-endian). May append up to a block past the bound's check, never past
/// the bound itself and a byte.
fn xerial(payload: &[u8], out: &mut Vec<u8>, max_bytes: usize) -> Result<(), Reject> {
    let broken = |what: &str| bad(Compression::Xerial, what);
    let mut rest = payload
        .get(XERIAL_HEAD_BYTES..)
        .ok_or_else(|| broken("the head is cut off"))?;
    let mut decoder = snap::raw::Decoder::new();
    while !rest.is_empty() {
        let (length, after) = rest
            .split_first_chunk::<4>()
            .ok_or_else(|| broken("a length is cut off"))?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (block, after) = after
            .split_at_checked(length)
            .ok_or_else(|| broken("a block is cut off"))?;
        let size = snap::raw::decompress_len(block).map_err(|error| bad(Compression::Xerial, error))?;
        if size > max_bytes.saturating_sub(out.len()) {
            let detail = format!("more than {max_bytes} bytes when decompressed (Xerial)");
            return Err(Reject::new(reject::TOO_LARGE, detail));
        }
        // The length is the block's claim: a block of n bytes holds at most some 22 n (a copy of 64 from 3 bytes).
        if size / 64 > block.len() {
            return Err(broken("a block is shorter than it says"));
        }
        let text = decoder
            .decompress_vec(block)
            .map_err(|error| bad(Compression::Xerial, error))?;
        out.extend_from_slice(&text);
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const CAP: usize = 1 << 20;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(text, 1).unwrap()
    }

    fn lz4(text: &[u8]) -> Vec<u8> {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn snappy(text: &[u8]) -> Vec<u8> {
        let mut encoder = snap::write::FrameEncoder::new(Vec::new());
        encoder.write_all(text).unwrap();
        encoder.into_inner().unwrap()
    }

    fn xerial(text: &[u8]) -> Vec<u8> {
        let mut out = [XERIAL_MARK, &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
        for chunk in text.chunks(32 << 10) {
            let block = snap::raw::Encoder::new().compress_vec(chunk).unwrap();
            out.extend_from_slice(&u32::try_from(block.len()).unwrap().to_be_bytes());
            out.extend_from_slice(&block);
        }
        out
    }

    type Compress = fn(&[u8]) -> Vec<u8>;
    const ALL: &[Compress] = &[gzip, zstd, lz4, snappy, xerial];

    fn reason(payload: &[u8]) -> &'static str {
        decompress(payload, CAP).map_or_else(|reject| reject.reason, |_| "fine")
    }

    #[test]
    fn every_format_is_undone() {
        for compress in ALL {
            let text = b"{\"a\":1}\n".repeat(10_000);
            let whole = compress(&text);
            assert_eq!(*decompress(&whole, CAP).unwrap(), text);
            assert_eq!(*decompress(&whole, text.len()).unwrap(), text);
            assert_eq!(decompress(&whole, text.len() - 1).unwrap_err().reason, "too_large");
        }
        for compress in &ALL[..4] {
            let twice = [compress(b"ab"), compress(b"cd")].concat();
            assert_eq!(*decompress(&twice, CAP).unwrap(), *b"abcd");
        }
        let skippable = [b"\x5a\x2a\x4d\x18\x02\0\0\0zz".as_slice(), &zstd(b"ab")].concat();
        assert_eq!(*decompress(&skippable, CAP).unwrap(), *b"ab");
    }

    #[test]
    fn what_can_be_read_of_a_broken_one_is_text() {
        let text = b"some text, and some more that is not like it: 0123456789".repeat(3_000);
        for (n, compress) in ALL.iter().enumerate() {
            let whole = compress(&text);
            let cut = &whole[..whole.len() * 3 / 4];
            // A block that has no end says nothing.
            let got = as_far_as_it_goes(cut, CAP);
            assert!(text.starts_with(&got) || *got == *cut, "{n}");
            assert_eq!(*as_far_as_it_goes(&whole, 100), text[..100], "{n}");
            assert_eq!(*as_far_as_it_goes(&whole, CAP), text, "{n}");
        }
        assert_eq!(*as_far_as_it_goes(b"plain", CAP), *b"plain");
    }

    #[test]
    fn bombs_end_at_the_cap() {
        for compress in ALL {
            assert_eq!(reason(&compress(&vec![0; 64 << 20])), "too_large");
        }
        let claim = [XERIAL_MARK, &[0; 8], &[0, 0, 0, 5, 0xff, 0xff, 0x3f, 0, 0]].concat();
        assert_eq!(reason(&claim), "bad_compression");
    }

    #[test]
    fn broken_is_said() {
        for (n, compress) in ALL.iter().enumerate() {
            let whole = compress(b"some text that is long enough to be cut");
            assert_eq!(reason(&whole[..whole.len() - 3]), "bad_compression", "{n}");
            assert_eq!(
                reason(&[&whole, b"garbage".as_slice()].concat()),
                "bad_compression",
                "{n}"
            );
            for cut in 0..whole.len() {
                let _ = decompress(&whole[..cut], CAP);
                let mut changed = whole.clone();
                changed[cut] ^= 0x55;
                let _ = decompress(&changed, CAP);
            }
        }
    }

    #[test]
    fn text_is_not_compressed() {
        for text in [
            "",
            "{",
            "[1]",
            "P*M",
            "Z*Mx",
            "SNAPPY",
            "(\u{b5}/\u{fd}",
            "2026-11-24 x",
        ] {
            assert!(matches!(decompress(text.as_bytes(), 1), Ok(Cow::Borrowed(same)) if same == text.as_bytes()));
        }
    }
}
