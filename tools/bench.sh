#!/usr/bin/env bash
# bench.sh [--program PATH] [--out DIR] [--models LIST] [-- BENCH_OPTION...]
#
# The whole table of speeds: `gsa-vk bench --all` of each model, the recurrence alone, and the times of each call of a token
# and of a prompt of 2,048 tokens. Into DIR (bench-results) go, for each model, its record (.jsonl: one object a measurement)
# and its table (.md), what could not be measured (.err), and summary.md over all of them. Minutes on a GPU. A part that fails
# does not stop the others; the exit status is then 1.
#
#   --program PATH  gsa-vk; default: build/tools/gsa-vk/gsa-vk
#   --models LIST   separated by commas: SHAPE:TYPE of random weights, or paths of models. Default: those of PERF.md
#   BENCH_OPTION    for every run, for instance: -- -d 1 --reps 5
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

program=$root/build/tools/gsa-vk/gsa-vk out=bench-results
models=1.3b:f16,1.3b:q8_0,1.3b:q4_0,1.3b:q4_k,1.3b:q6_k,340m:q4_0,7b:f16,7b:q4_0
profiled=' 1.3b:f16 1.3b:q4_0 340m:q4_0 '
while [[ $# -gt 0 ]]; do
    case $1 in
        --program) program=${2:?--program needs a path} && shift ;;
        --out) out=${2:?--out needs a folder} && shift ;;
        --models) models=${2:?--models needs a list} profiled='' && shift ;;
        --) shift && break ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done
[[ -x $program ]] || die "$program is no program: build it, or give --program PATH"
mkdir -p "$out"

failed=()
# measure NAME ARGUMENT... : table and record; what it says on stderr is kept when it fails.
measure() {
    local name=$1 start=$SECONDS
    shift
    if "$program" bench -q "$@" --md --record "$out/$name.jsonl" >"$out/$name.md" 2>"$out/$name.err"; then
        rm -f "$out/$name.err"
    else
        failed+=("$name")
        note "$(tail -n 1 "$out/$name.err")"
    fi
    note "$name: $((SECONDS - start)) s"
}

say "measuring into $out"
IFS=, read -r -a list <<<"$models"
names=()
for model in "${list[@]}"; do
    source=(--synthetic "${model%%:*}" --type "${model##*:}") name=${model/:/-}
    if [[ -e $model ]]; then
        source=(-m "$model") name=$(basename "$model")
    fi
    names+=("$name")
    measure "$name" "${source[@]}" --all "$@"
    if [[ $profiled == *" $model "* ]] &&
        ! "$program" bench -q "${source[@]}" --profile "$@" >"$out/$name.profile.txt" 2>"$out/$name.profile.err"; then
        failed+=("$name profile")
    fi
done
device=()
for ((i = 1; i <= $#; i++)); do # an op takes the options of devices only
    case ${!i} in
        -d | --device | --mask) j=$((i + 1)) && device+=("${!i}" "${!j}") ;;
        --no-cache | --validation) device+=("${!i}") ;;
    esac
done
measure gsa-alone --op gsa "${device[@]}"
names+=(gsa-alone)

# The rows that matter most, of all models side by side.
{
    echo '| model | measure | at | unit | median | min | max | GPU busy | of read | of matrix | valid |'
    echo '|---|---|---|---|--:|--:|--:|--:|--:|--:|---|'
    for name in "${names[@]}"; do
        awk -F ' *[|] *' -v name="$name" '
            $2 ~ /^(decode|decode_batch|prefill|prefill_batch|gsa|read_bandwidth|matrix_rate|matrix_rate_own)$/ ||
            ($2 == "first_token" && $3 == "128 tokens") {
                print "| " name " | " $2 " | " $3 " | " $4 " | " $5 " | " $6 " | " $7 " | " $11 " | " $12 " | " $13 " | " $14 " |"
            }' "$out/$name.md"
    done
} >"$out/summary.md"
say "$out/summary.md, after $(elapsed) s"
[[ ${#failed[@]} -eq 0 ]] || die "failed: ${failed[*]}"
