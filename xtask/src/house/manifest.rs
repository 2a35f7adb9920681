//! What the rules need to know of a `Cargo.toml`, with the line of each dependency.

use std::fmt;

use anyhow::{Context, Result, anyhow};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Which table of a manifest names a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Normal,
    Dev,
    Build,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Normal, Self::Dev, Self::Build];

    fn table(self) -> &'static str {
        match self {
            Self::Normal => "dependencies",
            Self::Dev => "dev-dependencies",
            Self::Build => "build-dependencies",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table())
    }
}

/// One dependency of a member, as its manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    pub name: String,
    pub kind: Kind,
    /// From one.
    pub line: usize,
    /// `workspace = true`, which is then the only place that a version could come from.
    pub inherits: bool,
}

/// A member's manifest.
#[derive(Debug)]
pub struct Manifest {
    pub path: String,
    pub package: String,
    /// Where the package states a version of its own instead of the workspace's.
    pub own_version_line: Option<usize>,
    pub dependencies: Vec<Dependency>,
}

impl Manifest {
    pub fn parse(path: &str, text: &str) -> Result<Self> {
        let document = parse(text).with_context(|| path.to_owned())?;
        let document = document.get_ref();
        let package = table(document, "package").ok_or_else(|| anyhow!("{path}: no package"))?;
        let name = string(package, "name").ok_or_else(|| anyhow!("{path}: the package has no name"))?;
        let mut dependencies = dependencies(text, document);
        // `[target.'cfg(…)'.dependencies]` binds the layers as much as the plain table does.
        for target in table(document, "target").into_iter().flat_map(DeTable::values) {
            dependencies.extend(
                target
                    .get_ref()
                    .as_table()
                    .into_iter()
                    .flat_map(|target| self::dependencies(text, target)),
            );
        }
        let own_version = package
            .get_key_value("version")
            .filter(|(_, value)| !inherits(value.get_ref()));
        Ok(Self {
            path: path.to_owned(),
            package: name.to_owned(),
            own_version_line: own_version.map(|(key, _)| line_of(text, key)),
            dependencies,
        })
    }
}

/// One line of the workspace's dependency table.
#[derive(Debug)]
pub struct WorkspaceDependency {
    pub name: String,
    /// The crate itself, where `name` is only what the workspace calls it.
    pub package: String,
    /// From one.
    pub line: usize,
    /// A crate of this workspace.
    pub is_member: bool,
}

/// The manifest at the root.
#[derive(Debug)]
pub struct RootManifest {
    pub members: Vec<String>,
    pub dependencies: Vec<WorkspaceDependency>,
}

impl RootManifest {
    pub fn parse(text: &str) -> Result<Self> {
        let document = parse(text).context("Cargo.toml")?;
        let workspace = table(document.get_ref(), "workspace").context("Cargo.toml: no workspace")?;
        let members = workspace
            .get("members")
            .and_then(|members| members.get_ref().as_array());
        let members = members.context("Cargo.toml: the workspace has no members")?;
        let members = members
            .iter()
            .filter_map(|member| Some(member.get_ref().as_str()?.to_owned()))
            .collect();
        let entries = table(workspace, "dependencies").into_iter().flatten();
        let dependencies = entries.map(|(key, value)| {
            let own = value.get_ref().as_table();
            let name = key.get_ref().to_string();
            WorkspaceDependency {
                package: own
                    .and_then(|own| string(own, "package"))
                    .map_or_else(|| name.clone(), str::to_owned),
                line: line_of(text, key),
                is_member: own.is_some_and(|own| own.contains_key("path")),
                name,
            }
        });
        Ok(Self {
            members,
            dependencies: dependencies.collect(),
        })
    }

    /// The crate that members mean by `name`: a rename must not hide one from the rules.
    pub fn package_of<'a>(&'a self, name: &'a str) -> &'a str {
        let known = self.dependencies.iter().find(|dependency| dependency.name == name);
        known.map_or(name, |dependency| &dependency.package)
    }
}

fn parse(text: &str) -> Result<Spanned<DeTable<'_>>> {
    DeTable::parse(text).map_err(|error| anyhow!("{error}"))
}

fn dependencies(text: &str, owner: &DeTable<'_>) -> Vec<Dependency> {
    let of_kind = |kind: Kind| {
        let entries = table(owner, kind.table()).into_iter().flatten();
        entries.map(move |(key, value)| Dependency {
            name: key.get_ref().to_string(),
            kind,
            line: line_of(text, key),
            inherits: inherits(value.get_ref()),
        })
    };
    Kind::ALL.into_iter().flat_map(of_kind).collect()
}

fn inherits(value: &DeValue<'_>) -> bool {
    let workspace = value.as_table().and_then(|own| own.get("workspace"));
    workspace.is_some_and(|value| value.get_ref().as_bool() == Some(true))
}

fn table<'a, 'i>(owner: &'a DeTable<'i>, key: &str) -> Option<&'a DeTable<'i>> {
    owner.get(key)?.get_ref().as_table()
}

fn string<'a>(owner: &'a DeTable<'_>, key: &str) -> Option<&'a str> {
    owner.get(key)?.get_ref().as_str()
}

fn line_of<T>(text: &str, spanned: &Spanned<T>) -> usize {
    text[..spanned.span().start].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_dependency_is_read() {
        let text = "\
[package]
name = \"casebook-x\"
version.workspace = true
[dependencies]
a.workspace = true
b = { workspace = true, features = [
  \"f\",
] }
c = \"1\"
[dependencies.d]
version = \"1\"
[dev-dependencies]
e = { path = \"../e\" }
[target.'cfg(unix)'.build-dependencies]
f = { workspace = false }
";
        let manifest = Manifest::parse("x/Cargo.toml", text).unwrap();
        assert_eq!(
            (manifest.package.as_str(), manifest.own_version_line),
            ("casebook-x", None)
        );
        let mut found: Vec<_> = manifest
            .dependencies
            .iter()
            .map(|d| (d.name.as_str(), d.kind, d.line, d.inherits))
            .collect();
        found.sort_by_key(|found| found.2);
        let expected = [
            ("a", Kind::Normal, 5, true),
            ("b", Kind::Normal, 6, true),
            ("c", Kind::Normal, 9, false),
            ("d", Kind::Normal, 10, false),
            ("e", Kind::Dev, 13, false),
            ("f", Kind::Build, 15, false),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_root_knows_members_and_renames() {
        let text = "\
[workspace]
members = [\"event\", \"cli\"]
[workspace.dependencies]
casebook-event = { path = \"event\" }
kafka = { package = \"rdkafka\", version = \"1\" }
regex = \"1\"
";
        let root = RootManifest::parse(text).unwrap();
        assert_eq!(root.members, ["event", "cli"]);
        assert_eq!(
            (root.package_of("kafka"), root.package_of("other")),
            ("rdkafka", "other")
        );
        let mut found: Vec<_> = root
            .dependencies
            .iter()
            .map(|d| (d.line, d.name.as_str(), d.is_member))
            .collect();
        found.sort_unstable();
        assert_eq!(
            found,
            [(4, "casebook-event", true), (5, "kafka", false), (6, "regex", false)]
        );
    }

    #[test]
    fn a_manifest_that_cannot_be_read_names_itself() {
        let error = Manifest::parse("x/Cargo.toml", "[package").unwrap_err();
        assert!(format!("{error:#}").contains("x/Cargo.toml"), "{error:#}");
    }
}
