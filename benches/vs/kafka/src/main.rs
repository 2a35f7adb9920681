//! What `end_to_end` is made of, one command each. Every command but `corpus` ends with one line of JSON on standard output.
//!
//! ```text
//! corpus FILE BYTES SEED [SECOND]             write a corpus; its event time begins so many seconds later
//! feed BROKERS PREFIX FILE [BYTES]            make the topics PREFIX.* and write the corpus into them, or its beginning
//! drain BROKERS PREFIX GROUP -- COMMAND…      run Casebook until it has committed all that is in the topics
//! index FILE DIRECTORY THREADS CHUNK_MIB      tantivy alone on the text of the same records
//! measure -- COMMAND…                         run something that ends by itself
//! latency BROKERS PREFIX FILE RATE SECONDS -- COMMAND…
//!                                             run Casebook while records come at RATE bytes a second, some of them marked
//! ```

mod corpus;
mod drain;
mod index;
mod latency;
mod process;
mod topics;

use std::path::Path;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (arguments, command) = match arguments.iter().position(|argument| argument == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (&arguments[..], &[][..]),
    };
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["corpus", file, bytes, seed] => corpus::write(Path::new(file), bytes.parse()?, seed.parse()?, 0),
        ["corpus", file, bytes, seed, second] => {
            corpus::write(Path::new(file), bytes.parse()?, seed.parse()?, second.parse()?)
        }
        ["feed", brokers, prefix, file] => topics::feed(brokers, prefix, Path::new(file), u64::MAX),
        ["feed", brokers, prefix, file, bytes] => topics::feed(brokers, prefix, Path::new(file), bytes.parse()?),
        ["drain", brokers, prefix, group] => drain::run(brokers, prefix, group, command),
        ["index", file, directory, threads, chunk_mib] => index::run(
            Path::new(file),
            Path::new(directory),
            threads.parse()?,
            chunk_mib.parse::<usize>()? << 20,
        ),
        ["measure"] => process::measure(command),
        ["latency", brokers, prefix, file, rate, seconds] => latency::run(
            brokers,
            prefix,
            Path::new(file),
            rate.parse()?,
            seconds.parse()?,
            command,
        ),
        _ => Err("unknown command: see the head of main.rs".into()),
    }
}
