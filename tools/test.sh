#!/usr/bin/env bash
# test.sh [--no-vk-folder] [--all | --rows LIST] [MESON_OPTION...]
#
# From a fresh clone to tested: installs what is missing (as root, by apt; drivers and layers into .deps), builds into
# build/, and runs the tests: without a device, on two CPU drivers, on this machine's GPU if there is
# one. --all runs the whole driver matrix, sanitizers and validation layers included, which takes three times as long.
# May be repeated at any time. The last line is 'N passed, N failed'; the exit status is 1 if anything failed.
#
#   --no-vk-folder  use the system's shader compilers and drivers only
#   --rows LIST     rows of the driver matrix to run (see tools/matrix.sh)
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

setup=(--tests) options=() rows=(--rows "unit,lavapipe-stock,lavapipe-new-4,gpu")
while [[ $# -gt 0 ]]; do
    case $1 in
        --no-vk-folder) setup+=("$1") ;;
        --all) rows=() ;;
        --rows) rows=(--rows "${2:?--rows needs a list}") && shift ;;
        -h | --help) usage && exit 0 ;;
        -D*) options+=("$1") ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done

"$root/tools/setup.sh" "${setup[@]}"

vk_folder=''
[[ ${#setup[@]} -gt 1 || ! -f $deps/vk/STAMP ]] || vk_folder=$deps/vk
build=$root/build
timed "configure $build with shader compilers of ${vk_folder:-the system}" \
    configure "$build" "-Dvk_folder=$vk_folder" -Dtests=true "${options[@]}"
timed "build" ninja -C "$build"
say "set up and built after $(elapsed) s"
exec "$root/tools/matrix.sh" "${rows[@]}"
