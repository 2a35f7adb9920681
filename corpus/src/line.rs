//! Building a record's bytes: parts appended to one buffer that is used again for the next record.
//!
//! This is what `write!` does, without its formatting machinery: the generator must outrun what it measures.

use casebook_event::Timestamp;

/// Something that can be appended to a record.
pub(crate) trait Put {
    /// Appends itself.
    fn put(&self, out: &mut Vec<u8>);
}

/// Appends each part to a `Vec<u8>`: `put!(out; "code=", 200u64, " id=", Hex(7, 16))`.
macro_rules! put {
    ($out:expr; $($part:expr),* $(,)?) => {{
        let out: &mut Vec<u8> = $out;
        $($crate::line::Put::put(&$part, out);)*
    }};
}
pub(crate) use put;

impl Put for str {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Put for String {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl<T: Put + ?Sized> Put for &T {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
}

impl Put for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut rest = *self;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[at..]);
    }
}

impl Put for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

/// A number's lowest decimal digits, exactly so many.
pub(crate) struct Digits(pub(crate) u64, pub(crate) usize);

impl Put for Digits {
    fn put(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + self.1, b'0');
        let mut rest = self.0;
        for digit in out[start..].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

/// A number's lowest hexadecimal digits, exactly so many, in lower case.
pub(crate) struct Hex(pub(crate) u128, pub(crate) usize);

impl Put for Hex {
    fn put(&self, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let start = out.len();
        out.resize(start + self.1, b'0');
        let mut rest = self.0;
        for digit in out[start..].iter_mut().rev() {
            *digit = DIGITS[(rest & 15) as usize];
            rest >>= 4;
        }
    }
}

/// A random (version 4) UUID over these bits.
pub(crate) struct Uuid(pub(crate) u128);

impl Put for Uuid {
    fn put(&self, out: &mut Vec<u8>) {
        let bits = (self.0 & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        put!(
            out;
            Hex(bits >> 96, 8), "-", Hex(bits >> 80, 4), "-", Hex(bits >> 64, 4), "-", Hex(bits >> 48, 4), "-", Hex(bits, 12),
        );
    }
}

/// An RFC 3339 time without its offset, with so many fraction digits (0 to 9).
pub(crate) struct Time(pub(crate) Timestamp, pub(crate) usize);

impl Put for Time {
    fn put(&self, out: &mut Vec<u8>) {
        let (year, month, day, hour, minute, second, nanos) = self.0.civil();
        put!(
            out;
            Digits(year.unsigned_abs(), 4), "-", Digits(month.into(), 2), "-", Digits(day.into(), 2), "T",
            Digits(hour.into(), 2), ":", Digits(minute.into(), 2), ":", Digits(second.into(), 2),
        );
        if self.1 > 0 {
            let cut = 10u64.pow(9u32.saturating_sub(self.1 as u32));
            put!(out; ".", Digits(u64::from(nanos) / cut, self.1));
        }
    }
}

/// A text as the inside of a JSON string (RFC 8259, section 7).
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl Put for Escaped<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        for byte in self.0.bytes() {
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..=0x1f => put!(out; "\\u", Hex(byte.into(), 4)),
                _ => out.push(byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(build: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        build(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn parts_read_as_written() {
        let check = |part: &dyn Put, want: &str| assert_eq!(text(|out| part.put(out)), want);
        check(&0u64, "0");
        check(&u64::MAX, "18446744073709551615");
        check(&Digits(7, 3), "007");
        check(&Hex(0xabc, 6), "000abc");
        check(&Uuid(0), "00000000-0000-4000-8000-000000000000");
        check(&Uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        check(
            &Time(Timestamp::from_nanos(1_000_000_123_456_789), 6),
            "1970-01-12T13:46:40.123456",
        );
        check(&Time(Timestamp::from_seconds(0), 0), "1970-01-01T00:00:00");
        check(&Escaped("a\"b\\c\n\u{1}é"), "a\\\"b\\\\c\\n\\u0001é");
    }
}
