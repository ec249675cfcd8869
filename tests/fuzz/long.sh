#!/usr/bin/env bash
# long.sh : all fuzz targets at once on a machine with many cores, from a folder that tools/fuzz.sh --pack made.
#   FUZZ_SECONDS  how long; default 280     FUZZ_PROCESSES  at a time; default 56     OUT  where the results go; default .
# Writes $OUT/fuzz.txt: per target CPU minutes, executions, edges, corpus, findings with small reproducers in base64; and $OUT/fuzz-corpus.tgz, the files that were found to reach something new. Prints one line per target.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
seconds=${FUZZ_SECONDS:-280} processes=${FUZZ_PROCESSES:-56} out=${OUT:-.}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
report=$out/fuzz.txt
: >"$report"
export LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1

targets=()
for f in "$here"/fuzz_*; do [[ -x $f ]] && targets+=("${f##*/fuzz_}"); done
[[ ${#targets[@]} -gt 0 ]] || { echo "no fuzz_* programs in $here" | tee -a "$report" && exit 1; }

# one TARGET NUMBER END : a process of a target, started again after each finding until the time is over.
one() {
    local target=$1 n=$2 end=$3 left round=0
    while left=$((end - SECONDS)) && [[ $left -gt 1 && $round -lt 40 ]]; do
        round=$((round + 1))
        TIMEFORMAT='cpu %U %S'
        { time "$here/fuzz_$target" -max_total_time="$left" -max_len=16384 -timeout=10 -rss_limit_mb=3000 \
            -malloc_limit_mb=512 -reload=1 -print_final_stats=1 -seed=$((n * 1000 + round)) \
            -artifact_prefix="$work/$target/found/" "$work/$target/corpus" "$here/corpus/$target" \
            >/dev/null 2>"$work/$target/log.$n.$round"; } 2>>"$work/$target/cpu"
    done
}

SECONDS=0
end=$seconds
for target in "${targets[@]}"; do mkdir -p "$work/$target/corpus" "$work/$target/found"; done
for ((n = 0; n < processes; n++)); do one "${targets[n % ${#targets[@]}]}" "$n" "$end" & done
wait

{
    echo "$processes processes, $SECONDS s, $(nproc) cores, $(date -u +%Y-%m-%dT%H:%MZ)"
    printf '%-14s %9s %12s %8s %7s %8s %s\n' target cpu_min executions exec/s edges corpus findings
} >>"$report"
for target in "${targets[@]}"; do
    cd "$work/$target" || exit 1
    n_corpus=$(find corpus -type f | wc -l)
    n_found=$(find found -type f | wc -l)
    awk -v target="$target" -v s="$SECONDS" -v corpus="$n_corpus" -v found="$n_found" '
        FILENAME == "cpu" { cpu += $2 + $3; next }
        /stat::number_of_executed_units/ { n += $2 }
        { for (i = 1; i < NF; i++) if ($i == "cov:" && $(i + 1) > edges) edges = $(i + 1) }
        END { printf "%-14s %9.2f %12d %8d %7d %8d %d\n", target, cpu / 60, n, n / s, edges, corpus, found }
    ' cpu log.* |
        tee -a "$report"
done
for target in "${targets[@]}"; do
    cd "$work/$target" || exit 1
    # Each kind of finding once: the line that names it, and the first small file.
    grep -hE 'ERROR: |SUMMARY: |runtime error: |does not hold|error while loading' log.* |
        sed 's/==[0-9]*==//; s/0x[0-9a-f]*/0x/g; s/pid [0-9]*//' |
        sort | uniq -c | sort -rn | head -n 20 | sed "s/^/$target: /" >>"$report"
    for f in $(find found -type f -size -3k | head -n 8); do
        printf '%s %s ' "$target" "${f##*/}" && base64 -w0 "$f" && echo
    done >>"$report"
done
cd "$work" && tar czf "$out/fuzz-corpus.tgz" --exclude 'log.*' --exclude cpu ./*/corpus ./*/found
