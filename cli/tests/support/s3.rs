//! An S3 server of a test's own.

use std::path::Path;
use std::process::{Command, Stdio};

/// Exit code of the script where Python is missing.
const MISSING: i32 = 3;

/// The environment that leads to an empty bucket `casebook`, of whose requests so many of a hundred fail; `None` after
/// saying that `test` is skipped. In CI a server that does not start is a failure.
pub fn start(test: &str, fail_percent: u32) -> Option<Vec<(String, String)>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/s3");
    let output = Command::new(script)
        .args(["start", "--until-exit", &std::process::id().to_string()])
        .args(["--fail", &fail_percent.to_string()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(MISSING) {
        assert!(std::env::var_os("CI").is_none(), "{test} needs an S3 server: {said}");
        super::skipped(test, said.trim());
        return None;
    }
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let endpoint = text.trim().split_once('=').unwrap().1;
    let pairs = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "casebook"),
        ("AWS_SECRET_ACCESS_KEY", "casebook"),
    ];
    Some(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    )
}
