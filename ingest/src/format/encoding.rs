//! UTF-16, which Windows writes: known by its byte order mark, or by the NULs between its letters, and read as the text that it is,
//! so that its secrets are seen as those of any other.

use std::borrow::Cow;

/// Units of the beginning that are inspected.
const SAMPLE_UNITS: usize = 256;
/// Fewest units of a text without a byte order mark.
const LEAST_UNITS: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

/// The payload as UTF-8, where it is UTF-16; else as it is. What cannot be read is replaced.
pub(crate) fn to_utf8(payload: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let Some((order, text)) = order_of(&payload) else {
        return payload;
    };
    let (units, rest) = text.as_chunks::<2>();
    let units = units.iter().map(|unit| match order {
        Order::Little => u16::from_le_bytes(*unit),
        Order::Big => u16::from_be_bytes(*unit),
    });
    let mut out: String = char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    // Half a unit: the text was cut.
    out.extend(rest.iter().map(|_| char::REPLACEMENT_CHARACTER));
    Cow::Owned(out.into_bytes())
}

/// The order of the bytes, and the text without its mark.
fn order_of(payload: &[u8]) -> Option<(Order, &[u8])> {
    let sample = |text: &[u8], order: Order| {
        let (units, _) = text
            .get(..text.len().min(2 * SAMPLE_UNITS))
            .unwrap_or_default()
            .as_chunks::<2>();
        let plain = units.iter().filter(|unit| {
            let [low, high] = if order == Order::Little {
                **unit
            } else {
                [unit[1], unit[0]]
            };
            high == 0 && matches!(low, b' '..=b'~' | b'\n' | b'\r' | b'\t')
        });
        (plain.count(), units.len())
    };
    match payload {
        [0xff, 0xfe, text @ ..] => Some((Order::Little, text)),
        [0xfe, 0xff, text @ ..] => Some((Order::Big, text)),
        _ => {
            // Only every other byte of such a text is a NUL, and of most others none.
            if !payload.get(..8)?.contains(&0) {
                return None;
            }
            let whole = [Order::Little, Order::Big].into_iter().find(|order| {
                let (plain, all) = sample(payload, *order);
                all >= LEAST_UNITS && plain * 10 >= all * 9
            })?;
            return Some((whole, payload));
        }
    }
    .filter(|(order, text)| {
        // Two bytes alone say too little.
        let (plain, all) = sample(text, *order);
        all >= LEAST_UNITS && plain * 4 >= all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: &[u8], want: &str) {
        let got = to_utf8(Cow::Borrowed(payload)).into_owned();
        assert_eq!(String::from_utf8_lossy(&got), want);
    }

    #[test]
    fn utf_16_is_read_in_both_orders() {
        let text = "login password=x é €";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        check(&little, text);
        check(&big, text);
        check(&[b"\xff\xfe".as_slice(), &little].concat(), text);
        check(&[b"\xfe\xff".as_slice(), &big].concat(), text);
        check(&little[..little.len() - 1], "login password=x é \u{fffd}");
    }

    #[test]
    fn what_is_none_stays() {
        for payload in [
            &b""[..],
            b"{\"a\":1}",
            b"\xff\xfe\0\x80\x07",
            b"\0\0\0\0\0\0\0\0abcdefgh",
            b"ab\0\0cd\0\0ef",
        ] {
            assert!(matches!(to_utf8(Cow::Borrowed(payload)), Cow::Borrowed(same) if same == payload));
        }
    }
}
