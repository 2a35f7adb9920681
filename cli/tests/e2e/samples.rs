//! Real logs, where the shared samples are at hand: what is found in them was checked by hand.

use std::path::{Path, PathBuf};

use crate::support::{json_lines, run};

fn shared(test: &str, path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(path);
    if path.exists() {
        return Some(path);
    }
    crate::support::skipped(test, &format!("{} is absent", path.display()));
    None
}

#[test]
fn every_event_of_the_real_audit_log_is_normalized() {
    let Some(log) = shared(
        "every_event_of_the_real_audit_log_is_normalized",
        "k8s_audit/audit2rbac_demo.log",
    ) else {
        return;
    };
    let events = json_lines(&run(&[
        "normalize",
        "--source",
        "kubernetes_audit",
        log.to_str().unwrap(),
    ]));
    assert_eq!(events.len(), 37);
    assert!(
        events
            .iter()
            .all(|event| event["user"]["name"].is_string() && event["event"]["action"].is_string())
    );
}
