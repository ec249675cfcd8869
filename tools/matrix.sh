#!/usr/bin/env bash
# matrix.sh [--rows LIST] [--jobs N] [--list] [SUITE...]
#
# Runs the tests of build/ once per row: each row is a Vulkan driver with its settings, or another way to build.
# Needs tools/test.sh to have set things up once. A row whose driver is not there counts as failed; gpu without a GPU is left out.
# SUITEs are meson's (unit device model embed slow); default: each row's own choice, never slow.
# The last line is 'N passed, N failed', counted in test cases; the exit status is 1 if anything failed.
#
#   --rows LIST  comma-separated; default: all
#   --jobs N     rows at a time; default: one per core
#   --list       names the rows
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

# unit             tests without a GPU
# lavapipe-new-4   newest Mesa's CPU driver, subgroup size 4; -8: with cooperative matrix; -16. Wide vectors compile for long:
#                  the tests leave to -4 and other rows what width cannot change
# lavapipe-stock   the system's Mesa
# minimum          the same, everything hidden that Vulkan 1.1 does not promise
# swiftshader      few features: no f16, no 16-bit storage
# validation       the system's Mesa under the validation layer with synchronization checks
# sanitize         address, undefined-behaviour and leak sanitizers
# stock-compilers  built with the system's shader compilers and headers
# fuzz             libFuzzer on everything that reads files, some thousand executions each (clang)
# gpu              this machine's GPU
# interop          our files read by the Python packages gguf, safetensors and tokenizers, and theirs by us
# style            formatting of the C files, shellcheck of the scripts
# Long ones first, so that all cores are busy to the end. sanitize fills the shader cache of the system's Mesa, so those that
# share it begin when it is over.
all_rows=(style interop unit fuzz lavapipe-new-8 sanitize lavapipe-new-4 lavapipe-new-16 swiftshader validation lavapipe-stock
    minimum gpu stock-compilers)
build=$root/build
cores=$(nproc)
jobs=$cores rows=("${all_rows[@]}") suites=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --rows) IFS=, read -r -a rows <<<"${2:?--rows needs a list}" && shift ;;
        --jobs) jobs=${2:?--jobs needs a number} && shift ;;
        --list) printf '%s\n' "${all_rows[@]}" && exit 0 ;;
        -h | --help) usage && exit 0 ;;
        -*) usage >&2 && exit 2 ;;
        *) suites+=(--suite "$1") ;;
    esac
    shift
done
for name in "${rows[@]}"; do
    [[ " ${all_rows[*]} " == *" $name "* ]] || die "no row '$name'; there are: ${all_rows[*]}"
done
[[ -f $build/build.ninja ]] || die "$build is not there: run tools/test.sh once"
unset GSA_TEST_MASK GSA_TEST_VALIDATION VK_INSTANCE_LAYERS VK_LAYER_PATH VK_LAYER_ENABLES

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# option_of NAME : a build option of build/, as meson recorded it.
option_of() {
    python3 - "$build/meson-info/intro-buildoptions.json" "$1" <<'PY'
import json, sys
value = next(o["value"] for o in json.load(open(sys.argv[1])) if o["name"] == sys.argv[2])
print(str(value).lower() if isinstance(value, bool) else value)
PY
}

stock_icd() {
    local f
    for f in /usr/share/vulkan/icd.d/lvp_icd*.json; do
        [[ ! -f $f ]] || { printf '%s' "$f" && return 0; }
    done
}

# driver_library ICD_JSON : the library that it names, where the file is to be found by its path.
driver_library() {
    local path
    path=$(sed -n 's/.*"library_path": *"\([^"]*\)".*/\1/p' "$1" 2>/dev/null || true)
    [[ ! -f $path ]] || printf '%s' "$path"
}

# describe ROW : sets dir, wrapper, vars and choice; `why` says why the row cannot run here.
describe() {
    local lvp lvp_library ss_icd=$deps/ss/vk_swiftshader_icd.json
    lvp=$(stock_icd)
    dir=$build wrapper='' vars=() why='' choice=(--no-suite unit --no-suite fuzz) needs_device=yes
    # The program, the demo's model: they are enough on a driver of each kind.
    case $1 in lavapipe-new-4 | lavapipe-stock | gpu) ;; *) choice+=(--no-suite once) ;; esac
    # Measuring kernels: where those for matrix units are, and where they are not.
    case $1 in lavapipe-new-8 | lavapipe-stock | gpu) ;; *) choice+=(--no-suite tuning) ;; esac
    # Compiled shaders are kept from test to test. A folder for each subgroup size, because Mesa before 26 keys them
    # without it: a second size would run the first one's code.
    local cache=$build/mesa-cache
    mkdir -p "$cache/stock" "$cache/$1" # Mesa makes no parents
    local stock=("VK_DRIVER_FILES=$lvp" "VK_ICD_FILENAMES=$lvp" "MESA_SHADER_CACHE_DIR=$cache/stock")
    case $1 in
        style | fuzz | interop) needs_device=no ;;
        unit) choice=(--suite unit --suite fuzz) needs_device=no ;;
        lavapipe-new-*)
            wrapper=$deps/vk/bin/vkrun
            [[ -x $wrapper ]] || why='no newer drivers in .deps/vk'
            vars=("MESA_SHADER_CACHE_DIR=$cache/$1" "LP_NATIVE_VECTOR_WIDTH=$((${1##*-} * 32))")
            # Wide vectors compile for long: resident kernels, which take half an hour, are left to -4. At the widest the
            # driver offers cooperative matrices and crashes when it compiles one.
            case $1 in
                *-8) vars+=(GSA_TEST_MASK=buffer_address) ;;
                *-16) vars+=("GSA_TEST_MASK=buffer_address,coopmat") ;;
            esac
            ;;
        lavapipe-stock) vars=("${stock[@]}") ;;
        minimum) vars=("${stock[@]}" GSA_TEST_MASK=minimum) ;;
        swiftshader)
            [[ -f $ss_icd ]] || why='no SwiftShader in .deps/ss'
            vars=("VK_DRIVER_FILES=$ss_icd" "VK_ICD_FILENAMES=$ss_icd")
            ;;
        validation)
            # The two spellings of one setting: the newer layer takes the older one for a mistake.
            vars=("${stock[@]}" GSA_TEST_VALIDATION=1 VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation)
            if [[ -d $deps/ss/layer.d ]]; then
                vars+=("VK_LAYER_PATH=$deps/ss/layer.d" VK_LAYER_VALIDATE_SYNC=1
                    VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC=1)
            elif [[ ! -f /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json ]]; then
                why='no validation layer'
            else
                vars+=(VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT)
            fi
            ;;
        sanitize)
            dir=$root/build-sanitize choice=(--suite unit --suite fuzz --suite model --no-suite demo)
            # On AMD processors the driver (Mesa's u_cpu_detect) keeps a mask of 128 bytes that nobody names once the driver is
            # unloaded, and no suppression can name unloaded code: so it stays loaded.
            lvp_library=$(driver_library "$lvp")
            [[ -z $lvp_library ]] || wrapper="env LD_PRELOAD=$lvp_library"
            vars=("${stock[@]}" ASAN_OPTIONS=detect_leaks=1:verify_asan_link_order=0
                UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
                "LSAN_OPTIONS=suppressions=$root/tests/support/lsan.supp:print_suppressions=0")
            ;;
        stock-compilers)
            dir=$root/build-stock choice=(--suite unit) needs_device=no
            command -v glslc >/dev/null && [[ -f /usr/include/vulkan/vulkan.h ]] || why='no stock glslc and Vulkan headers'
            ;;
        gpu)
            compgen -G '/dev/dri/renderD*' >/dev/null || [[ -e /dev/nvidia0 || -e /dev/kfd ]] || why='no GPU here'
            ;;
    esac
    [[ " ${vars[*]} " != *" VK_DRIVER_FILES= "* ]] || why="no lavapipe on this system (package mesa-vulkan-drivers)"
    [[ ${#suites[@]} -eq 0 || $1 == style || $1 == fuzz || $1 == interop ]] || choice=("${suites[@]}")
}

# count LOG... : "passed failed skipped names-of-failed" from meson's JSON logs. Cases are counted where a test program
# names them (cmocka, TAP); a program that fails without naming a case, or by crashing, counts as one failure.
count() {
    python3 - "$@" <<'PY'
import json, re, sys
passed = failed = skipped = 0
names = []
for path in sys.argv[1:]:
    for line in open(path, encoding="utf-8", errors="replace"):
        t = json.loads(line)
        out = (t.get("stdout") or "") + "\n" + (t.get("stderr") or "")
        ok = set(re.findall(r"^\[ +OK \] (\S+)", out, re.M)) | set(re.findall(r"^ok (\d+)(?!.*# SKIP)", out, re.M))
        bad = set(re.findall(r"^\[ +FAILED +\] ([A-Za-z_]\w*)$", out, re.M)) | set(re.findall(r"^not ok (\d+)", out, re.M))
        skip = set(re.findall(r"^\[ +SKIPPED +\] ([A-Za-z_]\w*)$", out, re.M)) | set(re.findall(r"^ok (\d+).*# SKIP", out, re.M))
        fine = t["result"] in ("OK", "EXPECTEDFAIL")
        if t["result"] == "SKIP":
            skipped += max(1, len(skip))
            continue
        if fine and not ok and not bad and not skip:
            ok = {t["name"]}
        if not fine:
            names.append(t["name"])
            bad = bad or {t["name"]}
        passed, failed, skipped = passed + len(ok - bad), failed + len(bad), skipped + len(skip - ok - bad)
print(passed, failed, skipped, ",".join(names) or "-")
PY
}

# style_checks : "passed failed skipped names"
style_checks() {
    local ok=0 bad=0 skip=0 names='' cf='' f
    for f in clang-format-14 clang-format; do
        if [[ -z $cf ]] && "$f" --version 2>/dev/null | grep -q 'version 14\.'; then cf=$f; fi
    done
    if [[ -z $cf ]]; then # other versions format differently
        echo "no clang-format 14 here" >&2 && skip=$((skip + 1))
    else
        while IFS= read -r -d '' f; do
            "$cf" "$f" | cmp -s - "$f" || { echo "$f: run clang-format -i on it" >&2 && names=clang-format; }
        done < <(find src include tools tests examples -name '*.[ch]' -print0)
        if [[ -z $names ]]; then ok=$((ok + 1)); else bad=$((bad + 1)); fi
    fi
    if ! command -v shellcheck >/dev/null; then
        echo "no shellcheck here" >&2 && skip=$((skip + 1))
    elif shellcheck -x tools/*.sh .ci/run >&2; then
        ok=$((ok + 1))
    else
        bad=$((bad + 1)) names+=${names:+,}shellcheck
    fi
    echo "$ok $bad $skip ${names:--}"
}

# fuzz_targets LOG : "passed failed skipped names", a target each; the log has its output
fuzz_targets() {
    local ok bad
    "$root/tools/fuzz.sh" --runs 5000 >"$1" 2>&1 || true
    ok=$(grep -c '^ok ' "$1" || true)
    bad=$(sed -n 's/^not ok //p' "$1" | paste -sd, -)
    if [[ -n $bad ]]; then
        echo "$ok $(grep -c '^not ok ' "$1") 0 $bad"
    elif [[ $ok -eq 0 ]]; then
        echo "0 1 0 nothing-ran"
    else
        echo "$ok 0 0 -"
    fi
}

# interop_checks LOG : "passed failed skipped names"
interop_checks() {
    local ok bad=0 names status=0
    "$root/tools/interop.sh" "$build" >"$1" 2>&1 </dev/null || status=$?
    ok=$(grep -c '^ok ' "$1" || true)
    names=$(sed -n 's/^not ok [0-9]* - //p' "$1" | paste -sd, -)
    bad=$(grep -c '^not ok ' "$1" || true)
    if [[ $status -ne 0 && $bad -eq 0 ]]; then bad=1 names=setup; fi
    echo "$ok $bad 0 ${names:--}"
}

# run_row ROW : leaves its output in work/ROW.log and one line in work/ROW: seconds passed failed skipped remark
run_row() {
    local start=$SECONDS counts status=0 name=$1 remark='' program
    if [[ -n $why ]]; then
        echo "0 0 0 0 not run: $why" >"$work/$name"
        return 0
    fi
    if [[ $name == style ]]; then
        counts=$(cd "$root" && style_checks 2>"$work/$name.log")
    elif [[ $name == fuzz ]]; then
        counts=$(fuzz_targets "$work/$name.log")
    elif [[ $name == interop ]]; then
        counts=$(interop_checks "$work/$name.log")
    elif [[ -f $work/$name.nobuild ]]; then
        cp "$work/$name.nobuild" "$work/$name.log"
        counts="0 1 0 build"
    else
        rm -f "$dir/meson-logs/matrix-$name"*
        program=$(program_of "$dir")
        if [[ $needs_device == yes && -n $program ]]; then
            # shellcheck disable=SC2086 # a command, perhaps with arguments
            remark=$(env "${vars[@]}" $wrapper "$program" devices 2>&1 | head -n 1 || true)
        fi
        env "${vars[@]}" "MESON_TESTTHREADS=$threads" meson test -C "$dir" --no-rebuild -t 4 --print-errorlogs \
            --logbase "matrix-$name" ${wrapper:+--wrapper "$wrapper"} "${choice[@]}" \
            >"$work/$name.log" 2>&1 </dev/null || status=$?
        local -a logs
        mapfile -t logs < <(compgen -G "$dir/meson-logs/matrix-$name*.json" || true)
        counts=$(count "${logs[@]}")
        local passed failed skipped names
        read -r passed failed skipped names <<<"$counts"
        if [[ $failed -eq 0 && $status -ne 0 ]]; then
            counts="$passed 1 $skipped meson"
        elif [[ $failed -eq 0 && $passed -eq 0 ]]; then
            # Tests skip when there is no device: a row which only skipped has proven nothing.
            counts="0 1 $skipped nothing-ran"
        fi
    fi
    local passed failed skipped names
    read -r passed failed skipped names <<<"$counts"
    [[ $names == - ]] || remark="FAILED: $names"
    echo "$((SECONDS - start)) $passed $failed $skipped $remark" >"$work/$name"
    printf '    %-16s %4d s  %5d passed %4d failed %4d skipped  %s\n' "$name" "$((SECONDS - start))" "$passed" "$failed" \
        "$skipped" "$remark"
}

# targets_of DIR SUITE... : the files that tests of these suites run.
targets_of() {
    python3 - "$@" <<'PY'
import json, os, sys
root, suites = sys.argv[1], set(sys.argv[2:])
info = lambda name: json.load(open(f"{root}/meson-info/intro-{name}.json"))
used = {d for t in info("tests") if suites & {s.split(":")[-1] for s in t["suite"]} for d in t["depends"]}
for t in info("targets"):
    if t["id"] in used:
        print(os.path.relpath(t["filename"][0], root))
PY
}

# Builds first, one after the other: they use all cores.
vk_folder=$(option_of vk_folder)
common=("-Dwerror=$(option_of werror)" -Dtests=true)
# build_row ROW DIR WHAT MESON_OPTION... : all of it, or what tests of the suites WHAT run
build_row() {
    local name=$1 dir=$2 what=$3 start=$SECONDS
    local -a targets=()
    shift 3
    # shellcheck disable=SC2046,SC2086 # lists of words
    if (configure "$dir" "$@" && targets=(${what:+$(targets_of "$dir" $what)}) && ninja -C "$dir" "${targets[@]}") \
        >"$work/build.log" 2>&1 </dev/null; then
        note "built ${dir##*/} for $name in $((SECONDS - start)) s"
    else
        note "build of ${dir##*/} for $name FAILED after $((SECONDS - start)) s"
        mv "$work/build.log" "$work/$name.nobuild"
    fi
}
say "driver matrix: ${#rows[@]} rows, $jobs at a time"
ninja -C "$build" >"$work/build.log" 2>&1 </dev/null || { cat "$work/build.log" && die "the build failed"; }
for name in "${rows[@]}"; do
    describe "$name"
    [[ -z $why ]] || continue
    case $name in
        sanitize)
            # Sanitizers make compiling several times as slow: only what the row runs.
            what='unit fuzz model'
            [[ ${#suites[@]} -eq 0 ]] || what=''
            build_row "$name" "$dir" "$what" "-Dvk_folder=$vk_folder" "${common[@]}" -Dbuildtype=debugoptimized \
                -Db_sanitize=address,undefined -Db_lundef=false
            ;;
        stock-compilers) build_row "$name" "$dir" '' -Dvk_folder= "${common[@]}" ;;
    esac
done

threads=$((cores / jobs))
[[ $threads -ge 1 ]] || threads=1
for name in "${rows[@]}"; do
    while [[ $(jobs -rp | wc -l) -ge $jobs ]]; do wait -n || true; done
    describe "$name"
    run_row "$name" &
done
wait

total_passed=0 total_failed=0 not_run=0
for name in "${rows[@]}"; do
    [[ -f $work/$name ]] || echo "0 0 1 0 FAILED: the row itself" >"$work/$name"
    read -r _ _ failed _ <"$work/$name"
    [[ $failed -ne 0 && -f $work/$name.log ]] || continue
    printf '\n==> log of %s\n' "$name"
    tail -n 300 "$work/$name.log"
done
printf '\n%-16s %6s %7s %7s %8s  %s\n' row time passed failed skipped remark
for name in "${rows[@]}"; do
    read -r seconds passed failed skipped remark <"$work/$name"
    printf '%-16s %4d s %7d %7d %8d  %s\n' "$name" "$seconds" "$passed" "$failed" "$skipped" "$remark"
    total_passed=$((total_passed + passed)) total_failed=$((total_failed + failed))
    # Only a machine without a GPU has a reason to skip a row; --rows chooses where a driver cannot be had.
    if [[ $remark == "not run:"* && $name != gpu ]]; then not_run=$((not_run + 1)); fi
done
[[ $not_run -eq 0 ]] || note "$not_run rows could not run, for the reasons above: they count as failed"
total_failed=$((total_failed + not_run))
note "$(elapsed) s since the start"
echo "$total_passed passed, $total_failed failed"
[[ $total_failed -eq 0 ]]
