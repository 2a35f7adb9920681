//! A value that a name calls a secret: masked, unless it says that there is none.

use super::kinds::DOCKER_AUTH;
use super::marks::is_user_and_password;
use super::names::{Named, is_key_like, kind_of};
use super::span::Spans;

/// Masks a value, unless it says that there is none.
pub(super) fn secret(found: &mut Spans<'_>, start: usize, end: usize, named: Named) {
    let value = found.text.get(start..end).unwrap_or_default();
    if says_nothing(value) || (named.doubtful && !is_key_like(value, named.kind)) {
        return;
    }
    if named.kind == DOCKER_AUTH && !is_user_and_password(value) {
        return;
    }
    // A header that is named for its token: X-Auth-Token: Bearer ….
    let scheme = value.get(..7).is_some_and(|word| word.eq_ignore_ascii_case(b"bearer "));
    let start = if scheme { start + 7 } else { start };
    let kind = kind_of(found.text.get(start..end).unwrap_or_default(), named.kind);
    found.push(start, end, kind);
}

/// Whether a value says that there is none.
pub(super) fn says_nothing(value: &[u8]) -> bool {
    let none = [&b"null"[..], b"none", b"nil", b"true", b"false", b"undefined"];
    value.iter().all(|byte| *byte == b'*') || none.iter().any(|word| value.eq_ignore_ascii_case(word))
}
