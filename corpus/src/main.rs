//! `casebook-corpus`: writes the corpus as lines to standard output, for benchmarks of other programs.
//!
//! Lines are payloads alone. Binary records, which may hold line ends, are left out.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use casebook_corpus::{Corpus, CorpusConfig, Damage, Mix};

const USAGE: &str = "\
Usage: casebook-corpus [--seed N] [--records N | --bytes N] [--source NAME]

  --seed N       which corpus (default 1)
  --records N    how many lines (default 1000)
  --bytes N      how many bytes at least, instead of a count
  --source NAME  kubernetes_audit, container, cloudtrail, auth or application (default: all, mixed)";

struct Request {
    config: CorpusConfig,
    records: u64,
    bytes: u64,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut request = Request {
        config: CorpusConfig::default(),
        records: 1000,
        bytes: u64::MAX,
    };
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| format!("{name}: `{value}` is no whole number"))
        };
        match name.as_str() {
            "--seed" => request.config.seed = number()?,
            "--records" => request.records = number()?,
            "--bytes" => (request.bytes, request.records) = (number()?, u64::MAX),
            "--source" => request.config.mix = Mix::only(value.parse().map_err(|error| format!("{name}: {error}"))?),
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    Ok(request)
}

fn write(request: Request) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let (mut records, mut bytes) = (0u64, 0u64);
    for record in Corpus::new(request.config).filter(|record| record.damage != Some(Damage::Binary)) {
        if records >= request.records || bytes >= request.bytes {
            break;
        }
        out.write_all(&record.payload)?;
        out.write_all(b"\n")?;
        records += 1;
        bytes += record.payload.len() as u64 + 1;
    }
    out.flush()
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    let mut stderr = io::stderr();
    if args.peek().is_some_and(|arg| arg == "--help" || arg == "-h") {
        return if writeln!(io::stdout(), "{USAGE}").is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let request = match parse(args) {
        Ok(request) => request,
        Err(error) => {
            let _ = writeln!(stderr, "{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match write(request) {
        // A reader such as `head` that has had enough is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(stderr, "cannot write to standard output: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
