//! The envelope of every answer: the data, how certain each statement is that is more than data, and what could not be seen.

use casebook_event::{Attributed, Confidence};
use serde::Serialize;

use crate::coverage::Coverage;

/// What a question is answered with. `docs/investigate.md` describes it as JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Answer<T> {
    /// What was asked for, as it stands in the store.
    pub data: T,
    /// What was concluded on the way.
    pub statements: Vec<Statement>,
    /// What the answer could have found, and what it lacks.
    pub coverage: Coverage,
}

impl<T> Answer<T> {
    /// The same envelope around other data.
    pub fn map<U>(self, other: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            data: other(self.data),
            statements: self.statements,
            coverage: self.coverage,
        }
    }
}

/// Something concluded, with its grade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// What it is about: `event:…`, an entity, a name as it was typed.
    pub about: String,
    /// What it is held to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
    /// How certain that is.
    #[serde(flatten)]
    pub grade: Grade,
    /// By which steps it was concluded; none where it was named outright.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
}

/// How certain a statement is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "grade", rename_all = "snake_case")]
pub enum Grade {
    /// The platform itself says so.
    Certain,
    /// It was concluded from what may be wrong.
    Inferred {
        /// How far that can be relied upon.
        confidence: Confidence,
    },
    /// It may be any of these.
    Ambiguous {
        /// The likeliest first.
        candidates: Vec<Candidate>,
    },
    /// Nothing says what it is.
    Unknown,
}

/// One of several that may be meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Its name; empty for what has none.
    pub name: String,
    /// How many events or alerts say so, where they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
}

impl From<Confidence> for Grade {
    fn from(confidence: Confidence) -> Self {
        match confidence {
            Confidence::Certain => Self::Certain,
            Confidence::Likely | Confidence::Guessed => Self::Inferred { confidence },
        }
    }
}

impl Grade {
    /// The one mapping from what entity resolution says (`docs/entities.md`): an entity, how far it can be relied upon, and the
    /// others that it may be as well. Where there are others, the confidence in the one counts for nothing.
    pub fn of_resolution(entity: Option<&str>, confidence: Confidence, others: &[impl AsRef<str>]) -> Self {
        match (entity, others) {
            (None, []) => Self::Unknown,
            (Some(_), []) => Self::from(confidence),
            (entity, others) => Self::Ambiguous {
                candidates: entity
                    .into_iter()
                    .chain(others.iter().map(AsRef::as_ref))
                    .map(|name| Candidate {
                        name: name.to_owned(),
                        events: None,
                    })
                    .collect(),
            },
        }
    }

    /// The word for it, without its particulars.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Inferred { .. } => "inferred",
            Self::Ambiguous { .. } => "ambiguous",
            Self::Unknown => "unknown",
        }
    }
}

impl Statement {
    /// How an event came to an entity.
    pub fn of_attribution(about: String, attributed: &Attributed) -> Self {
        Self {
            about,
            is: Some(attributed.entity.to_string()),
            grade: Grade::of_resolution(Some(&attributed.entity), attributed.confidence, &attributed.ambiguous),
            by: attributed.how.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_of_a_resolution_has_one_grade() {
        let json = |entity: Option<&str>, confidence, others: &[&str]| {
            serde_json::to_string(&Grade::of_resolution(entity, confidence, others)).unwrap()
        };
        assert_eq!(json(Some("a"), Confidence::Certain, &[]), r#"{"grade":"certain"}"#);
        assert_eq!(
            json(Some("a"), Confidence::Likely, &[]),
            r#"{"grade":"inferred","confidence":"likely"}"#
        );
        assert_eq!(
            json(Some("a"), Confidence::Guessed, &[]),
            r#"{"grade":"inferred","confidence":"guessed"}"#
        );
        // Whatever the confidence: nothing may be concluded from the one alone.
        let both = r#"{"grade":"ambiguous","candidates":[{"name":"a"},{"name":"b"}]}"#;
        assert_eq!(json(Some("a"), Confidence::Certain, &["b"]), both);
        assert_eq!(json(Some("a"), Confidence::Guessed, &["b"]), both);
        assert_eq!(json(None, Confidence::Guessed, &[]), r#"{"grade":"unknown"}"#);
    }

    #[test]
    fn a_statement_has_its_grade_beside_it() {
        let statement = Statement {
            about: "event:00ff".to_owned(),
            is: Some("shop/web-1".to_owned()),
            grade: Confidence::Likely.into(),
            by: vec!["PodIp 10.0.0.5 is PodName shop/web-1".to_owned()],
        };
        assert_eq!(
            serde_json::to_string(&statement).unwrap(),
            r#"{"about":"event:00ff","is":"shop/web-1","grade":"inferred","confidence":"likely","by":["PodIp 10.0.0.5 is PodName shop/web-1"]}"#
        );
    }
}
