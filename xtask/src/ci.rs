//! The gate: every step that a change must pass, printed before it runs and timed after.
//!
//! The fast part says within minutes whether a change is worth the rest, which takes a broker and twice as long.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

/// The README's test command in three: together they run what it runs, and none runs what another has run.
const UNIT_TESTS: [&str; 6] = ["cargo", "test", "--release", "--workspace", "--lib", "--bins"];
const INTEGRATION_TESTS: [&str; 6] = ["cargo", "test", "--release", "--workspace", "--test", "*"];
const DOC_TESTS: [&str; 5] = ["cargo", "test", "--release", "--workspace", "--doc"];

/// Where the tests that need Kafka find it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// `KAFKA_BROKERS` where it is set; otherwise the tests start their own, or say that they were skipped.
    PerTest,
    /// One broker around all of the tests; the step fails if it does not start.
    Shared,
}

/// Which steps of the gate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What needs neither a broker nor other programs: format, house, clippy, unit tests.
    Fast,
    /// What is left.
    Rest(Broker),
    /// Both, one after the other.
    Whole(Broker),
}

struct Step {
    name: &'static str,
    environment: &'static [(&'static str, &'static str)],
    command: Vec<&'static str>,
}

impl Step {
    fn new(name: &'static str, command: &[&'static str]) -> Self {
        Self {
            name,
            environment: &[],
            command: command.to_vec(),
        }
    }
}

fn steps(part: Part) -> Vec<Step> {
    match part {
        Part::Fast => fast(),
        Part::Rest(broker) => rest(broker),
        Part::Whole(broker) => fast().into_iter().chain(rest(broker)).collect(),
    }
}

/// Cheapest first: a wrong indent should not cost a build. Release everywhere, so that one set of compiled
/// dependencies serves clippy's check, the tests and the binary.
fn fast() -> Vec<Step> {
    let clippy = [
        "cargo",
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    vec![
        Step::new("format", &["cargo", "fmt", "--all", "--check"]),
        Step::new("house", &["cargo", "xtask", "house"]),
        Step::new("clippy", &clippy),
        Step::new("unit tests", &UNIT_TESTS),
    ]
}

fn rest(broker: Broker) -> Vec<Step> {
    let integration_tests = match broker {
        Broker::PerTest => INTEGRATION_TESTS.to_vec(),
        Broker::Shared => [&["deploy/dev/kafka", "run", "--"], &INTEGRATION_TESTS[..]].concat(),
    };
    let doc = Step {
        name: "doc",
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
        command: vec!["cargo", "doc", "--release", "--no-deps", "--workspace"],
    };
    vec![
        Step::new("deploy", &["deploy/check"]),
        Step::new("integration tests", &integration_tests),
        Step::new("doc tests", &DOC_TESTS),
        doc,
    ]
}

/// Runs the steps until one fails. `Ok(false)`: a step failed and has said why itself.
pub fn run(root: &Path, part: Part, out: &mut impl Write) -> Result<bool> {
    run_steps(root, &steps(part), out)
}

fn run_steps(root: &Path, steps: &[Step], out: &mut impl Write) -> Result<bool> {
    let begin = Instant::now();
    for step in steps {
        writeln!(out, "ci: {}: {}", step.name, shown(step))?;
        out.flush()?;
        let step_begin = Instant::now();
        let passed = run_step(root, step)?;
        let verdict = if passed { "passed" } else { "FAILED" };
        writeln!(
            out,
            "ci: {}: {verdict} in {:.1} s",
            step.name,
            step_begin.elapsed().as_secs_f64()
        )?;
        if !passed {
            return Ok(false);
        }
    }
    writeln!(out, "ci: all passed in {:.1} s", begin.elapsed().as_secs_f64())?;
    Ok(true)
}

fn run_step(root: &Path, step: &Step) -> Result<bool> {
    let (program, arguments) = step.command.split_first().context("a step without a command")?;
    let mut command = Command::new(resolve(root, program));
    command
        .args(arguments)
        .current_dir(root)
        .envs(step.environment.iter().copied());
    // Cargo tells what it runs about this package; a step that builds others must not inherit that.
    for (key, _) in std::env::vars_os().filter(|(key, _)| is_about_this_package(key)) {
        command.env_remove(key);
    }
    let status = command
        .status()
        .with_context(|| format!("{} could not be started", shown(step)))?;
    Ok(status.success())
}

/// A program named by a path is the workspace's own, wherever the gate was called from.
fn resolve(root: &Path, program: &str) -> std::path::PathBuf {
    if program.contains('/') {
        root.join(program)
    } else {
        program.into()
    }
}

fn is_about_this_package(key: &OsStr) -> bool {
    key.to_str()
        .is_some_and(|key| key.starts_with("CARGO_PKG_") || key.starts_with("CARGO_MANIFEST_"))
}

/// As one would type it.
fn shown(step: &Step) -> String {
    let environment = step
        .environment
        .iter()
        .map(|(key, value)| format!("{key}=\"{value}\" "));
    environment.collect::<String>() + &step.command.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_ends_the_gate() {
        let steps = [
            Step::new("one", &["true"]),
            Step::new("two", &["false"]),
            Step::new("three", &["true"]),
        ];
        let mut out = Vec::new();
        assert!(!run_steps(Path::new("."), &steps, &mut out).unwrap());
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("ci: one: passed"), "{out}");
        assert!(out.contains("ci: two: FAILED"), "{out}");
        assert!(!out.contains("three"), "{out}");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert!(
            run_steps(
                Path::new("."),
                &[Step::new("one", &["./no-such-program"])],
                &mut Vec::new()
            )
            .is_err()
        );
    }

    #[test]
    fn the_shared_broker_is_around_the_tests_that_need_it() {
        let with_broker = |broker| {
            let steps = steps(Part::Whole(broker));
            let names = steps
                .iter()
                .filter(|step| step.command.contains(&"deploy/dev/kafka"))
                .map(|step| step.name);
            names.collect::<Vec<_>>()
        };
        assert_eq!(with_broker(Broker::Shared), ["integration tests"]);
        assert!(with_broker(Broker::PerTest).is_empty());
    }

    #[test]
    fn a_step_is_shown_with_its_environment() {
        let steps = steps(Part::Rest(Broker::PerTest));
        let doc = steps.last().unwrap();
        assert_eq!(
            shown(doc),
            "RUSTDOCFLAGS=\"-D warnings\" cargo doc --release --no-deps --workspace"
        );
    }

    #[test]
    fn the_two_parts_are_the_whole() {
        let names = |part| steps(part).iter().map(|step| step.name).collect::<Vec<_>>();
        let whole = names(Part::Whole(Broker::PerTest));
        assert_eq!(whole, [names(Part::Fast), names(Part::Rest(Broker::PerTest))].concat());
    }

    /// Which of the test steps run a target of this kind: what `cargo test` alone would run.
    fn runs(kind: &str, is_tested: bool, has_doc_tests: bool) -> Vec<&'static str> {
        let selections = [
            ("lib", "--lib", is_tested),
            ("bin", "--bins", is_tested),
            ("test", "*", is_tested),
            ("lib", "--doc", has_doc_tests),
        ];
        let steps = [UNIT_TESTS.as_slice(), &INTEGRATION_TESTS, &DOC_TESTS];
        let selected = selections.iter().filter(|(of, _, runs)| *of == kind && *runs);
        selected
            .flat_map(|(_, selection, _)| {
                let by = steps.iter().filter(move |step| step[4..].contains(selection));
                by.map(move |_| *selection)
            })
            .collect()
    }

    #[test]
    fn the_three_test_steps_run_every_target_once() {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .current_dir(crate::root())
            .output()
            .unwrap();
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let targets = metadata["packages"].as_array().unwrap().iter();
        let targets = targets.flat_map(|package| package["targets"].as_array().unwrap());
        let mut count = 0;
        for target in targets {
            let is = |key: &str| target[key].as_bool().unwrap();
            let kind = target["kind"][0].as_str().unwrap();
            // What `cargo test` runs of it: its tests, and those in its documentation.
            let expected = usize::from(is("test")) + usize::from(is("doctest"));
            assert_eq!(runs(kind, is("test"), is("doctest")).len(), expected, "{target}");
            // An example is built by `cargo test` and by none of the three.
            assert_ne!(kind, "example", "{target}");
            count += 1;
        }
        assert!(count > 10, "{count} targets");
    }
}
