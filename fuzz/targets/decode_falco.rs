#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| casebook_fuzz::decode(casebook_fuzz::SourceKind::Source(casebook_fuzz::Source::Falco), data));
