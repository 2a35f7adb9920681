//! A record's bytes before anything of it is understood: where its text begins and ends, and what of it is readable.

use std::borrow::Cow;

use crate::format::{compression, cri, encoding};
use crate::limits::MAX_REFUSED_TEXT_BYTES;

/// What a dead letter keeps of a payload that is refused before it is decoded: of a compressed one the text, as far as it goes, since
/// what is compressed cannot be masked. Its last word may be a part of a secret that nothing after it shows any more.
pub(super) fn readable(payload: &[u8]) -> Cow<'_, [u8]> {
    let text = encoding::to_utf8(compression::as_far_as_it_goes(payload, MAX_REFUSED_TEXT_BYTES));
    match text {
        Cow::Owned(mut text) => {
            let ends =
                |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b',' | b'{' | b'}' | b'[' | b']');
            text.truncate(text.iter().rposition(ends).map_or(0, |at| at + 1));
            Cow::Owned(text)
        }
        whole => whole,
    }
}

/// Without white space at the end, a byte order mark at the beginning, and NULs at either: a log that was truncated
/// under a writer's hands begins with a hole that reads as NULs.
pub(super) fn trim(payload: &[u8]) -> &[u8] {
    let mut payload = payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(payload);
    while let [0, rest @ ..] = payload {
        payload = rest;
    }
    // A line that goes on in the next record may be cut before or after a space.
    let cut = cri::is_cut(payload);
    while let [rest @ .., last] = payload {
        if !(matches!(last, 0 | b'\n' | b'\r') || (!cut && matches!(last, b' ' | b'\t'))) {
            break;
        }
        payload = rest;
    }
    // Text keeps its indentation; JSON does not need it.
    let inner = payload.trim_ascii_start();
    if matches!(inner.first(), Some(b'{' | b'[')) {
        inner
    } else {
        payload
    }
}
