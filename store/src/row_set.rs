//! A set of rows of one data file.

/// A set of rows: one bit for each row of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowSet {
    rows: u32,
    bits: Vec<u64>,
}

impl RowSet {
    /// None of `rows` rows.
    pub fn none(rows: u32) -> Self {
        Self {
            rows,
            bits: vec![0; (rows as usize).div_ceil(64)],
        }
    }

    /// All of `rows` rows.
    pub fn all(rows: u32) -> Self {
        let mut set = Self {
            rows,
            bits: vec![u64::MAX; (rows as usize).div_ceil(64)],
        };
        set.trim();
        set
    }

    fn trim(&mut self) {
        let used = self.rows % 64;
        if used > 0
            && let Some(last) = self.bits.last_mut()
        {
            *last &= (1 << used) - 1;
        }
    }

    /// Of how many rows it is a set.
    pub fn of(&self) -> u32 {
        self.rows
    }

    /// Adds a row; one beyond the file is ignored.
    pub fn insert(&mut self, row: u32) {
        if row < self.rows {
            self.bits[row as usize / 64] |= 1 << (row % 64);
        }
    }

    /// Whether it has a row.
    pub fn contains(&self, row: u32) -> bool {
        let word = self.bits.get(row as usize / 64);
        word.is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Keeps the rows that `other` has too.
    pub fn intersect(&mut self, other: &Self) {
        for (a, b) in self.bits.iter_mut().zip(&other.bits) {
            *a &= b;
        }
    }

    /// Adds the rows of `other`.
    pub fn union(&mut self, other: &Self) {
        for (a, b) in self.bits.iter_mut().zip(&other.bits) {
            *a |= b;
        }
    }

    /// Takes the rows of `other` away.
    pub fn subtract(&mut self, other: &Self) {
        for (a, b) in self.bits.iter_mut().zip(&other.bits) {
            *a &= !b;
        }
    }

    /// The other rows of the file.
    pub fn complement(mut self) -> Self {
        self.bits.iter_mut().for_each(|word| *word = !*word);
        self.trim();
        self
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|word| *word == 0)
    }

    /// Its rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bits.iter().enumerate().flat_map(|(at, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                rest &= rest.checked_sub(1)?;
                Some(at as u32 * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_order() {
        for rows in [0, 1, 63, 64, 65, 200] {
            assert_eq!(
                RowSet::all(rows).iter().collect::<Vec<_>>(),
                (0..rows).collect::<Vec<_>>()
            );
            assert_eq!(RowSet::all(rows).complement(), RowSet::none(rows));
        }
        let mut set = RowSet::none(130);
        [129, 5, 64, 130].into_iter().for_each(|row| set.insert(row));
        assert_eq!(set.iter().collect::<Vec<_>>(), [5, 64, 129]);
        assert_eq!((set.len(), set.is_empty(), set.of()), (3, false, 130));
        let mut other = RowSet::none(130);
        [5, 6].into_iter().for_each(|row| other.insert(row));
        set.subtract(&other);
        assert_eq!(set.iter().collect::<Vec<_>>(), [64, 129]);
    }
}
