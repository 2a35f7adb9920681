//! Numbers and texts as few bytes, and back: what snapshots and spilled groups are made of.
//!
//! Numbers are written seven bits a byte, the lowest first, as LEB128 does; those with a sign are folded so that small ones
//! stay small. Reading refuses what was not written by this: it never panics, and allocates no more than there are bytes.

use std::collections::HashMap;
use std::sync::Arc;

use casebook_event::Timestamp;
use compact_str::CompactString;

/// The bytes are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("damaged at byte {at}")]
pub(crate) struct Damaged {
    /// Where reading stopped.
    pub at: usize,
}

pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, ((number << 1) ^ (number >> 63)) as u64);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend(bytes);
}

pub(crate) fn put_u128(out: &mut Vec<u8>, number: u128) {
    out.extend(number.to_le_bytes());
}

/// Bytes under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// What to say where the next bytes make no sense.
    pub(crate) fn damaged(&self) -> Damaged {
        Damaged { at: self.at }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Damaged> {
        let end = self.at.checked_add(count).ok_or(self.damaged())?;
        let bytes = self.bytes.get(self.at..end).ok_or(self.damaged())?;
        self.at = end;
        Ok(bytes)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Damaged> {
        self.take(1)?.first().copied().ok_or(self.damaged())
    }

    pub(crate) fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.damaged())
    }

    /// A number of things to follow, each of at least one byte.
    pub(crate) fn count(&mut self) -> Result<usize, Damaged> {
        let count = usize::try_from(self.number()?).map_err(|_| self.damaged())?;
        (count <= self.bytes.len() - self.at)
            .then_some(count)
            .ok_or(self.damaged())
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Damaged> {
        let folded = self.number()?;
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, Damaged> {
        self.signed().map(Timestamp::from_nanos)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let count = self.count()?;
        self.take(count)
    }

    pub(crate) fn text(&mut self) -> Result<CompactString, Damaged> {
        let bytes = self.bytes()?;
        CompactString::from_utf8(bytes).map_err(|_| self.damaged())
    }

    pub(crate) fn u128(&mut self) -> Result<u128, Damaged> {
        let bytes = self.take(16)?;
        bytes.try_into().map(u128::from_le_bytes).map_err(|_| self.damaged())
    }
}

/// Texts that come again and again (rules, topics), as numbers. A number once given stays.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    all: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u64>,
}

impl Names {
    pub(crate) fn number(&mut self, name: &Arc<str>) -> u64 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.all.len() as u64;
        self.all.push(name.clone());
        self.numbers.insert(name.clone(), number);
        number
    }

    /// The same of a text that is not shared yet.
    pub(crate) fn number_of(&mut self, name: &str) -> u64 {
        match self.numbers.get(name) {
            Some(&number) => number,
            None => self.number(&name.into()),
        }
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Arc<str>> {
        self.all.get(usize::try_from(number).ok()?)
    }

    /// Those from the `from`th on.
    pub(crate) fn since(&self, from: usize) -> &[Arc<str>] {
        self.all.get(from..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(numbers: Vec<(u64, i64, u128)>, texts: Vec<String>) {
            let mut out = Vec::new();
            for (a, b, c) in &numbers {
                put_number(&mut out, *a);
                put_signed(&mut out, *b);
                put_u128(&mut out, *c);
            }
            texts.iter().for_each(|text| put_bytes(&mut out, text.as_bytes()));
            let mut reader = Reader::new(&out);
            for (a, b, c) in &numbers {
                proptest::prop_assert_eq!(reader.number(), Ok(*a));
                proptest::prop_assert_eq!(reader.signed(), Ok(*b));
                proptest::prop_assert_eq!(reader.u128(), Ok(*c));
            }
            for text in &texts {
                proptest::prop_assert_eq!(reader.text().unwrap(), text.as_str());
            }
            proptest::prop_assert!(reader.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while !reader.is_empty() {
                if reader.text().is_err() || reader.signed().is_err() {
                    break;
                }
            }
        }
    }
}
