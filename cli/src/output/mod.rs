//! What is printed: "here is an answer, show it", in one file a format. Everything that came out of a log is escaped: logs are
//! written by attackers, and terminals obey what they are shown. It knows no command and no argument.

mod answer;
pub mod answers;
mod csv_format;
mod escaping;
pub mod explained;
mod format;
pub mod histogram;
mod json_format;
pub mod junit;
mod lines;
pub mod notice;
mod pager;
mod print;
mod rows;
pub mod sarif;
mod table_format;

pub use answer::print_answer;
pub use escaping::{escape, escape_json, escape_lines, is_dangerous};
pub use format::{AnswerFormat, OutputFormat};
pub use json_format::write_line as write_json;
pub use lines::{lines, write_binary};
pub(crate) use notice::notice;
pub use print::{print, print_on};
pub use rows::{Rows, count, counted};

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Files that write to the process's streams by themselves, and why they may.
    const MAY: &[(&str, &str)] = &[
        ("logging.rs", "escapes each line of the log"),
        ("failure.rs", "escapes what clap says"),
        ("progress_bar.rs", "draws a bar, of numbers and words of our own"),
        ("commands/sql.rs", "writes a prompt without a line end"),
        ("commands/completions.rs", "writes a script of our own, with tabs"),
    ];

    fn check(directory: &Path, root: &Path) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                check(&path, root);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if name.starts_with("output/") || MAY.iter().any(|(file, _)| *file == name) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for way in ["stdout()", "stderr()", "println!", "print!", "dbg!"] {
                let prints = text.contains(way);
                assert!(
                    !prints,
                    "{name} prints by itself, with {way}: see output::lines and output::notice"
                );
            }
        }
    }

    /// Nothing reaches a terminal but through this module.
    #[test]
    fn every_command_prints_through_this_module() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        check(&root, &root);
    }
}
