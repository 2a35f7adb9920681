//! Conditions on numbers, and the numbers themselves: exact, so that a sum is the same in whatever order it is made.

use std::fmt;
use std::str::FromStr;

use crate::diagnostic::{Report, code};
use crate::sigma::yaml::Node;

/// A number with nine decimal places, within ±9.2·10¹⁸. Sums of it are exact, which those of `f64` are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Fixed(i128);

impl Fixed {
    const SCALE: i128 = 1_000_000_000;

    /// The whole number.
    pub(crate) fn from_count(count: u64) -> Self {
        Self(i128::from(count) * Self::SCALE)
    }

    /// In units of 10⁻⁹.
    pub(crate) fn units(self) -> i128 {
        self.0
    }

    /// From units of 10⁻⁹.
    pub(crate) fn from_units(units: i128) -> Self {
        Self(units)
    }
}

impl FromStr for Fixed {
    type Err = ();

    /// Reads a decimal number. Places beyond the ninth are rounded; what is out of range, infinite or no number is refused.
    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(Self(i128::from(whole) * Self::SCALE));
        }
        let number: f64 = text.trim().parse().map_err(drop)?;
        // Within the range of an i64: far from where the product could leave an i128.
        if !number.is_finite() || number.abs() > i64::MAX as f64 {
            return Err(());
        }
        Ok(Self((number * Self::SCALE as f64).round() as i128))
    }
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (
            self.0.unsigned_abs() / 1_000_000_000,
            self.0.unsigned_abs() % 1_000_000_000,
        );
        let sign = if self.0 < 0 { "-" } else { "" };
        let places = format!("{rest:09}");
        match places.trim_end_matches('0') {
            "" => write!(f, "{sign}{whole}"),
            places => write!(f, "{sign}{whole}.{places}"),
        }
    }
}

/// How a number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparator {
    Gt,
    Gte,
    Lt,
    Lte,
    Eq,
    Neq,
}

impl Comparator {
    const ALL: [(&str, Self); 6] = [
        ("gt", Self::Gt),
        ("gte", Self::Gte),
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("eq", Self::Eq),
        ("neq", Self::Neq),
    ];

    /// The comparator that a key of a condition names.
    pub(crate) fn of(key: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == key).map(|(_, own)| *own)
    }

    fn accepts(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Gt => ordering.is_gt(),
            Self::Gte => ordering.is_ge(),
            Self::Lt => ordering.is_lt(),
            Self::Lte => ordering.is_le(),
            Self::Eq => ordering.is_eq(),
            Self::Neq => ordering.is_ne(),
        }
    }
}

/// A condition on a number: every comparison holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comparisons {
    all: Vec<(Comparator, Fixed)>,
}

impl Comparisons {
    /// The condition that all of these make.
    pub(crate) fn of(all: Vec<(Comparator, Fixed)>) -> Self {
        Self { all }
    }

    /// The condition that a count must be at least `least`.
    pub(crate) fn at_least(least: u64) -> Self {
        Self::of(vec![(Comparator::Gte, Fixed::from_count(least))])
    }

    /// Reads one comparison; `None` if it is an error. With `whole`, the number must be a count.
    pub(crate) fn parse_number(node: &Node, whole: bool, report: &mut Report<'_>) -> Option<Fixed> {
        let number = node.scalar_text().and_then(|text| text.parse::<Fixed>().ok());
        match number {
            Some(number) if !whole || (number.0 >= 0 && number.0 % Fixed::SCALE == 0) => Some(number),
            _ => {
                let message = if whole {
                    "a count is a whole number that is not negative"
                } else {
                    "a number belongs here"
                };
                report.add(code::BAD_CONDITION, node.mark, message);
                None
            }
        }
    }

    /// Whether the condition holds of a number.
    pub(crate) fn holds(&self, number: Fixed) -> bool {
        self.all
            .iter()
            .all(|(comparator, than)| comparator.accepts(number.cmp(than)))
    }

    /// Whether the condition holds of `sum / count`. `count` is not 0.
    pub(crate) fn holds_of_average(&self, sum: i128, count: u64) -> bool {
        // Multiplied rather than divided: nothing is rounded.
        self.all
            .iter()
            .all(|(comparator, than)| comparator.accepts(sum.cmp(&than.0.saturating_mul(i128::from(count)))))
    }

    /// Whether the condition holds of a count.
    pub(crate) fn holds_of_count(&self, count: u64) -> bool {
        self.holds(Fixed::from_count(count))
    }

    /// Whether a larger number can never make it false.
    pub(crate) fn is_monotone(&self) -> bool {
        self.all
            .iter()
            .all(|(comparator, _)| matches!(comparator, Comparator::Gt | Comparator::Gte))
    }

    /// The smallest count, from 1, of which it holds; `None` if there is none.
    pub(crate) fn first_count(&self) -> Option<u64> {
        // The condition can only change next to a number it names.
        let whole = |number: &Fixed| u64::try_from(number.0 / Fixed::SCALE).unwrap_or(0);
        let candidates = self.all.iter().flat_map(|(_, number)| {
            let n = whole(number);
            [n.saturating_sub(1), n, n.saturating_add(1)]
        });
        candidates
            .chain([1])
            .filter(|&n| n >= 1 && self.holds_of_count(n))
            .min()
    }
}

impl fmt::Display for Comparisons {
    /// As it is written, without the braces: `gte: 2, lt: 4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (comparator, number)) in self.all.iter().enumerate() {
            let name = Comparator::ALL.iter().find(|(_, own)| own == comparator);
            let comma = if n > 0 { ", " } else { "" };
            write!(f, "{comma}{}: {number}", name.map_or("", |(name, _)| name))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_written() {
        let check = |text: &str, want: Option<&str>| {
            let read = text.parse::<Fixed>().ok().map(|number| number.to_string());
            assert_eq!(read.as_deref(), want, "{text}");
        };
        check("0", Some("0"));
        check("1500", Some("1500"));
        check("-3", Some("-3"));
        check("0.5", Some("0.5"));
        check("-0.25", Some("-0.25"));
        check("1e3", Some("1000"));
        check("0.0000000004", Some("0"));
        check("9223372036854775807", Some("9223372036854775807"));
        check("1e40", None);
        check("inf", None);
        check("NaN", None);
        check("12 bytes", None);
        check("", None);
    }

    #[test]
    fn the_first_count_is_the_smallest_that_holds() {
        let check = |all: &[(Comparator, u64)], want: Option<u64>, monotone: bool| {
            let condition = Comparisons::of(all.iter().map(|(c, n)| (*c, Fixed::from_count(*n))).collect());
            assert_eq!(condition.first_count(), want, "{all:?}");
            assert_eq!(condition.is_monotone(), monotone, "{all:?}");
            assert_eq!(
                condition.first_count(),
                (1..1_000).find(|&n| condition.holds_of_count(n))
            );
        };
        check(&[(Comparator::Gte, 10)], Some(10), true);
        check(&[(Comparator::Gt, 10)], Some(11), true);
        check(&[(Comparator::Gte, 0)], Some(1), true);
        check(&[(Comparator::Lt, 3)], Some(1), false);
        check(&[(Comparator::Lt, 1)], None, false);
        check(&[(Comparator::Eq, 7)], Some(7), false);
        check(&[(Comparator::Neq, 1)], Some(2), false);
        check(&[(Comparator::Gt, 3), (Comparator::Lte, 5)], Some(4), false);
        check(&[(Comparator::Gt, 5), (Comparator::Lt, 6)], None, false);
        check(&[(Comparator::Neq, 1), (Comparator::Neq, 2)], Some(3), false);
    }

    #[test]
    fn an_average_is_not_rounded() {
        let third = Comparisons::of(vec![(Comparator::Gt, Fixed::from_str("0.333333333").unwrap())]);
        assert!(third.holds_of_average(1_000_000_000, 3));
        assert!(!third.holds_of_average(999_999_999, 3));
    }
}
