//! The words of the field, where this project once had its own: who knows Flink, tantivy or Delta reads no second
//! language here.

use anyhow::Result;
use regex::Regex;

use super::problem::Problem;
use super::ratchet::Finding;
use super::rust_text::RustText;
use super::source::SourceFile;

/// Where a word is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// In code, comments and documents.
    Text,
    /// As a name in code, below these folders; everywhere where there are none.
    Code(&'static [&'static str]),
}

/// A word that is not said, and what is said instead.
struct Word {
    pattern: &'static str,
    place: Where,
    instead: &'static str,
    /// Phrases in which the word has another sense, and stays.
    except: Option<&'static str>,
}

/// Where something is behind in space, or falls behind: of neither order nor time.
const BEHIND_IN_SPACE: &str = concat!(
    r"(?i)\b(falls?|falling|fell|lag\w*|lea(ve|ves|ving|ft))( \w+){0,3} behind\b",
    r"|\bbehind( an?| the| one's)?( \w+)? (load balancers?|prox(y|ies)|NAT)\b|\bbehind `trusted_proxies`",
    r"|\bbehind a (shared|Google)\b",
);

const fn text(pattern: &'static str, instead: &'static str) -> Word {
    Word {
        pattern,
        place: Where::Text,
        instead,
        except: None,
    }
}

const fn code(folders: &'static [&'static str], pattern: &'static str, instead: &'static str) -> Word {
    Word {
        pattern,
        place: Where::Code(folders),
        instead,
        except: None,
    }
}

/// The table. A pattern is for one sense of a word alone: what has another as well is looked for where it has that.
const WORDS: &[Word] = &[
    text(
        r"(?i:(\b|_)(un)?told(\b|_))|\bTold[A-Z]\w*",
        "reported, observed, emitted; other_count",
    ),
    text(r"(?i)(\b|_)who[ _](is|was|were)[ _]who(\b|_)", "entity resolution"),
    text(r"(?i)neighbour", "neighbor"),
    text(r"(?i:(\b|_)mend(s|ed|ing)?(\b|_))|Mended\b", "fix, repair"),
    text(r"(?i:(\b|_)(overtak(en|e|es|ing)|overtook)(\b|_))", "fenced"),
    text(r"(?i)(\b|_)half[ _-]read(\b|_)", "partial record"),
    text(r"(?i)(\b|_)(given|gives?)[ _]out(\b|_)", "emitted"),
    Word {
        pattern: r"(?i)(\b|_)behind(\b|_)",
        place: Where::Text,
        instead: "after, of order and time",
        except: Some(BEHIND_IN_SPACE),
    },
    text(
        r"\bLookedBy\b|\bLooked\b|\blook_at\b",
        "scan_file, ScanStats, AccessPath",
    ),
    text(r"\bVerdict::Well\b", "Ok"),
    code(&[], r"\bAsked\b", "Requirement, ValueExpr"),
    code(&["correlate/", "store/"], r"\bPlaces?\b", "FieldPath; row coordinates"),
    code(
        &["correlate/"],
        r"\b(Front|Past)\b|\b(front|past)::",
        "window accumulator; baseline",
    ),
    code(
        &["correlate/"],
        r"\b(gate|called_by)\b|\bGate\b|gate::",
        "prefilter literals, candidate rules",
    ),
    code(&["correlate/"], r"\b(is_)?house\b|\bHouse\w*", "extension"),
    code(&["correlate/"], r"\bcrate::engine::", "detection or correlation"),
    code(
        &["store/"],
        r"\b(certain|perhaps|exactly)\b",
        "exact matches, candidates, recheck",
    ),
    code(
        &["store/", "pipeline/"],
        r"\bStaged\w*|\bstaged\b|\.stage\(",
        "PreparedFiles, prepare",
    ),
    code(&[], r"\bhurry\b", "force_commit"),
    code(
        &["event/", "ingest/", "pipeline/"],
        r"\bCheckpoint\b",
        "CheckpointDelta, of offsets",
    ),
    code(&["event/", "ingest/"], r"\bHeld\b", "pending fragment"),
    code(
        &["store/", "cli/", "pipeline/"],
        r"\bcare::|\bmod care\b|\bCare[A-Z]\w*",
        "maintenance",
    ),
];

/// The table itself, with its tests, and the lists of names in which a word still stands.
const OWN: [&str; 2] = ["xtask/src/house/words.rs", "xtask/ratchets/"];

/// A word, ready to search for.
struct Search {
    word: &'static Word,
    pattern: Regex,
    except: Option<Regex>,
}

/// The table, ready to search with.
pub struct Words(Vec<Search>);

impl Words {
    pub fn new() -> Result<Self> {
        let compiled = WORDS.iter().map(|word| {
            Ok(Search {
                word,
                pattern: Regex::new(word.pattern)?,
                except: word.except.map(Regex::new).transpose()?,
            })
        });
        compiled.collect::<Result<_>>().map(Self)
    }

    pub fn check(&self, file: &SourceFile) -> Vec<Finding> {
        if OWN.iter().any(|own| file.path.starts_with(own)) {
            return Vec::new();
        }
        let rust = file.path.ends_with(".rs").then(|| RustText::read(&file.text));
        let mut findings = Vec::new();
        for Search { word, pattern, except } in &self.0 {
            let text = match (word.place, &rust) {
                (Where::Text, _) => &file.text,
                (Where::Code(folders), Some(rust)) if is_below(&file.path, folders) => &rust.code,
                (Where::Code(_), _) => continue,
            };
            for (at, line) in text.lines().enumerate() {
                let kept: Vec<_> = except.iter().flat_map(|except| except.find_iter(line)).collect();
                let is_kept = |found: &regex::Match<'_>| kept.iter().any(|kept| kept.range().contains(&found.start()));
                let found = pattern.find_iter(line).filter(|found| !is_kept(found));
                findings.extend(found.map(|found| Finding {
                    key: file.path.clone(),
                    count: 1,
                    problem: Problem::new(
                        &file.path,
                        at + 1,
                        format!("`{}`: the field says {}", found.as_str(), word.instead),
                    ),
                }));
            }
        }
        findings
    }
}

fn is_below(path: &str, folders: &[&str]) -> bool {
    folders.is_empty() || folders.iter().any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let file = SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let findings = Words::new().unwrap().check(&file);
        findings.iter().map(|finding| finding.problem.to_string()).collect()
    }

    #[test]
    fn the_fields_words_pass() {
        let text =
            "struct FrontDoor; fn certain_of(past_events: &str) { keep_house() } // in a certain place, held back\n";
        assert!(found("correlate/src/a.rs", text).is_empty());
        for text in [
            "a worker that falls behind, and what a crash leaves behind it",
            "an address behind a load balancer, or behind a reverse proxy",
        ] {
            assert!(found("docs/a.md", text).is_empty(), "{text}");
        }
        assert!(
            found(
                "docs/a.md",
                "Take care: the gate is a house, exactly so; recommended, perhaps.\n"
            )
            .is_empty()
        );
    }

    #[test]
    fn a_word_is_found_in_text_and_in_code() {
        for text in [
            "untold",
            "ToldOf",
            "told_of",
            "was_told",
            "Told",
            "who was who",
            "Neighbours",
            "mends",
            "Overtaken",
            "half-read",
            "given out",
            "behind",
            "look_at",
            "Verdict::Well",
        ] {
            assert_eq!(found("docs/a.md", text).len(), 1, "{text}");
            assert_eq!(found("store/src/a.rs", &format!("// {text}\n")).len(), 1, "{text}");
        }
        assert_eq!(
            found("correlate/src/a.rs", "\nstruct Front;\n// Front\n"),
            ["correlate/src/a.rs:2: `Front`: the field says window accumulator; baseline"]
        );
        assert!(found("store/src/a.rs", "struct Front;\n").is_empty());
        assert!(found("docs/a.md", "Front\n").is_empty());
    }

    #[test]
    fn every_word_has_a_pattern_that_can_be_read() {
        assert_eq!(Words::new().unwrap().0.len(), WORDS.len());
    }
}
