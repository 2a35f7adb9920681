//! Times as programs write them: RFC 3339 text, and numbers since the epoch in any unit.

use casebook_event::{Timestamp, ValueRef};

/// Reads a time from a text, a number, `{"$date":…}` (MongoDB) or `{"epochSecond":…,"nanoOfSecond":…}` (log4j2).
///
/// A number's unit is known by its size: below 10^11 seconds (until the year 5138), below 10^14 milliseconds, below
/// 10^17 microseconds, else nanoseconds. Below 10^8 (March 1973) it is a duration or a counter, and no time.
pub(crate) fn parse<'a>(value: impl Into<ValueRef<'a>>) -> Option<Timestamp> {
    let value = value.into();
    match value {
        ValueRef::Str(text) => parse_text(text.trim()),
        ValueRef::Int(number) => from_integer(number),
        ValueRef::Float(number) => from_float(number),
        ValueRef::Map(_) => match value.get("$date") {
            Some(date) => parse_scalar(date),
            None => {
                let seconds = value.get("epochSecond").and_then(ValueRef::as_i64)?;
                let nanos = value.get("nanoOfSecond").and_then(ValueRef::as_i64).unwrap_or(0);
                Some(Timestamp::from_seconds(seconds).saturating_add_nanos(nanos))
            }
        },
        _ => None,
    }
}

fn parse_scalar(value: ValueRef<'_>) -> Option<Timestamp> {
    if matches!(value, ValueRef::Map(_)) {
        None
    } else {
        parse(value)
    }
}

fn parse_text(text: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(text).or_else(|| {
        // Exact for decimals: `1700000000.123456789` does not fit a float.
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let number: i64 = whole.parse().ok()?;
        if fraction.is_empty() {
            return from_integer(number);
        }
        if number.unsigned_abs() >= SECONDS_BELOW || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().and_then(from_float);
        }
        if number.unsigned_abs() < TIMES_FROM {
            return None;
        }
        let digits = &fraction[..fraction.len().min(9)];
        let nanos: i64 = digits.parse::<i64>().ok()? * 10i64.pow(9 - digits.len() as u32);
        Some(Timestamp::from_seconds(number).saturating_add_nanos(if number < 0 { -nanos } else { nanos }))
    })
}

const TIMES_FROM: u64 = 100_000_000;
const SECONDS_BELOW: u64 = 100_000_000_000;
const MILLIS_BELOW: u64 = SECONDS_BELOW * 1_000;
const MICROS_BELOW: u64 = MILLIS_BELOW * 1_000;

fn from_integer(number: i64) -> Option<Timestamp> {
    Some(match number.unsigned_abs() {
        n if n < TIMES_FROM => return None,
        n if n < SECONDS_BELOW => Timestamp::from_nanos(number.checked_mul(1_000_000_000)?),
        n if n < MILLIS_BELOW => Timestamp::from_millis(number),
        n if n < MICROS_BELOW => Timestamp::from_nanos(number.checked_mul(1_000)?),
        _ => Timestamp::from_nanos(number),
    })
}

/// A float holds microseconds at most at today's magnitude: what is finer is noise and is rounded away.
fn from_float(number: f64) -> Option<Timestamp> {
    if !number.is_finite() || number.abs() < TIMES_FROM as f64 {
        return None;
    }
    let micros = match number.abs() {
        n if n < SECONDS_BELOW as f64 => number * 1e6,
        n if n < MILLIS_BELOW as f64 => number * 1e3,
        n if n < MICROS_BELOW as f64 => number,
        _ => number / 1e3,
    };
    (micros.abs() < 9e15).then(|| Timestamp::from_nanos(micros.round() as i64 * 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_known_by_size() {
        let check = |json: &str, want: Option<&str>| {
            let value: casebook_event::Value = serde_json::from_str(json).unwrap();
            assert_eq!(parse(&value).map(|t| t.to_string()).as_deref(), want, "{json}");
        };
        check(r#""2023-07-10 12:00:00,250""#, Some("2023-07-10T12:00:00.250Z"));
        check("1700000000", Some("2023-11-14T22:13:20Z"));
        check("1700000000123", Some("2023-11-14T22:13:20.123Z"));
        check("1700000000123456", Some("2023-11-14T22:13:20.123456Z"));
        check("1700000000123456789", Some("2023-11-14T22:13:20.123456789Z"));
        check("1700000000.123", Some("2023-11-14T22:13:20.123Z"));
        check("1.7000000001234567e9", Some("2023-11-14T22:13:20.123457Z"));
        check(r#""1700000000.123456789""#, Some("2023-11-14T22:13:20.123456789Z"));
        check(r#""1700000000123""#, Some("2023-11-14T22:13:20.123Z"));
        check(
            r#"{"$date":"2025-07-21T15:00:28.308+00:00"}"#,
            Some("2025-07-21T15:00:28.308Z"),
        );
        check(
            r#"{"epochSecond":1700000000,"nanoOfSecond":5}"#,
            Some("2023-11-14T22:13:20.000000005Z"),
        );
        check("0", None);
        check("12.5", None);
        check("99999999", None);
        check(r#""5.25""#, None);
        check("1e300", None);
        check(r#""soon""#, None);
        check("null", None);
        check(r#"{"$date":{"$date":1}}"#, None);
    }
}
