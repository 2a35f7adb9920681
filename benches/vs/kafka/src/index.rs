//! tantivy alone: one field, which documents have which word, nothing stored. What an index of this text costs at the least.
//!
//! Each thread takes the next chunk of the file and makes one segment of it, as Casebook makes one of each commit: in memory,
//! then written as files, which nobody syncs. There is no merging.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use nix::sys::resource::UsageWho;
use tantivy::directory::RamDirectory;
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Directory as _, Document, Index, SingleSegmentIndexWriter};

use crate::Result;
use crate::corpus::payload;
use crate::process;

/// What Casebook gives a writer, too: where its hash table begins.
const HEAP_BYTES: usize = 15 << 20;

/// A document of one text.
struct Line(Field, String);

impl Document for Line {
    type Value<'a> = &'a str;
    type FieldsValuesIter<'a> = std::iter::Once<(Field, &'a str)>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        std::iter::once((self.0, &self.1))
    }
}

pub fn run(file: &Path, directory: &Path, threads: usize, chunk_bytes: usize) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    let lines = Mutex::new(BufReader::with_capacity(1 << 20, File::open(file)?));
    let (segments, records, bytes, stored) = (
        AtomicU64::new(0),
        AtomicU64::new(0),
        AtomicU64::new(0),
        AtomicU64::new(0),
    );
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let worker = || -> Result<()> {
            let mut chunk = Vec::new();
            loop {
                chunk.clear();
                {
                    let mut lines = lines.lock().map_err(|_| "another thread failed")?;
                    lines.by_ref().take(chunk_bytes as u64).read_to_end(&mut chunk)?;
                    lines.read_until(b'\n', &mut chunk)?;
                }
                if chunk.is_empty() {
                    return Ok(());
                }
                let (index, memory, read, text) = segment(&chunk)?;
                records.fetch_add(read, Ordering::Relaxed);
                bytes.fetch_add(text, Ordering::Relaxed);
                let number = segments.fetch_add(1, Ordering::Relaxed);
                let to = directory.join(number.to_string());
                std::fs::create_dir_all(&to)?;
                for name in index.load_metas()?.list_segment_files() {
                    if memory.exists(&name)? {
                        let content = memory.open_read(&name)?.read_bytes()?;
                        std::fs::write(to.join(&name), &content)?;
                        stored.fetch_add(content.len() as u64, Ordering::Relaxed);
                    }
                }
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a thread panicked")?)
    })?;
    let mut said = process::used(UsageWho::RUSAGE_SELF, begin.elapsed().as_secs_f64())?;
    for (name, number) in [
        ("segments", segments),
        ("records", records),
        ("bytes", bytes),
        ("stored", stored),
    ] {
        said[name] = number.into_inner().into();
    }
    println!("{said}");
    Ok(())
}

/// The segment of a chunk, where it is, and the records and bytes of text in it.
fn segment(chunk: &[u8]) -> Result<(Index, RamDirectory, u64, u64)> {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer("default")
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::Basic);
    let mut schema = Schema::builder();
    let text = schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing));
    let memory = RamDirectory::create();
    let mut writer: SingleSegmentIndexWriter<Line> = Index::builder()
        .schema(schema.build())
        .single_segment_index_writer(memory.clone(), HEAP_BYTES)?;
    let (mut records, mut bytes) = (0, 0);
    for line in chunk.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let payload = payload(line);
        writer.add_document(Line(text, String::from_utf8_lossy(payload).into_owned()))?;
        records += 1;
        bytes += payload.len() as u64;
    }
    Ok((writer.finalize()?, memory, records, bytes))
}
