//! `casebook rule schema`: a JSON Schema of rule files, for editors that complete and check YAML.
//!
//! It says what an editor can check as one types; `casebook rule lint` says the rest. Draft 7, which the YAML language
//! server reads. Sources: Sigma rules, filters and correlations specifications 2.1.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use casebook_correlate::{MODIFIERS, RuleKind, STATUSES};
use casebook_event::{EntityKind, Source};
use serde_json::{Value, json};

use crate::{exit_code, output};

pub fn run() -> Result<ExitCode> {
    let schema = serde_json::to_string_pretty(&schema())?;
    writeln!(output::lines(), "{}", output::escape_json(&schema))?;
    Ok(exit_code::OK)
}

fn schema() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Casebook rule",
        "description": "A Sigma 2.1 detection, correlation or filter, with Casebook's keys under `casebook:`",
        "type": "object",
        "anyOf": [
            { "required": ["title", "logsource", "detection"] },
            { "required": ["title", "correlation"] },
            { "required": ["title", "logsource", "filter"] },
            { "required": ["mapping"] },
        ],
        "properties": properties(),
        "definitions": {
            "texts": { "oneOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] },
            "scalar": { "type": ["string", "number", "boolean", "null"] },
            "values": {
                "oneOf": [
                    { "$ref": "#/definitions/scalar" },
                    { "type": "array", "minItems": 1, "items": { "$ref": "#/definitions/scalar" } },
                ],
            },
            "fields": {
                "type": "object",
                "minProperties": 1,
                "description": "Every line must hold: FIELD|MODIFIER|…: VALUE, or a list of values of which one is enough",
                "propertyNames": { "pattern": field_pattern() },
                "additionalProperties": { "$ref": "#/definitions/values" },
            },
            "selection": {
                "oneOf": [
                    { "$ref": "#/definitions/fields" },
                    {
                        "type": "array",
                        "minItems": 1,
                        "description": "Any of these: keywords, or groups of fields",
                        "items": { "oneOf": [
                            { "$ref": "#/definitions/fields" },
                            { "$ref": "#/definitions/scalar" },
                        ] },
                    },
                    { "type": ["string", "number"], "description": "A keyword: looked for in every value" },
                ],
            },
            "logsource": logsource(),
            "detection": detection(),
            "correlation": correlation(),
            "casebook": casebook(),
            "mapping": mapping(),
        },
    })
}

/// A field's name and known modifiers after it; keywords have no name.
fn field_pattern() -> String {
    format!("^[^|]*(\\|({}))*$", MODIFIERS.join("|"))
}

fn properties() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let texts = |description: &str| json!({ "$ref": "#/definitions/texts", "description": description });
    json!({
        "title": { "type": "string", "maxLength": 256, "description": "What the rule finds, in a line" },
        "id": text("A UUID of its own: alerts are known by it"),
        "name": text("A short name, by which correlations and filters refer to the rule"),
        "related": { "type": "array", "items": {
            "type": "object",
            "required": ["id", "type"],
            "properties": {
                "id": { "type": "string" },
                "type": { "enum": ["derived", "obsolete", "merged", "renamed", "similar", "correlation"] },
            },
        } },
        "taxonomy": text("The names of fields that the rule uses"),
        "status": { "enum": STATUSES },
        "description": text("What it finds and why that matters"),
        "license": text("SPDX identifier"),
        "author": text("Who wrote it"),
        "references": texts("Where to read more"),
        "date": { "type": "string", "description": "YYYY-MM-DD" },
        "modified": { "type": "string", "description": "YYYY-MM-DD" },
        "tags": { "type": "array", "items": { "type": "string" }, "description": "attack.execution, attack.t1609, …" },
        "level": { "enum": ["informational", "low", "medium", "high", "critical"] },
        "falsepositives": texts("What else may look like this"),
        "fields": texts("Fields worth a look"),
        "scope": texts("Where the rule is meant for"),
        "generate": { "type": "boolean", "description": "The rules that a correlation names alert by themselves, too" },
        "simulation": {},
        "regression_tests_path": { "type": "string" },
        "logsource": { "$ref": "#/definitions/logsource" },
        "detection": { "$ref": "#/definitions/detection" },
        "correlation": { "$ref": "#/definitions/correlation" },
        "filter": {
            "type": "object",
            "required": ["condition"],
            "properties": {
                "rules": texts("Ids or names of the rules that it narrows; `any` for all of its logsource"),
                "condition": text("Must hold beside the rule's own condition, as in `not selection`"),
            },
            "additionalProperties": { "$ref": "#/definitions/selection" },
        },
        "mapping": { "$ref": "#/definitions/mapping" },
        "casebook": { "$ref": "#/definitions/casebook" },
    })
}

/// With the products, categories and services of all sources to choose from; others are of other systems.
fn logsource() -> Value {
    let known = |part: fn(&casebook_event::Logsource) -> &'static str, what: &str| {
        let logsources = Source::ALL.iter().flat_map(|source| source.logsources());
        let mut names: Vec<&str> = logsources.map(part).filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        names.dedup();
        json!({ "anyOf": [{ "enum": names }, { "type": "string" }], "description": what })
    };
    json!({
        "type": "object",
        "properties": {
            "product": known(|l| l.product, "kubernetes, aws, linux, …"),
            "category": known(|l| l.category, "process_creation, network_connection, …"),
            "service": known(|l| l.service, "audit, cloudtrail, sshd, …"),
            "definition": { "type": "string", "description": "What must be logged for the rule to work" },
        },
    })
}

fn detection() -> Value {
    json!({
        "type": "object",
        "required": ["condition"],
        "properties": {
            "condition": {
                "$ref": "#/definitions/texts",
                "description": "selection and not 1 of filter_*",
            },
        },
        "additionalProperties": { "$ref": "#/definitions/selection" },
    })
}

fn correlation() -> Value {
    let types = RuleKind::CORRELATIONS.into_iter().filter(|kind| !kind.is_extension());
    let types: Vec<&str> = types.map(RuleKind::name).collect();
    json!({
        "type": "object",
        "required": ["type", "rules", "timespan"],
        "properties": {
            "type": { "enum": types },
            "rules": { "$ref": "#/definitions/texts", "description": "Ids or names" },
            "group-by": { "$ref": "#/definitions/texts", "description": "Fields, or aliases" },
            "timespan": { "type": "string", "pattern": "^[0-9]+[smhdw]$" },
            "condition": {
                "type": ["object", "string"],
                "description": "gte: 10; with `field` for the types that ask for values; for `temporal` also `a and not b`",
                "properties": {
                    "field": { "$ref": "#/definitions/texts" },
                    "percentile": { "type": "integer", "minimum": 1, "maximum": 100 },
                    "gt": { "type": "number" }, "gte": { "type": "number" }, "lt": { "type": "number" },
                    "lte": { "type": "number" }, "eq": { "type": "number" }, "neq": { "type": "number" },
                },
            },
            "aliases": {
                "type": "object",
                "additionalProperties": { "type": "object", "additionalProperties": { "type": "string" } },
            },
            "generate": { "type": "boolean" },
        },
    })
}

fn mapping() -> Value {
    json!({
        "type": "object",
        "description": "Placeholders, names of fields, and log sources of your own",
        "additionalProperties": false,
        "properties": {
            "placeholders": { "type": "object", "additionalProperties": { "$ref": "#/definitions/values" } },
            "logsource": { "$ref": "#/definitions/logsource", "description": "The rules that `fields` is for" },
            "fields": { "type": "object", "additionalProperties": { "$ref": "#/definitions/texts" } },
            "logsources": { "type": "array", "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["source"],
                "properties": {
                    "product": { "type": "string" },
                    "category": { "type": "string" },
                    "service": { "type": "string" },
                    "source": { "anyOf": [
                        { "enum": source_names() },
                        { "type": "array", "items": { "enum": source_names() } },
                    ] },
                    "where": { "$ref": "#/definitions/selection" },
                },
            } },
        },
    })
}

fn source_names() -> Vec<&'static str> {
    Source::ALL.iter().map(|source| source.name()).collect()
}

fn casebook() -> Value {
    let timespan = json!({ "type": "string", "pattern": "^[0-9]+[smhdw]$" });
    let comparisons =
        ["gt", "gte", "lt", "lte", "eq", "neq"].map(|name| (name.to_owned(), json!({ "type": "integer" })));
    let comparisons = json!({
        "type": "object",
        "minProperties": 1,
        "additionalProperties": false,
        "properties": serde_json::Map::from_iter(comparisons),
    });
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "response": { "$ref": "#/definitions/texts", "description": "What to do about an alert, step by step" },
            "counts": {
                "type": "object",
                "description": "Of a temporal correlation: how many events a rule must have",
                "additionalProperties": { "anyOf": [{ "type": "integer", "minimum": 1 }, comparisons.clone()] },
            },
            "group-by": {
                "type": "object",
                "description": "Of a correlation: what its events are about, whatever their sources call it",
                "additionalProperties": false,
                "required": ["entity"],
                "properties": { "entity": { "enum": EntityKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>() } },
            },
            "clusters": {
                "enum": ["each", "any"],
                "description": "Of a correlation: whether events of several clusters may meet in one group; each where nothing is said",
            },
            "absence": {
                "$ref": "#/definitions/texts",
                "description": "Beside event_count: the rules that do not follow within the timespan",
            },
            "first_seen": {
                "type": "object",
                "description": "Beside value_count with gte: 1: a value that its group did not have within the timespan before",
                "additionalProperties": false,
                "properties": { "learn": timespan.clone() },
            },
            "deviation": {
                "type": "object",
                "description": "Beside event_count or value_sum: a timespan that is out of line with those before it",
                "additionalProperties": false,
                "required": ["history"],
                "properties": {
                    "history": timespan.clone(),
                    "learn": timespan,
                    "factor": { "type": "number", "minimum": 0, "description": "Standard deviations above the mean" },
                },
            },
            "tests": { "type": "array", "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["name", "events", "expect"],
                "properties": {
                    "name": { "type": "string" },
                    "expect": { "type": "integer", "minimum": 0, "description": "How many final alerts of this rule" },
                    "group": { "type": "object", "additionalProperties": { "$ref": "#/definitions/scalar" } },
                    "events": { "type": "array", "items": {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["source"],
                        "properties": {
                            "source": { "enum": source_names() },
                            "event": { "type": "object", "description": "The record, as its source writes it" },
                            "raw": { "type": "string", "description": "The record, as text" },
                            "file": { "type": "string", "description": "A file of records below the rule's directory" },
                        },
                        "oneOf": [{ "required": ["event"] }, { "required": ["raw"] }, { "required": ["file"] }],
                    } },
                },
            } },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_is_defined() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(entries) => {
                    found.extend(entries.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    entries.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let schema = schema();
        let mut found = Vec::new();
        references(&schema, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(schema.pointer(pointer).is_some(), "{reference}");
        }
    }
}
