//! Which crate may know which: the flow of the design as a table, so that an edge against it fails here and not in review.

use super::manifest::{Dependency, Kind, Manifest, RootManifest};
use super::problem::Problem;

const EVENT: &str = "casebook-event";
const INGEST: &str = "casebook-ingest";
const CORRELATE: &str = "casebook-correlate";
const STORE: &str = "casebook-store";
const INVESTIGATE: &str = "casebook-investigate";
const PIPELINE: &str = "casebook-pipeline";
const CLI: &str = "casebook-cli";
const CORPUS: &str = "casebook-corpus";
const BENCHES: &str = "casebook-benches";
const XTASK: &str = "xtask";

/// What a crate may name of the workspace.
struct Layer {
    package: &'static str,
    normal: &'static [&'static str],
    /// Beyond `normal`, in tests and benches.
    dev: &'static [&'static str],
}

/// Siblings never depend on each other. The corpus generates what sources send, so any crate above the event may test
/// with it.
const LAYERS: &[Layer] = &[
    Layer {
        package: EVENT,
        normal: &[],
        dev: &[],
    },
    Layer {
        package: INGEST,
        normal: &[EVENT],
        dev: &[CORPUS],
    },
    Layer {
        package: CORRELATE,
        normal: &[EVENT],
        dev: &[CORPUS],
    },
    Layer {
        package: STORE,
        normal: &[EVENT],
        dev: &[CORPUS],
    },
    Layer {
        package: PIPELINE,
        normal: &[EVENT, INGEST, CORRELATE, STORE],
        dev: &[CORPUS],
    },
    Layer {
        package: INVESTIGATE,
        normal: &[EVENT, CORRELATE, STORE],
        dev: &[],
    },
    Layer {
        package: CLI,
        normal: &[EVENT, INGEST, CORRELATE, STORE, PIPELINE, INVESTIGATE, CORPUS],
        dev: &[],
    },
    Layer {
        package: CORPUS,
        normal: &[EVENT],
        dev: &[INGEST, CORRELATE, STORE, PIPELINE, CLI],
    },
    Layer {
        package: BENCHES,
        normal: &[],
        dev: &[EVENT, INGEST, CORRELATE, STORE, PIPELINE, CORPUS],
    },
    Layer {
        package: XTASK,
        normal: &[],
        dev: &[],
    },
];

/// Where a third-party crate with a wide surface is kept to.
struct Confined {
    /// The crate, and every crate whose name continues it after a dash or an underscore.
    family: &'static str,
    normal: &'static [&'static str],
    /// Beyond `normal`, in tests and benches.
    dev: &'static [&'static str],
}

const CONFINED: &[Confined] = &[
    Confined {
        family: "rdkafka",
        normal: &[INGEST, PIPELINE, CLI],
        dev: &[],
    },
    Confined {
        family: "arrow",
        normal: &[STORE],
        dev: &[BENCHES],
    },
    Confined {
        family: "parquet",
        normal: &[STORE],
        dev: &[BENCHES],
    },
    Confined {
        family: "deltalake",
        normal: &[STORE],
        dev: &[BENCHES],
    },
    Confined {
        family: "datafusion",
        normal: &[STORE],
        dev: &[BENCHES],
    },
    Confined {
        family: "tantivy",
        normal: &[STORE],
        dev: &[BENCHES],
    },
    Confined {
        family: "clap",
        normal: &[CLI],
        dev: &[],
    },
    // The vocabulary and the rules are pure and synchronous; a runtime in their tests would be the first crack.
    Confined {
        family: "tokio",
        normal: &[INGEST, STORE, PIPELINE, INVESTIGATE, CLI],
        dev: &[BENCHES],
    },
];

pub fn check(manifest: &Manifest, root: &RootManifest) -> Vec<Problem> {
    let Some(layer) = LAYERS.iter().find(|layer| layer.package == manifest.package) else {
        return vec![Problem::new(
            &manifest.path,
            1,
            format!(
                "{} has no layer: say in xtask's table what it may depend on",
                manifest.package
            ),
        )];
    };
    let breach = |dependency: &Dependency| {
        let package = root.package_of(&dependency.name);
        let message = match confinement(package) {
            _ if is_member(package) => (!allows(layer.normal, layer.dev, dependency.kind, package))
                .then(|| format!("{} may not depend on {package} ({})", manifest.package, dependency.kind)),
            Some(confined) => (!allows(confined.normal, confined.dev, dependency.kind, &manifest.package)).then(|| {
                format!(
                    "{package} is kept out of {} ({}): it belongs in {}",
                    manifest.package,
                    dependency.kind,
                    confined.normal.join(", ")
                )
            }),
            None => None,
        };
        message.map(|message| Problem::new(&manifest.path, dependency.line, message))
    };
    manifest.dependencies.iter().filter_map(breach).collect()
}

fn allows(normal: &[&str], dev: &[&str], kind: Kind, name: &str) -> bool {
    normal.contains(&name) || (kind == Kind::Dev && dev.contains(&name))
}

fn is_member(package: &str) -> bool {
    LAYERS.iter().any(|layer| layer.package == package)
}

fn confinement(package: &str) -> Option<&'static Confined> {
    CONFINED.iter().find(|confined| {
        let rest = package.strip_prefix(confined.family);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::problem;

    const ROOT: &str =
        "[workspace]\nmembers = []\n[workspace.dependencies]\nkafka = { package = \"rdkafka\", version = \"1\" }\n";

    fn breaches(package: &str, table: &str, dependency: &str) -> Vec<String> {
        let text = format!("[package]\nname = \"{package}\"\n[{table}]\n{dependency}.workspace = true\n");
        let manifest = Manifest::parse("x/Cargo.toml", &text).unwrap();
        problem::lines(check(&manifest, &RootManifest::parse(ROOT).unwrap()))
    }

    #[test]
    fn edges_with_the_flow_pass() {
        let cases = [
            (INGEST, "dependencies", EVENT),
            (STORE, "dev-dependencies", CORPUS),
            (PIPELINE, "dependencies", STORE),
            (CLI, "dependencies", PIPELINE),
            (CLI, "dependencies", INVESTIGATE),
            (INVESTIGATE, "dependencies", STORE),
            (CLI, "dependencies", CORPUS),
            (CLI, "dependencies", "clap"),
            (CORPUS, "dev-dependencies", CLI),
            (CORPUS, "dev-dependencies", CORRELATE),
            (BENCHES, "dev-dependencies", STORE),
            (BENCHES, "dev-dependencies", "arrow"),
            (INGEST, "dependencies", "rdkafka"),
            (INGEST, "dependencies", "kafka"),
            (STORE, "dependencies", "deltalake-core"),
            (STORE, "dependencies", "tokio"),
            (EVENT, "dependencies", "arrowhead"),
        ];
        for (package, table, dependency) in cases {
            assert!(
                breaches(package, table, dependency).is_empty(),
                "{package} {table} {dependency}"
            );
        }
    }

    #[test]
    fn edges_against_the_flow_are_found() {
        let cases = [
            (EVENT, "dependencies", INGEST),
            (EVENT, "dev-dependencies", CORPUS),
            (INGEST, "dependencies", STORE),
            (INGEST, "dev-dependencies", CORRELATE),
            (STORE, "dependencies", CORPUS),
            (PIPELINE, "dependencies", CLI),
            (INVESTIGATE, "dependencies", INGEST),
            (INVESTIGATE, "dependencies", "clap"),
            (PIPELINE, "dependencies", INVESTIGATE),
            (CORPUS, "dependencies", PIPELINE),
            (CORPUS, "dependencies", INGEST),
            (CORPUS, "dev-dependencies", "arrow"),
            (BENCHES, "dependencies", CORPUS),
            (XTASK, "dependencies", EVENT),
            (STORE, "dependencies", "rdkafka"),
            (STORE, "build-dependencies", "kafka"),
            (CLI, "dependencies", "datafusion"),
            (PIPELINE, "dev-dependencies", "arrow-schema"),
            (PIPELINE, "dependencies", "clap_builder"),
            (EVENT, "dependencies", "tokio"),
            (CORRELATE, "dev-dependencies", "tokio-util"),
        ];
        for (package, table, dependency) in cases {
            let found = breaches(package, table, dependency);
            assert_eq!(found.len(), 1, "{package} {table} {dependency}");
            assert!(found[0].starts_with("x/Cargo.toml:4: "), "{found:?}");
        }
    }

    #[test]
    fn a_new_crate_needs_a_layer() {
        assert!(breaches("casebook-new", "dependencies", "regex")[0].contains("has no layer"));
    }
}
