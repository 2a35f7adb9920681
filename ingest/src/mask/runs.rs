//! Where a text may be encoded: long runs of the letters of base64, and bytes that are rare in logs.

/// Shortest run that is decoded, in bytes: sixteen letters of base64 are twelve bytes, as `password=abc` is.
pub(super) const LEAST_RUN_BYTES: usize = 16;

/// Bytes that are compared together: a run that begins in the first [`STEP_BYTES`] of them is found.
const WINDOW_BYTES: usize = 128;
const STEP_BYTES: usize = WINDOW_BYTES - LEAST_RUN_BYTES + 1;

/// The letters of base64 and base64url, which those of hexadecimal digits are among.
pub(super) fn is_letter(byte: u8) -> bool {
    let small = byte | 0x20;
    // Without branches, so that many bytes are asked at once.
    (small.wrapping_sub(b'a') < 26)
        | (byte.wrapping_sub(b'0') < 10)
        | (byte == b'+')
        | (byte == b'/')
        | (byte == b'-')
        | (byte == b'_')
}

/// A bit for each byte of a window that is a letter.
fn letters(window: &[u8; WINDOW_BYTES]) -> u128 {
    let mut is = [0u8; WINDOW_BYTES];
    for (is, byte) in is.iter_mut().zip(window) {
        *is = u8::from(is_letter(*byte));
    }
    let mut bits = 0;
    for (n, eight) in is.as_chunks::<8>().0.iter().enumerate() {
        // Gathers the lowest bit of each of eight bytes.
        let gathered = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= u128::from(gathered) << (8 * n);
    }
    bits
}

/// The runs of at least [`LEAST_RUN_BYTES`] letters, from left to right: where each begins and ends.
pub(super) fn long_runs(text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at + LEAST_RUN_BYTES <= text.len() {
            let rest = text.get(at..).unwrap_or_default();
            let Some(window) = rest.first_chunk() else {
                return run_at_end(text, &mut at);
            };
            let letters = letters(window);
            // A bit for each byte from which on all sixteen are letters.
            let mut bits = letters;
            for shift in [1, 2, 4, 8] {
                bits &= bits >> shift;
            }
            if bits == 0 {
                at += STEP_BYTES;
                continue;
            }
            let first = bits.trailing_zeros();
            let start = at + first as usize;
            let mut end = start + (letters >> first).trailing_ones() as usize;
            if end == at + WINDOW_BYTES {
                let more = text.get(end..).unwrap_or_default();
                end += more.iter().take_while(|byte| is_letter(**byte)).count();
            }
            at = end + 1;
            return Some((start, end));
        }
        None
    })
}

/// The same in what is shorter than a window: where a run cannot be, the search goes on after the last letter that forbids it.
fn run_at_end(text: &[u8], at: &mut usize) -> Option<(usize, usize)> {
    while let Some(window) = text.get(*at..*at + LEAST_RUN_BYTES) {
        if let Some(other) = window.iter().rposition(|byte| !is_letter(*byte)) {
            *at += other + 1;
            continue;
        }
        let start = *at;
        let more = text.get(start..).unwrap_or_default();
        let end = start + more.iter().take_while(|byte| is_letter(**byte)).count();
        *at = end + 1;
        return Some((start, end));
    }
    None
}

/// Bytes that are asked at once.
const CHUNK_BYTES: usize = 64;

/// The next place from `at` on that has `byte`, where it is rare.
pub(super) fn rare(text: &[u8], byte: u8, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let mut from = 0;
    let mut chunks = rest.chunks_exact(CHUNK_BYTES);
    // Whole chunks without a branch in between, which the compiler turns into a few wide comparisons.
    for chunk in &mut chunks {
        if chunk.iter().fold(0u8, |any, here| any | u8::from(*here == byte)) != 0 {
            return chunk
                .iter()
                .position(|here| *here == byte)
                .map(|found| at + from + found);
        }
        from += CHUNK_BYTES;
    }
    let last = chunks.remainder().iter().position(|here| *here == byte);
    last.map(|found| at + from + found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn long_runs_are_found(text in "([a-zA-Z0-9+/_-]{0,40}[ \".=:]{1,2}){0,8}[a-z]{0,20}") {
            let text = text.as_bytes();
            let want: Vec<_> = text
                .split(|byte| !is_letter(*byte))
                .filter(|run| run.len() >= LEAST_RUN_BYTES)
                .map(|run| {
                    let start = run.as_ptr() as usize - text.as_ptr() as usize;
                    (start, start + run.len())
                })
                .collect();
            prop_assert_eq!(long_runs(text).collect::<Vec<_>>(), want);
        }

        #[test]
        fn rare_bytes_are_found(text in prop::collection::vec(prop::sample::select(vec![b'a', b'b', b'%']), 0..300), at in 0usize..80) {
            let want = text.iter().skip(at).position(|byte| *byte == b'%').map(|found| at + found);
            prop_assert_eq!(rare(&text, b'%', at), want.filter(|_| at <= text.len()));
        }
    }
}
