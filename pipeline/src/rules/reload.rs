//! Rules that change under a running deployment.
//!
//! ```text
//! SIGHUP, changed files ─▶ RuleReload ─RuleSet─▶ correlate::stage ─RuleSet─▶ detect::stage
//! ```
//!
//! Correlation takes a new set first, so that it knows every rule that detection tells of. A set with an error is refused
//! as a whole, and the old one stays.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use casebook_correlate::{Loaded, RuleSet, Severity};
use tokio::sync::watch;
use tracing::{error, info};

use crate::error::PipelineError;
use crate::rules::files::{load_rules, rule_file_paths};
use crate::telemetry::metrics::Metrics;

/// Errors of a refused set that are logged one by one.
const MAX_LOGGED_ERRORS: usize = 20;

/// What a rule file looks like from outside: its path, length in bytes, and time of the last change.
type Seen = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// Loads rules anew into a running pipeline.
#[derive(Debug, Clone)]
pub struct RuleReload {
    paths: Vec<PathBuf>,
    rules: watch::Sender<Arc<RuleSet>>,
    metrics: Arc<Metrics>,
    seen: Option<Seen>,
}

impl RuleReload {
    /// Of the rules at `paths`, which were read for what the pipeline runs now.
    pub(crate) fn new(paths: Vec<PathBuf>, rules: watch::Sender<Arc<RuleSet>>, metrics: Arc<Metrics>) -> Self {
        metrics.rules(rules.borrow().rules().count());
        let seen = look(&paths).ok();
        Self {
            paths,
            rules,
            metrics,
            seen,
        }
    }

    /// Loads the rules anew if their files have changed since they were last loaded.
    pub async fn reload_if_changed(&mut self) {
        let paths = self.paths.clone();
        let now = tokio::task::spawn_blocking(move || look(&paths)).await;
        // Files that cannot be looked at, perhaps for a moment while they are replaced, are no change.
        if let Ok(Ok(now)) = now
            && self.seen.as_ref() != Some(&now)
        {
            self.reload().await;
        }
    }

    /// Loads the rules anew. What is wrong with them is logged, and counted in the metrics.
    pub async fn reload(&mut self) {
        if self.paths.is_empty() {
            info!("the rules are those built into the program: there is nothing to load anew");
            return;
        }
        let paths = self.paths.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            // Checked before they are read: a change in between is seen the next time.
            let seen = look(&paths)?;
            Ok::<_, PipelineError>((seen, load_rules(&paths)?))
        });
        let Loaded { rules, diagnostics } = match loaded.await {
            Ok(Ok((seen, loaded))) => {
                self.seen = Some(seen);
                loaded
            }
            Ok(Err(reason)) => {
                error!(%reason, "cannot read the rules; going on with those that were loaded before");
                self.metrics.rules_refused();
                return;
            }
            Err(_) => return,
        };
        match rules {
            Some(rules) => {
                let count = rules.rules().count();
                self.rules.send_replace(Arc::new(rules));
                self.metrics.rules(count);
                info!(rules = count, "rules loaded anew");
            }
            None => {
                let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
                for diagnostic in errors.clone().take(MAX_LOGGED_ERRORS) {
                    error!(%diagnostic, "rule error");
                }
                let errors = errors.count();
                error!(
                    errors,
                    "the new rules are refused; going on with those that were loaded before"
                );
                self.metrics.rules_refused();
            }
        }
    }
}

fn look(paths: &[PathBuf]) -> Result<Seen, PipelineError> {
    let look = |path: PathBuf| {
        let metadata = std::fs::metadata(&path).map_err(|source| PipelineError::File {
            path: path.display().to_string(),
            source,
        })?;
        Ok((path, metadata.len(), metadata.modified().ok()))
    };
    rule_file_paths(paths)?.into_iter().map(look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "title: A\nid: 6a8e2c9e-5f0b-4f62-8d1c-0f3b3b0c4d04\nlogsource: { product: aws }\n\
                        detection: { a: { eventName: x }, condition: a }\n";

    #[tokio::test]
    async fn a_bad_set_is_refused_and_the_old_one_stays() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yml");
        std::fs::write(&file, RULE).unwrap();
        let paths = vec![directory.path().to_owned()];
        let loaded = load_rules(&paths).unwrap().rules.unwrap();
        let (sender, mut rules) = watch::channel(Arc::new(loaded));
        let mut reload = RuleReload::new(paths, sender, Arc::new(Metrics::default()));

        reload.reload_if_changed().await;
        assert!(!rules.has_changed().unwrap(), "nothing changed");

        std::fs::write(&file, format!("{RULE}level: grave\n")).unwrap();
        reload.reload_if_changed().await;
        assert!(!rules.has_changed().unwrap(), "a set with an error is refused");

        std::fs::remove_file(&file).unwrap();
        reload.reload().await;
        assert!(!rules.has_changed().unwrap(), "a directory without rules is a mistake");

        std::fs::write(&file, format!("{RULE}level: high\n---\n{}", RULE.replace("d04", "d05"))).unwrap();
        reload.reload_if_changed().await;
        assert!(rules.has_changed().unwrap());
        assert_eq!(rules.borrow_and_update().rules().count(), 2);
        reload.reload_if_changed().await;
        assert!(!rules.has_changed().unwrap(), "loaded once");
    }
}
