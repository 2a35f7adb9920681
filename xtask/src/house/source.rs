//! A Rust file, and which of its lines are tests.

/// A Rust file of the workspace, by its path from the root.
pub struct SourceFile {
    pub path: String,
    pub text: String,
}

impl SourceFile {
    /// Whether all of it is test or bench code, which nobody ships.
    pub fn is_test_file(&self) -> bool {
        let in_test_folder = self
            .path
            .split('/')
            .rev()
            .skip(1)
            .any(|part| part == "tests" || part == "benches");
        // The programs that run beside others are no bench: the clock is what they measure by.
        let programs = ["benches/vs/", "benches/floor/"];
        let is_program = programs.iter().any(|folder| self.path.starts_with(folder));
        let name = self.path.rsplit('/').next().unwrap_or_default();
        (in_test_folder && !is_program) || name == "tests.rs" || name.ends_with("_tests.rs")
    }

    /// How many lines come before the tests: all of them where there are none.
    ///
    /// The test module is the last item of a file (clippy's `items_after_test_module` sees to it), so one number
    /// divides the file.
    pub fn production_lines(&self) -> usize {
        if self.is_test_file() {
            return 0;
        }
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        let begin = (0..lines.len()).find(|&at| lines[at] == "#[cfg(test)]" && opens_module(&lines[at + 1..]));
        begin.unwrap_or(lines.len())
    }
}

/// `mod tests {`, perhaps below more attributes. `mod tests;` is a file of its own.
fn opens_module(following: &[&str]) -> bool {
    let item = following.iter().find(|line| !line.starts_with("#["));
    item.is_some_and(|line| {
        let line = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        line.starts_with("mod ") && line.ends_with('{')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_ends_where_the_test_module_begins() {
        let cases = [
            ("store/src/a.rs", "fn a() {}\nfn b() {}\n", 2),
            ("store/src/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n}\n", 1),
            (
                "store/src/a.rs",
                "fn a() {}\n#[cfg(test)]\n#[expect(x)]\nmod tests {\n}\n",
                1,
            ),
            ("store/src/a.rs", "#[cfg(test)]\nfn helper() {}\nfn b() {}\n", 3),
            ("store/src/a.rs", "#[cfg(test)]\nmod tests;\nfn b() {}\n", 3),
            ("store/tests/a.rs", "fn a() {}\n", 0),
            ("store/tests/support/mod.rs", "fn a() {}\n", 0),
            ("store/src/query/tests.rs", "fn a() {}\n", 0),
            ("store/src/query/parser_tests.rs", "fn a() {}\n", 0),
            ("benches/a.rs", "fn a() {}\n", 0),
            ("benches/vs/src/a.rs", "fn a() {}\n", 1),
        ];
        for (path, text, expected) in cases {
            let file = SourceFile {
                path: path.to_owned(),
                text: text.to_owned(),
            };
            assert_eq!(file.production_lines(), expected, "{path}\n{text}");
        }
    }
}
