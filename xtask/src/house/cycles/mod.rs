//! Rooms import each other in one direction. Of two that need each other, neither can be read first.
//!
//! ```text
//! SourceFile ── names ──▶ imports, paths ── modules ──▶ arrows between files ── here ──▶ circles of each folder
//! ```
//!
//! At each folder, its files and the folders in it are the rooms, with all that lies in them; the folder's own code (its
//! `mod.rs`) is a room as well. A `mod.rs` that declares and hands on what lies below it needs nothing.

mod modules;
mod names;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::problem::Problem;
use super::ratchet::Finding;
use super::source::SourceFile;
use modules::{Arrow, Modules};

/// What a folder's own code is called among its rooms.
const OWN: &str = "mod.rs";

/// The circles of the crates whose folders these are.
pub fn check(members: &[String], files: &[SourceFile]) -> Vec<Finding> {
    let crates = members.iter().map(|member| format!("{member}/src"));
    crates.flat_map(|folder| check_crate(&folder, files)).collect()
}

/// The arrows among the rooms of one folder, one for each pair.
type Rooms<'a> = BTreeMap<(String, String), &'a Arrow>;

fn check_crate(folder: &str, files: &[SourceFile]) -> Vec<Finding> {
    let modules = Modules::read(&format!("{folder}/"), files);
    let arrows = modules.arrows();
    let mut folders: BTreeMap<&[String], Rooms<'_>> = BTreeMap::new();
    for arrow in &arrows {
        let (from, to) = (&modules.modules[arrow.from].path, &modules.modules[arrow.to].path);
        let shared = from.iter().zip(to).take_while(|(from, to)| from == to).count();
        let room = |path: &[String]| path.get(shared).cloned().unwrap_or_else(|| OWN.to_owned());
        let rooms = folders.entry(&from[..shared]).or_default();
        rooms.entry((room(from), room(to))).or_insert(arrow);
    }
    let mut findings = Vec::new();
    for (path, rooms) in folders {
        let name = [&[folder.to_owned()], path].concat().join("/");
        for circle in circles(&rooms) {
            let round: Vec<String> = shortest_round(&rooms, &circle)
                .into_iter()
                .map(|(from, to)| {
                    let arrow = rooms[&(from.clone(), to.clone())];
                    let file = &modules.modules[arrow.from].file;
                    format!("{from} needs {to} ({file}:{}: `{}`)", arrow.line, arrow.name)
                })
                .collect();
            let members: Vec<&str> = circle.iter().map(String::as_str).collect();
            let members = members.join(" ");
            findings.push(Finding {
                key: format!("{name}: {members}"),
                count: circle.len(),
                problem: Problem::new(&name, 1, format!("a circle of {members}: {}", round.join(", "))),
            });
        }
    }
    findings
}

/// The sets of rooms that all reach each other.
fn circles(rooms: &Rooms<'_>) -> Vec<BTreeSet<String>> {
    let names: BTreeSet<&String> = rooms.keys().flat_map(|(from, to)| [from, to]).collect();
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        names.iter().map(|name| (*name, reached(rooms, name))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for name in &names {
        if found.iter().any(|circle| circle.contains(*name)) {
            continue;
        }
        let mutual = reached[name].iter().filter(|other| reached[*other].contains(name));
        let circle: BTreeSet<String> = mutual.map(|other| (*other).clone()).collect();
        if circle.len() > 1 {
            found.push(circle);
        }
    }
    found
}

/// Every room that can be reached from one, itself only where an arrow leads back.
fn reached<'a>(rooms: &'a Rooms<'_>, from: &String) -> BTreeSet<&'a String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        for (_, to) in rooms.keys().filter(|(from, _)| from == next) {
            if seen.insert(to) {
                open.push(to);
            }
        }
    }
    seen
}

/// The fewest arrows that lead from a room of the circle back to it.
fn shortest_round(rooms: &Rooms<'_>, circle: &BTreeSet<String>) -> Vec<(String, String)> {
    let rounds = circle.iter().map(|start| {
        let mut came_from: BTreeMap<&String, &String> = BTreeMap::new();
        let mut open = VecDeque::from([start]);
        while let Some(next) = open.pop_front() {
            for (_, to) in rooms.keys().filter(|(from, to)| from == next && circle.contains(to)) {
                if !came_from.contains_key(to) {
                    came_from.insert(to, next);
                    open.push_back(to);
                }
            }
        }
        let mut round = Vec::new();
        let mut at = start;
        while let Some(before) = came_from.get(at) {
            round.push(((*before).clone(), at.clone()));
            at = before;
            if at == start {
                break;
            }
        }
        round.reverse();
        round
    });
    rounds.min_by_key(Vec::len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::problem;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let file = |(path, text): &(&str, &str)| SourceFile {
            path: format!("x/src/{path}"),
            text: (*text).to_owned(),
        };
        let files: Vec<SourceFile> = files.iter().map(file).collect();
        check(&["x".to_owned()], &files)
            .into_iter()
            .map(|one| one.key)
            .collect()
    }

    #[track_caller]
    fn check_files(files: &[(&str, &str)], expected: &[&str]) {
        assert_eq!(found(files), expected);
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let b = ("b.rs", "use super::a::{self, A};\npub struct B(A);");
        check_files(&[("lib.rs", "mod a; mod b;"), ("a.rs", "pub struct A;"), b], &[]);
        let a = ("a.rs", "use crate::b::B;\npub struct A(B);");
        check_files(&[("lib.rs", "mod a; mod b;"), a, b], &["x/src: a b"]);
        // Without an import, by the path itself.
        let a = ("a.rs", "pub struct A;\nfn f() { crate::b::g() }");
        check_files(
            &[
                ("lib.rs", "mod a; mod b;"),
                a,
                ("b.rs", "use crate::a::A;\npub fn g() {}"),
            ],
            &["x/src: a b"],
        );
        let a = ("a.rs", "use crate::b;\npub struct A(b::B);");
        check_files(&[("lib.rs", "mod a; mod b;"), a, b], &["x/src: a b"]);
    }

    #[test]
    fn a_circle_may_have_many_rooms_and_names_its_shortest_round() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c; mod d;"),
            ("a.rs", "use crate::b::B;\npub struct A;"),
            ("b.rs", "use crate::c::C;\npub struct B;"),
            ("c.rs", "use crate::a::A;\npub struct C;"),
            ("d.rs", "use crate::a::A;\npub struct D;"),
        ];
        check_files(&files, &["x/src: a b c"]);
        let files = files.map(|(path, text)| SourceFile {
            path: format!("x/src/{path}"),
            text: text.to_owned(),
        });
        let problems = check(&["x".to_owned()], &files).into_iter().map(|one| one.problem);
        assert_eq!(
            problem::lines(problems),
            [concat!(
                "x/src:1: a circle of a b c: a needs b (x/src/a.rs:1: `B`), b needs c (x/src/b.rs:1: `C`), ",
                "c needs a (x/src/c.rs:1: `A`)"
            )]
        );
    }

    #[test]
    fn folders_are_rooms_whatever_file_in_them_it_is() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod one; mod two;\npub use one::One;"),
            ("a/one.rs", "pub struct One;"),
            ("a/two.rs", "use crate::b::B;\nstruct Two;"),
            ("b.rs", "use crate::a::One;\npub struct B;"),
        ];
        check_files(&files, &["x/src: a b"]);
    }

    #[test]
    fn what_is_handed_on_comes_from_where_it_is_defined() {
        // `a` takes `B` from the root, which has it from `b`, which has it from `b/deep`.
        let files = |c: &'static str| {
            [
                ("lib.rs", "mod a; mod b;\npub use a::A;\npub use b::*;"),
                ("a.rs", "use crate::B;\npub struct A(B);"),
                ("b/mod.rs", "mod deep;\npub use deep::Deep as B;"),
                ("b/deep.rs", c),
            ]
        };
        check_files(&files("pub struct Deep;"), &[]);
        check_files(&files("use crate::A;\npub struct Deep(A);"), &["x/src: a b"]);
    }

    #[test]
    fn a_folders_own_code_is_a_room() {
        let child = ("a/one.rs", "use super::Shared;\npub struct One(Shared);");
        let declares = ("a/mod.rs", "mod one;\npub use one::One;\npub struct Shared;");
        check_files(&[("lib.rs", "mod a;"), declares, child], &[]);
        let uses = (
            "a/mod.rs",
            "mod one;\nuse one::One;\npub struct Shared;\nfn f(one: One) {}",
        );
        check_files(&[("lib.rs", "mod a;"), uses, child], &["x/src/a: mod.rs one"]);
        // Without a `mod.rs`, and imported for the siblings alone.
        let hands = ("a.rs", "mod one;\nmod two;\nuse one::One;");
        let two = ("a/two.rs", "use super::One;");
        check_files(
            &[("lib.rs", "mod a;"), hands, ("a/one.rs", "pub struct One;"), two],
            &[],
        );
    }

    #[test]
    fn tests_and_other_crates_are_no_rooms() {
        let b = ("b.rs", "use crate::a::A;\npub struct B(A);");
        for a in [
            "pub struct A;\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}",
            "pub struct A;\n#[cfg(test)]\nuse crate::b::B;",
            "use b::B;\npub struct A;",
            "// crate::b::B\npub struct A(&'static str);\nconst C: A = A(\"crate::b::B\");",
        ] {
            check_files(&[("lib.rs", "mod a; mod b;"), ("a.rs", a), b], &[]);
        }
        let files = [
            ("lib.rs", "mod a;\n#[cfg(test)]\nmod laws;"),
            ("a.rs", "pub struct A;\nuse crate::laws::L;"),
            ("laws.rs", "use crate::a::A;\npub struct L;"),
            ("a/tests/mod.rs", "use crate::a::A;"),
        ];
        check_files(&files, &[]);
    }

    #[test]
    fn modules_that_hand_a_name_to_each_other_end() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub use crate::b::X;\nfn f() { X::g() }"),
            ("b.rs", "pub use crate::a::X;\nfn f() { X::g() }"),
        ];
        check_files(&files, &[]);
    }
}
