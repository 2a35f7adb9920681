//! What is left of a secret: where it stood, its kind, and enough of a digest to distinguish two events.

/// Sixteen bits of a secret. They go into the hash that is an event's identity, where that is made of the event's content, and
/// nowhere else: so two records that differ only in a secret stay two events. They are few on purpose. A random token loses
/// nothing by them; what a guess at a weak password gains is in `docs/masking.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Digest(u16);

impl Digest {
    /// Nothing was removed.
    pub(crate) const NONE: Self = Self(0);

    /// The digest of what is removed: never [`Digest::NONE`].
    pub(crate) fn of(secret: &[u8]) -> Self {
        // FNV-1a with a finish: an identity must not change with a release, as the standard library's hash may.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in secret {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash ^= hash >> 32;
        hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
        Self(((hash >> 48) as u16).max(1))
    }

    /// This one and a later one of the same event.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::NONE, one) | (one, Self::NONE) => one,
            (Self(a), Self(b)) => Self::of(&[a.to_le_bytes(), b.to_le_bytes()].concat()),
        }
    }

    /// Its bytes, for a hash of more.
    pub(crate) fn to_bytes(self) -> [u8; 2] {
        self.0.to_le_bytes()
    }
}

/// A secret that was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Removed {
    /// Where what stands in for it begins in the masked text.
    pub(crate) at: usize,
    pub(crate) kind: &'static str,
    pub(crate) digest: Digest,
}

/// What was masked in the record under way, and which of it is in the part under way.
#[derive(Debug, Default)]
pub(crate) struct MaskedRecord {
    removed: Vec<Removed>,
    /// The address of the record's text, from which `removed` counts.
    base: usize,
    length: usize,
    /// The part under way.
    part: (usize, usize),
    /// What is emitted was joined from several records, of which this was masked.
    pub(crate) joined: Option<Digest>,
}

impl MaskedRecord {
    /// A record whose masked text is `whole`.
    pub(crate) fn new(whole: &[u8], removed: Vec<Removed>) -> Self {
        Self {
            removed,
            base: whole.as_ptr() as usize,
            length: whole.len(),
            part: (0, usize::MAX),
            joined: None,
        }
    }

    /// Goes on to the part of the record that `text` is. A text that was made anew is within the part before.
    pub(crate) fn enter(&mut self, text: &str) {
        if self.removed.is_empty() {
            return;
        }
        let start = (text.as_ptr() as usize).checked_sub(self.base);
        if let Some(start) = start.filter(|start| *start < self.length) {
            self.part = (start, start + text.len());
        }
    }

    fn here(&self) -> impl Iterator<Item = &Removed> {
        let (start, end) = self.part;
        let joined = self.joined.is_some();
        self.removed
            .iter()
            .filter(move |removed| !joined && (start..end).contains(&removed.at))
    }

    /// What was masked of the part under way.
    pub(crate) fn digest(&self) -> Digest {
        let own = || self.here().fold(Digest::NONE, |all, removed| all.and(removed.digest));
        self.joined.unwrap_or_else(own)
    }

    /// The kinds of secret that were masked in the part under way, whose text is `raw`.
    pub(crate) fn kinds(&self, raw: &str) -> Vec<&'static str> {
        let mut kinds: Vec<&'static str> = Vec::new();
        let mut add = |kind| {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        };
        self.here().for_each(|removed| add(removed.kind));
        if self.joined.is_some_and(|digest| digest != Digest::NONE) {
            raw.match_indices("[masked:").for_each(|(at, _)| {
                let kind = super::kinds::KINDS.iter().find(|kind| {
                    let after = raw.get(at + 8..).and_then(|rest| rest.strip_prefix(**kind));
                    after.is_some_and(|rest| rest.starts_with(']'))
                });
                kind.copied().into_iter().for_each(&mut add);
            });
        }
        kinds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_tell_secrets_apart_and_say_little() {
        let digests: std::collections::BTreeSet<_> = (0..1_000)
            .map(|n| Digest::of(format!("hunter{n}").as_bytes()).0)
            .collect();
        assert!((950..=1_000).contains(&digests.len()), "{}", digests.len());
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_ne!(a.and(b), b.and(a));
        assert_eq!(Digest::NONE.and(a), a);
        assert_eq!(a.and(Digest::NONE), a);
        assert_ne!(Digest::of(b""), Digest::NONE);
    }
}
