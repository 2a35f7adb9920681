//! One version table: the root's. Two crates that name their own versions end with two copies of a dependency.

use super::manifest::Manifest;
use super::problem::Problem;

pub fn check(manifest: &Manifest) -> Vec<Problem> {
    let package = manifest.own_version_line.map(|line| {
        Problem::new(
            &manifest.path,
            line,
            "the package states its own version: write `version.workspace = true`",
        )
    });
    let dependencies = manifest
        .dependencies
        .iter()
        .filter(|dependency| !dependency.inherits)
        .map(|dependency| {
            let message = format!(
                "{0} is not the workspace's: write `{0}.workspace = true`",
                dependency.name
            );
            Problem::new(&manifest.path, dependency.line, message)
        });
    package.into_iter().chain(dependencies).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::problem;

    #[track_caller]
    fn check_manifest(rest: &str, expected: &[&str]) {
        let manifest = Manifest::parse("x/Cargo.toml", &format!("[package]\nname = \"x\"\n{rest}")).unwrap();
        assert_eq!(problem::lines(check(&manifest)), expected);
    }

    #[test]
    fn only_the_root_names_versions() {
        let regex = "is not the workspace's: write `regex.workspace = true`";
        check_manifest(
            "version.workspace = true\n[dependencies]\nregex.workspace = true\n",
            &[],
        );
        check_manifest("[dependencies]\nregex = { workspace = true, optional = true }\n", &[]);
        check_manifest(
            "[dependencies]\nregex = \"1\"\n",
            &[&format!("x/Cargo.toml:4: regex {regex}")],
        );
        check_manifest(
            "[dev-dependencies]\nregex = { path = \"../r\" }\n",
            &[&format!("x/Cargo.toml:4: regex {regex}")],
        );
        check_manifest(
            "version = \"1.0.0\"\n",
            &["x/Cargo.toml:3: the package states its own version: write `version.workspace = true`"],
        );
    }
}
