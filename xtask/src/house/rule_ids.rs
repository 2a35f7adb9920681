//! Each rule has an id, and one of its own: alerts, correlations and filters name a rule by nothing else.

use std::collections::HashMap;

use saphyr::{LoadableYamlNode, MarkedYaml};

use super::problem::Problem;

/// A file of the rule pack, by its path from the root.
pub struct RuleFile {
    pub path: String,
    pub text: String,
}

/// A file may hold several documents (a rule and the correlation over it): each is a rule of its own.
pub fn check(files: &[RuleFile]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut first_place: HashMap<String, String> = HashMap::new();
    for file in files {
        let documents = match MarkedYaml::load_from_str(&file.text) {
            Ok(documents) => documents,
            Err(error) => {
                problems.push(Problem::new(
                    &file.path,
                    error.marker().line(),
                    format!("is not YAML: {error}"),
                ));
                continue;
            }
        };
        for document in &documents {
            let line = document.span.start.line().max(1);
            let id = document.data.as_mapping_get("id");
            let Some(id_text) = id
                .and_then(|id| id.data.as_str())
                .filter(|text| !text.trim().is_empty())
            else {
                problems.push(Problem::new(&file.path, line, "a rule without an id"));
                continue;
            };
            let line = id.map_or(line, |id| id.span.start.line());
            if let Some(first) = first_place.get(id_text) {
                problems.push(Problem::new(
                    &file.path,
                    line,
                    format!("the id {id_text} is that of {first}"),
                ));
            } else {
                first_place.insert(id_text.to_owned(), format!("{}:{line}", file.path));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::problem;

    #[track_caller]
    fn check_texts(texts: &[&str], expected: &[&str]) {
        let file = |(at, text): (usize, &&str)| RuleFile {
            path: format!("rules/{at}.yml"),
            text: (*text).to_owned(),
        };
        let files: Vec<RuleFile> = texts.iter().enumerate().map(file).collect();
        assert_eq!(problem::lines(check(&files)), expected);
    }

    #[test]
    fn each_rule_has_an_id_of_its_own() {
        check_texts(
            &["title: a\nid: one\n", "title: b\nid: two\n---\ntitle: c\nid: three\n"],
            &[],
        );
        check_texts(&["title: a\n"], &["rules/0.yml:1: a rule without an id"]);
        check_texts(&["title: a\nid: ''\n"], &["rules/0.yml:1: a rule without an id"]);
        check_texts(&["- a\n"], &["rules/0.yml:1: a rule without an id"]);
        check_texts(
            &["id: one\n", "title: b\nid: one\n"],
            &["rules/1.yml:2: the id one is that of rules/0.yml:1"],
        );
        check_texts(&["id: one\n---\ntitle: b\n"], &["rules/0.yml:3: a rule without an id"]);
        check_texts(
            &["id: one\n---\nid: one\n"],
            &["rules/0.yml:3: the id one is that of rules/0.yml:1"],
        );
    }

    #[test]
    fn what_is_not_yaml_is_found() {
        let file = RuleFile {
            path: "rules/a.yml".to_owned(),
            text: "title: [\n".to_owned(),
        };
        let found = problem::lines(check(&[file]));
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("is not YAML"), "{found:?}");
    }
}
