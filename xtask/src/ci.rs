//! The gate: every step that a change must pass, printed before it runs and timed after.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

/// The README's test command. The gate runs the one that readers run.
const TEST: [&str; 4] = ["cargo", "test", "--release", "--workspace"];

/// Where the tests that need Kafka find it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// `KAFKA_BROKERS` where it is set; otherwise the tests start their own, or say that they were skipped.
    PerTest,
    /// One broker around all of the tests; the step fails if it does not start.
    Shared,
}

struct Step {
    name: &'static str,
    environment: &'static [(&'static str, &'static str)],
    command: Vec<&'static str>,
}

/// Cheapest first: a wrong indent should not cost a build. Release everywhere, so that one set of compiled
/// dependencies serves clippy's check, the tests and the binary.
fn steps(broker: Broker) -> Vec<Step> {
    let step = |name, command: &[&'static str]| Step {
        name,
        environment: &[],
        command: command.to_vec(),
    };
    let test = match broker {
        Broker::PerTest => TEST.to_vec(),
        Broker::Shared => [&["deploy/dev/kafka", "run", "--"], &TEST[..]].concat(),
    };
    vec![
        step("format", &["cargo", "fmt", "--all", "--check"]),
        step("house", &["cargo", "xtask", "house"]),
        step("deploy", &["deploy/check"]),
        step(
            "clippy",
            &[
                "cargo",
                "clippy",
                "--release",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        ),
        step("test", &test),
        Step {
            name: "doc",
            environment: &[("RUSTDOCFLAGS", "-D warnings")],
            command: vec!["cargo", "doc", "--release", "--no-deps", "--workspace"],
        },
    ]
}

/// Runs the steps until one fails. `Ok(false)`: a step failed and has said why itself.
pub fn run(root: &Path, broker: Broker, out: &mut impl Write) -> Result<bool> {
    run_steps(root, &steps(broker), out)
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

    fn step(name: &'static str, command: &[&'static str]) -> Step {
        Step {
            name,
            environment: &[],
            command: command.to_vec(),
        }
    }

    #[test]
    fn the_first_failure_ends_the_gate() {
        let steps = [
            step("one", &["true"]),
            step("two", &["false"]),
            step("three", &["true"]),
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
        assert!(run_steps(Path::new("."), &[step("one", &["./no-such-program"])], &mut Vec::new()).is_err());
    }

    #[test]
    fn the_shared_broker_is_around_the_tests_alone() {
        let with_broker = |broker| {
            let steps = steps(broker);
            let names = steps
                .iter()
                .filter(|step| step.command.contains(&"deploy/dev/kafka"))
                .map(|step| step.name);
            names.collect::<Vec<_>>()
        };
        assert_eq!(with_broker(Broker::Shared), ["test"]);
        assert!(with_broker(Broker::PerTest).is_empty());
    }

    #[test]
    fn a_step_is_shown_with_its_environment() {
        let steps = steps(Broker::PerTest);
        let doc = steps.last().unwrap();
        assert_eq!(
            shown(doc),
            "RUSTDOCFLAGS=\"-D warnings\" cargo doc --release --no-deps --workspace"
        );
    }
}
