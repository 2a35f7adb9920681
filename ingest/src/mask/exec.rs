//! The command of an `exec` or `attach` request, an argument a parameter: `…/exec?command=mysql&command=-p&command=…`. It is read
//! as one command line.

use super::encoded::{decode_percent, percent_quotes};
use super::span::{NestedSearch, Span};
use super::view::View;

/// Appends the secrets of the arguments that begin at `start`. Returns where the query ends.
pub(super) fn find(text: &[u8], start: usize, nested: NestedSearch, found: &mut Vec<Span>) -> usize {
    let before = text.get(..start).unwrap_or_default();
    if !(before.ends_with(b"?") || before.ends_with(b"&") || before.ends_with(b"\\u0026")) {
        return start + 1;
    }
    let rest = text.get(start..).unwrap_or_default();
    let ends = |at: usize, byte: u8| match byte {
        0..=b' ' | b'"' | b'\'' | b'<' | b'>' => true,
        b'\\' => !rest.get(at..).is_some_and(|rest| rest.starts_with(b"\\u0026")),
        _ => false,
    };
    let length = rest
        .iter()
        .enumerate()
        .take_while(|(at, byte)| !ends(*at, **byte))
        .count();
    let end = start + length;
    let mut view = View::default();
    let mut at = start;
    while at < end {
        let (parameter, next) = parameter(text, at, end);
        let value = text.get(at..parameter).and_then(|text| text.strip_prefix(b"command="));
        if let Some(value) = value {
            if !view.text.is_empty() {
                // What stands for the space is the separator.
                view.decoded(b" ", at - 1, at);
            }
            let mut argument = View::default();
            decode_percent(text, parameter - value.len(), parameter, &mut argument);
            // One that has spaces is one word all the same.
            let quotes = argument.text.contains(&b' ') && !argument.text.contains(&b'"');
            if quotes {
                view.decoded(b"\"", at, at + 1);
            }
            view.append(argument);
            if quotes {
                view.decoded(b"\"", parameter - 1, parameter);
            }
        }
        at = next;
    }
    found.extend(view.map(nested.spans(&view.text), percent_quotes));
    end
}

/// Where the parameter at `at` ends, and where the next one begins.
fn parameter(text: &[u8], at: usize, end: usize) -> (usize, usize) {
    for here in at..end {
        match text.get(here) {
            Some(b'&') => return (here, here + 1),
            Some(b'\\') => return (here, here + 6),
            _ => {}
        }
    }
    (end, end)
}
