#!/usr/bin/env bash
# coverage.sh [--missing] [--build DIR]
#
# Branch coverage of everything that reads files of strangers, by the unit tests and the corpus of tests/fuzz: builds
# build-coverage/ with gcc's counters, runs the suites unit and fuzz, prints a line per file and the totals.
#
#   --missing    also each line with a branch that was never taken
#   --build DIR  the build folder; default build-coverage
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

build=$root/build-coverage show=no
while [[ $# -gt 0 ]]; do
    case $1 in
        --missing) show=yes ;;
        --build) build=${2:?--build needs a folder} && shift ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done
command -v gcov >/dev/null || die "gcov is not there"
quietly configure "$build" -Db_coverage=true -Dbuildtype=debug -Doptimization=0 -Dprogram=false
quietly ninja -C "$build"
find "$build" -name '*.gcda' -delete
quietly meson test -C "$build" --suite unit --suite fuzz -t 8
cd "$build"
python3 "$root/tools/coverage.py" "$root" "$show" src/model/hf.c src/model/hf_config.c src/model/hf_files.c \
    src/model/safetensors.c src/model/config.c src/model/tensor.c src/model/checkpoint.c src/model/gguf_checkpoint.c \
    src/model/gguf_config.c src/session/state_file.c src/util/json.c src/util/file.c src/util/source.c \
    src/util/status.c src/util/alloc.c src/util/hash.c src/gguf/gguf.c src/gguf/types.c src/gguf/value.c \
    src/gguf/walk.c "$root"/src/text/*.c
