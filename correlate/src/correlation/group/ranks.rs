//! Numbers in order, of which one may ask for the n-th.

/// Most numbers of a chunk.
const CHUNK: usize = 512;

/// A sorted list in chunks: inserting, removing and ranking cost in proportion to the chunks and to the size of one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ranks {
    chunks: Vec<Vec<i128>>,
    len: usize,
}

impl Ranks {
    /// Adds a number; it may be there already.
    pub(crate) fn insert(&mut self, number: i128) {
        self.len += 1;
        let at = self.chunk_of(number).min(self.chunks.len().saturating_sub(1));
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(vec![number]);
            return;
        };
        chunk.insert(chunk.partition_point(|other| *other < number), number);
        if chunk.len() > CHUNK {
            let upper = chunk.split_off(CHUNK / 2);
            self.chunks.insert(at + 1, upper);
        }
    }

    /// The bytes it takes in memory beside the struct itself, about.
    pub(crate) fn bytes(&self) -> usize {
        let of_chunk = |chunk: &Vec<i128>| size_of_val(chunk) + chunk.capacity() * size_of::<i128>();
        self.chunks.iter().map(of_chunk).sum()
    }

    /// Removes a number once, if it is there.
    pub(crate) fn remove(&mut self, number: i128) {
        let at = self.chunk_of(number);
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        if let Ok(place) = chunk.binary_search(&number) {
            chunk.remove(place);
            self.len -= 1;
            if chunk.is_empty() {
                self.chunks.remove(at);
            }
        }
    }

    /// The first chunk whose last number is not less than `number`.
    fn chunk_of(&self, number: i128) -> usize {
        self.chunks
            .partition_point(|chunk| chunk.last().is_some_and(|last| *last < number))
    }

    /// The least number that `percent` of them do not exceed: that of rank ⌈percent · n / 100⌉. `None` of no numbers.
    pub(crate) fn percentile(&self, percent: u8) -> Option<i128> {
        let rank = (self.len * usize::from(percent)).div_ceil(100).max(1);
        let mut left = rank - 1;
        for chunk in &self.chunks {
            match chunk.get(left) {
                Some(number) => return Some(*number),
                None => left -= chunk.len(),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_a_sorted_list() {
        let mut ranks = Ranks::default();
        let mut sorted: Vec<i128> = Vec::new();
        let mut seed = 1u64;
        for n in 0..20_000u64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n);
            let number = i128::from(seed >> 52);
            if n % 3 == 2 && !sorted.is_empty() {
                let gone = sorted.remove(seed as usize % sorted.len());
                ranks.remove(gone);
            } else {
                sorted.insert(sorted.partition_point(|other| *other < number), number);
                ranks.insert(number);
            }
            if n % 97 == 0 {
                for percent in [1, 50, 99, 100] {
                    let rank = (sorted.len() * percent).div_ceil(100).max(1);
                    assert_eq!(ranks.percentile(percent as u8), sorted.get(rank - 1).copied());
                }
            }
        }
        ranks.remove(1 << 100);
        assert_eq!(ranks.len, sorted.len(), "what is not there is not removed");
        assert_eq!(Ranks::default().percentile(50), None);
    }
}
