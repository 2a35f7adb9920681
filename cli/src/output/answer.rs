//! Answers to standard output: the one function through which each is printed, whatever the format.

use std::io::Write;

use anyhow::Result;
use casebook_investigate::answer::Answer;
use serde::Serialize;

use super::format::AnswerFormat;
use super::lines::lines;
use super::rows::Rows;
use super::{csv_format, json_format, pager, table_format};

/// How the data of an answer is laid out.
pub trait Layout {
    /// For people: parts, each below its heading.
    fn sections(&self) -> Vec<Section>;

    /// For CSV.
    fn rows(&self) -> Rows;

    /// For JSON, one value a line; without a form of their own, the rows.
    fn write_json(&self, out: &mut dyn Write) -> Result<()> {
        json_format::write_rows(&self.rows(), out)
    }
}

/// A part of what people read.
#[derive(Debug, Default)]
pub struct Section {
    /// Lines above the rows, escaped already.
    pub heading: String,
    /// The rows; no table where there is none.
    pub rows: Option<Rows>,
    /// Lines below the rows, escaped already.
    pub footing: String,
}

/// Prints an answer: for people on a terminal through a pager, where it is more than it shows.
pub fn print_answer(answer: &Answer<impl Serialize>, layout: &impl Layout, format: AnswerFormat) -> Result<()> {
    let mut text = Vec::new();
    match format {
        AnswerFormat::Table => {
            for section in layout.sections() {
                text.write_all(section.heading.as_bytes())?;
                if let Some(rows) = &section.rows {
                    table_format::write(rows, true, &mut text)?;
                }
                text.write_all(section.footing.as_bytes())?;
            }
            pager::show(&text)
        }
        AnswerFormat::Csv => {
            csv_format::write(&layout.rows(), true, &mut text)?;
            pager::show(&text)
        }
        // As it is made: there may be much of it.
        AnswerFormat::Json => {
            let mut out = lines();
            layout.write_json(&mut out)?;
            Ok(out.flush()?)
        }
        AnswerFormat::Envelope => {
            let mut out = lines();
            json_format::write_line(answer, &mut out)?;
            Ok(out.flush()?)
        }
    }
}
