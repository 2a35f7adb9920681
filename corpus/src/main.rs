//! `casebook-corpus`: writes the corpus as lines to standard output, for benchmarks of other programs.
//!
//! Lines are payloads alone. Binary records, which may hold line ends, are left out.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use casebook_corpus::{Activity, Corpus, CorpusConfig, Damage, Mix};
use casebook_event::Source;

const USAGE: &str = "\
Usage: casebook-corpus [--seed N] [--activity KIND] [--records N | --bytes N] [--source NAME]

  --seed N       which corpus (default 1)
  --activity KIND
                 dense (the default: everything comes often) or benign (a day on which nothing happens: with the
                 shipped rules some one alert in ten thousand events)
  --records N    how many lines (default 1000)
  --bytes N      how many bytes at least, instead of a count
  --source NAME  kubernetes_audit, container, cloudtrail, auth or application (default: all, mixed)";

struct Request {
    config: CorpusConfig,
    records: u64,
    bytes: u64,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Request, String> {
    let (mut seed, mut activity, mut source) = (None, Activity::Dense, None);
    let (mut records, mut bytes) = (1000, u64::MAX);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| format!("{name}: `{value}` is no whole number"))
        };
        let refused = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        match name.as_str() {
            "--seed" => seed = Some(number()?),
            "--activity" => activity = value.parse().map_err(|error: String| refused(&error))?,
            "--records" => records = number()?,
            "--bytes" => (bytes, records) = (number()?, u64::MAX),
            "--source" => source = Some(value.parse::<Source>().map_err(|error| refused(&error))?),
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    let mut config = CorpusConfig::of(activity);
    config.seed = seed.unwrap_or(config.seed);
    config.mix = source.map_or(config.mix, Mix::only);
    Ok(Request { config, records, bytes })
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
