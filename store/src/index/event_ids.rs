//! Rows by event id: one file of the bundle. An id is as good as random: as terms of a dictionary, ids made
//! an index a quarter larger.
//!
//! ```text
//! for each row, in order of the ids: the first four bytes of the id │ the row u32
//! ```
//!
//! Both are big-endian. What begins alike is distinguished by reading the rows. As ids are spread evenly, the position of one
//! is known to within a few entries, and one read finds it.

use std::io;
use std::ops::Range;

use casebook_event::EventId;

use super::bundle::Bundle;
use crate::row_set::RowSet;

/// The name of the file.
pub(super) const FILE: &str = "event_ids";

/// Bytes of an entry.
const ENTRY_BYTES: u64 = 8;

/// Hexadecimal digits of an id that an entry has.
const HELD_DIGITS: usize = 8;

/// Digits of an id's text.
const ID_DIGITS: usize = 32;

/// Entries to both sides of where an id is supposed to be that are read first: four times the deviation in a file of a
/// million rows.
const WINDOW: u64 = 2_048;

/// The ids of a file that is being written.
#[derive(Debug, Default)]
pub(super) struct EventIds(Vec<(u32, u32)>);

impl EventIds {
    /// Adds a row.
    pub fn push(&mut self, id: EventId, row: u32) {
        self.0.push(((id.as_u128() >> 96) as u32, row));
    }

    /// The bytes of the file.
    pub fn finish(mut self) -> Vec<u8> {
        self.0.sort_unstable();
        let entries = self.0.into_iter();
        entries
            .flat_map(|(id, row)| (u64::from(id) << 32 | u64::from(row)).to_be_bytes())
            .collect()
    }
}

/// The rows of which the id may begin with `prefix`, in lower case.
///
/// # Errors
/// The bundle has no such file, or it cannot be read.
pub(super) fn rows(bundle: &Bundle, prefix: &str) -> io::Result<RowSet> {
    let mut rows = RowSet::none(bundle.directory.rows);
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if prefix.len() > ID_DIGITS || !prefix.bytes().all(is_digit) {
        return Ok(rows);
    }
    let held = &prefix[..prefix.len().min(HELD_DIGITS)];
    let open_bits = 4 * (HELD_DIGITS - held.len()) as u32;
    let value = u64::from_str_radix(held, 16).unwrap_or(0);
    let (first, last) = (value << open_bits, ((value + 1) << open_bits) - 1);
    let entries = Entries::of(bundle)?;
    let mut at = entries.position(first)?;
    while at < entries.count {
        let some = entries.read(at..(at + WINDOW).min(entries.count))?;
        at += some.len() as u64;
        for (id, row) in some {
            if id > last {
                return Ok(rows);
            }
            rows.insert(row);
        }
    }
    Ok(rows)
}

/// The file of a bundle.
struct Entries<'a> {
    bundle: &'a Bundle,
    offset: u64,
    count: u64,
}

impl<'a> Entries<'a> {
    fn of(bundle: &'a Bundle) -> io::Result<Self> {
        let invalid = |reason| io::Error::new(io::ErrorKind::InvalidData, reason);
        let (offset, length) = bundle
            .file(FILE)
            .ok_or_else(|| invalid("the bundle has no event ids"))?;
        if length != u64::from(bundle.directory.rows) * ENTRY_BYTES {
            return Err(invalid("the event ids are not those of its rows"));
        }
        Ok(Self {
            bundle,
            offset,
            count: length / ENTRY_BYTES,
        })
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<(u64, u32)>> {
        let offset = |entry: u64| self.offset + entry * ENTRY_BYTES;
        let bytes = self.bundle.read(offset(range.start)..offset(range.end))?;
        let number = |bytes: &[u8]| bytes.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        let entries = bytes.chunks_exact(ENTRY_BYTES as usize).map(number);
        Ok(entries.map(|entry| (entry >> 32, entry as u32)).collect())
    }

    /// The first entry of which the id is not below `id`.
    fn position(&self, id: u64) -> io::Result<u64> {
        let supposed = (id * self.count) >> 32;
        let mut width = WINDOW;
        loop {
            let from = supposed.saturating_sub(width);
            let to = supposed.saturating_add(width).min(self.count);
            let some = self.read(from..to)?;
            let begins_before = from == 0 || some.first().is_some_and(|(first, _)| *first < id);
            let ends_after = to == self.count || some.last().is_some_and(|(last, _)| *last >= id);
            if begins_before && ends_after {
                return Ok(from + some.partition_point(|(one, _)| *one < id) as u64);
            }
            width = width.saturating_mul(4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::bundle::{BundleBytes, BundleDirectory, pack};
    use proptest::prelude::*;

    fn bundle(ids: &[u128]) -> Bundle {
        let mut written = EventIds::default();
        for (row, id) in ids.iter().enumerate() {
            written.push(EventId::from_u128(*id), row as u32);
        }
        let directory = BundleDirectory {
            rows: ids.len() as u32,
            ..BundleDirectory::default()
        };
        // It does not begin where a block does.
        let files = vec![("a".to_owned(), vec![1; 33_333]), (FILE.to_owned(), written.finish())];
        Bundle::open(BundleBytes::Memory(pack(directory, files).unwrap().into())).unwrap()
    }

    /// What the ids themselves say, as far as the entries tell them apart.
    fn check(ids: &[u128], prefix: &str) {
        let found = rows(&bundle(ids), prefix).unwrap();
        for (row, id) in ids.iter().enumerate() {
            let text = EventId::from_u128(*id).to_string();
            let held = &prefix[..prefix.len().min(HELD_DIGITS)];
            let may_be = prefix.len() <= ID_DIGITS && text.starts_with(held);
            assert_eq!(found.contains(row as u32), may_be, "{text} {prefix}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn rows_are_those_of_the_ids(
            spread in proptest::collection::vec(any::<u128>(), 0..200),
            crowded in proptest::collection::vec(0u128..1 << 100, 0..200),
            digits in 0usize..33,
        ) {
            let ids: Vec<u128> = spread.into_iter().chain(crowded).collect();
            for id in ids.iter().take(20) {
                check(&ids, &EventId::from_u128(*id).to_string()[..digits]);
            }
            check(&ids, "ffff");
            check(&ids, "0");
            check(&[], "0");
        }
    }

    #[test]
    fn many_ids_that_are_anything_but_even_are_found() {
        // Half of them are the smallest, a quarter the largest, the rest in one place: none is where it is supposed to be.
        let ids: Vec<u128> = (0..40_000u128)
            .map(|n| match n % 4 {
                0 | 1 => n,
                2 => u128::MAX - n,
                _ => (0x1234_5678 << 96) + n,
            })
            .collect();
        let found = |prefix: &str| rows(&bundle(&ids), prefix).unwrap().len();
        assert_eq!(
            (found("00000000"), found("12345678"), found("ffffffff")),
            (20_000, 10_000, 10_000)
        );
        assert_eq!(
            (found("1234567"), found("123456781"), found("2"), found("")),
            (10_000, 10_000, 0, 40_000)
        );
        assert_eq!((found("xyz"), found("1234-"), found(&"1".repeat(33))), (0, 0, 0));
    }

    #[test]
    fn ids_of_other_rows_are_an_error() {
        let directory = BundleDirectory {
            rows: 3,
            ..BundleDirectory::default()
        };
        let files = vec![(FILE.to_owned(), vec![0; 16])];
        let bundle = Bundle::open(BundleBytes::Memory(pack(directory, files).unwrap().into())).unwrap();
        assert!(rows(&bundle, "0").is_err());
    }
}
