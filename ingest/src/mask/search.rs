//! One pass over a text for the words that stand at or in every secret, and what is read around each of them.

use super::needle_list::Hit;
use super::span::{NestedSearch, Span, Spans, merged};
use super::{arguments, blocks, commands, connection, encoded, exec, headers, marks, needles, structure, values};

/// The secrets of `text` in its order, none within another; `encodings` within one another are looked into.
pub(super) fn spans(text: &[u8], encodings: usize) -> Vec<Span> {
    let Some(mut spans) = plain_spans(text, encodings) else {
        return encoded::unescaped(text, nested(encodings));
    };
    if encodings > 0 {
        encoded::find(text, nested(encodings), &mut spans);
    }
    merged(text, spans)
}

/// The secrets that stand in `text` as they are. `None` where letters are escaped, so that only the text without these
/// escapes can be searched.
fn plain_spans(text: &[u8], encodings: usize) -> Option<Vec<Span>> {
    let mut found = Spans::of(text);
    let (mut data, mut secret, mut journal) = (false, false, false);
    // Arguments are searched once.
    let (mut aside, mut searched) = (Vec::new(), 0);
    for needles::Found {
        needle,
        hit,
        start,
        end,
    } in needles::find(text)
    {
        match hit {
            Hit::Escape if encodings > 0 && encoded::is_letter_escape(text, end) => return None,
            Hit::CharEscape if encodings > 0 => return None,
            Hit::Data => data = true,
            Hit::Structure => found.structure |= structure::is_needed(text, needle, end),
            Hit::Journal => journal = true,
            Hit::Arguments if encodings > 0 && end > searched => {
                searched = arguments::find(text, end, nested(encodings), &mut aside);
            }
            Hit::Exec if encodings > 0 && end > searched => {
                searched = exec::find(text, start, nested(encodings), &mut aside)
            }
            _ => {}
        }
        secret |= needle == "secret" && structure::names_secrets(text, start, end);
        if hit == Hit::Name && needle == "secret" {
            blocks::secret_document(&mut found, start, end);
        }
        if start < found.done {
            continue;
        }
        match hit {
            Hit::Name => values::named(&mut found, start, end),
            Hit::Scheme => headers::scheme(&mut found, start, end),
            Hit::Jwt => marks::jwt(&mut found, start),
            Hit::Pem => marks::pem(&mut found, start),
            Hit::Putty => marks::putty(&mut found, end),
            Hit::Url => connection::url(&mut found, end),
            Hit::Dsn => connection::dsn(&mut found, start, end),
            Hit::Oracle => connection::oracle(&mut found, end),
            Hit::Signature => marks::signature(&mut found, start, end),
            Hit::Query(kind) => marks::query(&mut found, start, end, kind),
            Hit::Webhook => marks::webhook(&mut found, end),
            Hit::Prefixed(kind, least) => marks::prefixed(&mut found, start, end, kind, least),
            Hit::Command => commands::command(&mut found, needle, start, end),
            _ => {}
        }
    }
    if journal && encodings > 0 {
        encoded::byte_arrays(text, nested(encodings), &mut aside);
    }
    let structure = found.structure || (data && secret) || structure::is_cut(text);
    let mut spans = found.spans;
    spans.append(&mut aside);
    if structure {
        structure::secrets(text, &mut spans);
    }
    Some(spans)
}

fn nested(encodings: usize) -> NestedSearch {
    NestedSearch {
        search: spans,
        encodings,
    }
}
