//! What is said beside an answer, on stderr.

use std::io::Write as _;

use super::escaping::escape;

/// Says one line on stderr, escaped whole. Where nobody listens any more (`2>&1 | head`), it is not said: that must not end
/// a command.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", escape(text));
}

/// [`notice`] with the arguments of `format!`.
macro_rules! notice {
    ($($arg:tt)*) => { $crate::output::notice::say(&format!($($arg)*)) };
}

pub(crate) use notice;
