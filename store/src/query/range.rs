//! Ranges of a field's values.

use casebook_event::Timestamp;

/// One end of a range.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bound {
    /// In lower case.
    pub text: String,
    pub inclusive: bool,
}

/// Values between two ends. Where both ends are numbers, so is the range: a value that is no number is outside.
/// Otherwise texts are compared, in lower case, character by character.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Range {
    low: Option<Bound>,
    high: Option<Bound>,
    numeric: bool,
}

/// A number as a query or a value writes it. Whole numbers are compared as such, so that none is rounded.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(whole) = text.parse::<i128>() {
            return Some(Self::Whole(whole));
        }
        text.parse::<f64>().ok().filter(|real| real.is_finite()).map(Self::Real)
    }

    fn compare(self, other: Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (Self::Whole(a), Self::Real(b)) => (a as f64).partial_cmp(&b),
            (Self::Real(a), Self::Whole(b)) => a.partial_cmp(&(b as f64)),
            (Self::Real(a), Self::Real(b)) => a.partial_cmp(&b),
        }
    }
}

impl Range {
    pub fn new(low: Option<Bound>, high: Option<Bound>) -> Self {
        let numeric = [&low, &high]
            .into_iter()
            .flatten()
            .all(|bound| Number::parse(&bound.text).is_some());
        Self { low, high, numeric }
    }

    /// Whether a value in lower case lies between.
    pub fn holds(&self, value: &str) -> bool {
        use std::cmp::Ordering;
        let within = |bound: &Option<Bound>, outside: Ordering| {
            let Some(bound) = bound else { return true };
            let order = if self.numeric {
                match (Number::parse(value), Number::parse(&bound.text)) {
                    (Some(value), Some(bound)) => value.compare(bound),
                    _ => None,
                }
            } else {
                Some(value.cmp(&bound.text))
            };
            match order {
                None => false,
                Some(Ordering::Equal) => bound.inclusive,
                Some(order) => order != outside,
            }
        };
        // A range without ends still asks for a number only where it has a numeric end.
        within(&self.low, Ordering::Less) && within(&self.high, Ordering::Greater)
    }

    /// The range as times: at or after the first, before the second.
    ///
    /// # Errors
    /// The end that is no time.
    pub fn times(&self) -> Result<(Option<Timestamp>, Option<Timestamp>), String> {
        let time = |bound: &Option<Bound>, after_when: bool| -> Result<Option<Timestamp>, String> {
            match bound {
                None => Ok(None),
                Some(bound) => {
                    let time = parse_time(&bound.text).ok_or_else(|| bound.text.clone())?;
                    Ok(Some(if bound.inclusive == after_when {
                        time.saturating_add_nanos(1)
                    } else {
                        time
                    }))
                }
            }
        };
        Ok((time(&self.low, false)?, time(&self.high, true)?))
    }
}

/// A time as a query writes it: RFC 3339, or a date, which is its first moment.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(&text.to_ascii_uppercase())
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(low: Option<(&str, bool)>, high: Option<(&str, bool)>, inside: &[&str], outside: &[&str]) {
        let bound = |end: Option<(&str, bool)>| {
            end.map(|(text, inclusive)| Bound {
                text: text.into(),
                inclusive,
            })
        };
        let range = Range::new(bound(low), bound(high));
        inside
            .iter()
            .for_each(|value| assert!(range.holds(value), "{value} in {range:?}"));
        outside
            .iter()
            .for_each(|value| assert!(!range.holds(value), "{value} not in {range:?}"));
    }

    #[test]
    fn numbers_and_texts() {
        check(
            Some(("400", true)),
            Some(("499", true)),
            &["400", "404.5", "499"],
            &["399", "500", "4xx", ""],
        );
        check(Some(("400", false)), None, &["401", "9223372036854775807"], &["400"]);
        check(Some(("a", true)), Some(("c", false)), &["a", "bz"], &["c", "A"]);
        check(
            Some(("9007199254740993", true)),
            None,
            &["9007199254740993"],
            &["9007199254740992"],
        );
        check(None, None, &["", "x"], &[]);
    }

    #[test]
    fn times() {
        let range = Range::new(
            Some(Bound {
                text: "2024-05-01".into(),
                inclusive: true,
            }),
            Some(Bound {
                text: "2024-05-01t00:00:01z".into(),
                inclusive: true,
            }),
        );
        let (from, to) = range.times().unwrap();
        assert_eq!(from.unwrap().to_string(), "2024-05-01T00:00:00Z");
        assert_eq!(to.unwrap().to_string(), "2024-05-01T00:00:01.000000001Z");
        assert!(
            Range::new(
                Some(Bound {
                    text: "x".into(),
                    inclusive: true
                }),
                None
            )
            .times()
            .is_err()
        );
    }
}
