#!/usr/bin/env bash
# fuzz.sh [--seconds N | --runs N] [--pack DIR] [--folder DIR] [TARGET...]
#
# Builds the libFuzzer targets of tests/fuzz with clang, address and undefined-behaviour sanitizers into build-fuzz/ and
# runs each over corpus/ and what it invents. A finding ends the run; its file is left in build-fuzz/found/.
# Needs clang and its run-time libraries (Debian: clang libclang-rt-14-dev).
#
#   --runs N     executions per target; default 20000
#   --seconds N  time per target instead
#   --pack DIR   build only, and put programs, their libraries, corpus and long.sh there, for a larger machine
#   --build DIR  the build folder; default build-fuzz
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

build=$root/build-fuzz limit=(-runs=20000) pack='' targets=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --runs) limit=("-runs=${2:?--runs needs a number}") && shift ;;
        --seconds) limit=("-max_total_time=${2:?--seconds needs a number}") && shift ;;
        --pack) pack=${2:?--pack needs a folder} && shift ;;
        --build) build=${2:?--build needs a folder} && shift ;;
        -h | --help) usage && exit 0 ;;
        -*) usage >&2 && exit 2 ;;
        *) targets+=("$1") ;;
    esac
    shift
done
quietly install_packages clang libclang-rt-14-dev
if [[ ${#targets[@]} -eq 0 ]]; then
    for f in "$root"/tests/fuzz/corpus/*/; do targets+=("$(basename "$f")"); done
fi

CC=${FUZZ_CC:-clang} quietly configure "$build" -Dfuzz=true -Dprogram=false -Dbuildtype=debugoptimized \
    -Doptimization=1 -Db_sanitize=address,undefined -Db_lundef=false
quietly ninja -C "$build" "${targets[@]/#/tests/fuzz/fuzz_}"

if [[ -n $pack ]]; then
    mkdir -p "$pack/lib" "$pack/corpus"
    for t in "${targets[@]}"; do
        strip --strip-debug -o "$pack/fuzz_$t" "$build/tests/fuzz/fuzz_$t"
        ldd "$build/tests/fuzz/fuzz_$t" | awk '/libjansson|libstdc|libgcc_s/ { print $3 }' |
            xargs -r cp -Lt "$pack/lib"
        rm -rf "$pack/corpus/$t"
        cp -r "$root/tests/fuzz/corpus/$t" "$pack/corpus/$t"
    done
    cp "$root/tests/fuzz/long.sh" "$pack/run.sh"
    exit 0
fi

failed=0
for t in "${targets[@]}"; do
    mkdir -p "$build/corpus/$t" "$build/found"
    start=$SECONDS
    log=$build/found/$t.log
    if "$build/tests/fuzz/fuzz_$t" "${limit[@]}" -seed=1 -max_len=8192 -timeout=10 -rss_limit_mb=3000 \
        -malloc_limit_mb=512 -print_final_stats=1 -artifact_prefix="$build/found/$t-" "$build/corpus/$t" \
        "$root/tests/fuzz/corpus/$t" >"$log" 2>&1 </dev/null; then
        echo "ok $t: $(awk '/number_of_executed_units/ { print $2 }' "$log") executions, $((SECONDS - start)) s"
    else
        tail -n 60 "$log"
        echo "not ok $t"
        failed=$((failed + 1))
    fi
done
[[ $failed -eq 0 ]]
