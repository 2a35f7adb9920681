#!/bin/sh
# Makes seed corpora, fuzz/corpus/TARGET: a file for each record of the sources' own tests and, where present, for some
# records of the samples beside the workspace. Run it from anywhere.
set -eu
cd "$(dirname "$0")"
seeds=$(mktemp -d)
trap 'rm -rf "$seeds"' EXIT

# One file a line, named for its source file and number; long lines are no good seeds.
lines() {
    name=$(printf '%s' "$1" | tr -c 'A-Za-z0-9' _)
    head -n "$2" "$1" | awk -v base="$seeds/$name" \
        'length($0) > 0 && length($0) < 16384 { file = base "-" NR; print > file; close(file) }'
}

for log in ../ingest/tests/normalized/*.log; do
    lines "$log" 1000
done
samples=../../shared/data
if [ -d "$samples" ]; then
    find "$samples" -type f \( -name '*.log' -o -name '*.json' -o -name '*.jsonl' -o -name '*.txt' \) | sort |
        while read -r log; do lines "$log" 5; done
fi
for target in targets/*.rs; do
    corpus=corpus/$(basename "$target" .rs)
    mkdir -p "$corpus"
    find "$seeds" -type f -exec cp {} "$corpus" \;
done
# Rules, and rules with records that they may match.
find ../rules $([ -d "$samples/sigma/rules" ] && echo "$samples/sigma/rules") -name '*.yml' | sort | awk 'NR % 8 == 1' |
    while read -r rule; do
        name=$(printf '%s' "$rule" | tr -c 'A-Za-z0-9' _)
        cp "$rule" "corpus/rules/$name"
        { cat "$rule"; echo '==='; find "$seeds" -type f -size -4k | sort | awk 'NR % 997 == 1' | head -n 4 | xargs cat; } \
            >"corpus/detect/$name"
    done
# Filters, mappings, placeholders and dates, which no published rule has.
cp seeds/language.rules corpus/rules/language
{ cat seeds/language.rules; echo '==='; cat seeds/language.events; } >corpus/detect/language
for tool in gzip zstd lz4; do
    if command -v "$tool" >/dev/null; then
        for target in compression file_records; do
            printf '{"a":1}\n{"b":2}\n' | "$tool" -c >"corpus/$target/$tool"
        done
    fi
done
echo "seeds: $(find "$seeds" -type f | wc -l) for each target"
