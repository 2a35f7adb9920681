//! A function is read at one sight. The ones that people get lost in are those that leave the screen.

use super::problem::Problem;
use super::ratchet::Finding;
use super::rust_text::RustText;
use super::source::SourceFile;

/// Above this many lines from its first to its last, a function does more than one thing.
const LIMIT_LINES: usize = 70;

/// The functions that are too long: those of the product, and those of the tests.
#[derive(Debug, Default)]
pub struct LongFunctions {
    pub product: Vec<Finding>,
    pub tests: Vec<Finding>,
}

pub fn check(files: &[SourceFile]) -> LongFunctions {
    let mut long = LongFunctions::default();
    for file in files {
        let production = file.production_lines();
        for function in functions(&RustText::read(&file.text).code) {
            if function.lines <= LIMIT_LINES {
                continue;
            }
            let message = format!(
                "`{}` has {} lines, more than {LIMIT_LINES}: divide it by what it does",
                function.name, function.lines
            );
            let finding = Finding {
                key: format!("{} {}", file.path, function.name),
                count: function.lines,
                problem: Problem::new(&file.path, function.line, message),
            };
            if function.line <= production {
                long.product.push(finding);
            } else {
                long.tests.push(finding);
            }
        }
    }
    long
}

#[derive(Debug, PartialEq, Eq)]
struct Function<'a> {
    name: &'a str,
    /// Where it begins, from one.
    line: usize,
    lines: usize,
}

/// Every function with a body, those within others too.
fn functions(code: &str) -> Vec<Function<'_>> {
    let named = code.match_indices("fn ").filter_map(|(at, keyword)| {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let name = at + keyword.len();
        let end = code[name..].find(|c: char| !(c.is_alphanumeric() || c == '_'))? + name;
        let body = body(&code[end..])?;
        let line_of = |at: usize| code[..at].matches('\n').count() + 1;
        // `fn(u8)` is a type.
        (end > name).then(|| Function {
            name: &code[name..end],
            line: line_of(at),
            lines: line_of(end + body) - line_of(at) + 1,
        })
    });
    named.collect()
}

/// Where the body ends that follows a function's name; `None` where there is none.
fn body(after_name: &str) -> Option<usize> {
    // Within brackets, a semicolon is an array's and a brace a constant's.
    let (mut brackets, mut braces) = (0i32, 0i32);
    for (at, byte) in after_name.bytes().enumerate() {
        match byte {
            b'(' | b'[' if braces == 0 => brackets += 1,
            b')' | b']' if braces == 0 => brackets -= 1,
            b';' if brackets == 0 && braces == 0 => return None,
            b'{' if brackets == 0 => braces += 1,
            b'}' if brackets == 0 => {
                braces -= 1;
                if braces == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::problem;

    #[test]
    fn functions_are_measured_from_their_first_line_to_their_last() {
        let code = "\
trait A { fn one(); }
fn two() {}
impl B {
    pub(crate) async fn three<'a>(x: [u8; 3], f: fn(u8) -> u8) -> [u8; 2]
    where
        T: U,
    {
        fn four() {
        }
    }
}
";
        let found: Vec<_> = functions(code)
            .iter()
            .map(|found| (found.name, found.line, found.lines))
            .collect();
        assert_eq!(found, [("two", 2, 1), ("three", 4, 7), ("four", 8, 2)]);
    }

    #[test]
    fn a_function_has_a_limit_in_the_product_and_in_tests() {
        let long = |lines: usize| format!("fn long() {{\n{}}}\n", "    // }\n".repeat(lines - 2));
        let file = |path: &str, lines| SourceFile {
            path: path.to_owned(),
            text: long(lines),
        };
        let found = check(&[file("a/src/a.rs", 70), file("a/tests/b.rs", 71), file("a/src/c.rs", 72)]);
        let lines = |findings: Vec<Finding>| problem::lines(findings.into_iter().map(|one| one.problem));
        assert_eq!(
            lines(found.product),
            ["a/src/c.rs:1: `long` has 72 lines, more than 70: divide it by what it does"]
        );
        assert_eq!(
            lines(found.tests),
            ["a/tests/b.rs:1: `long` has 71 lines, more than 70: divide it by what it does"]
        );
    }
}
