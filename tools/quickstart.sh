#!/usr/bin/env bash
# quickstart.sh [--no-vk-folder] [MESON_OPTION...]
#
# From a fresh clone to running: installs what is missing (as root, by apt), builds into build/, shows the Vulkan devices
# of this machine, and plays the demo with the model that lies in the repository, through the system's loader and
# drivers. May be repeated at any time.
#
#   --no-vk-folder  build with the system's shader compilers only (see tools/setup.sh)
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

setup=() options=()
for arg in "$@"; do
    case $arg in
        --no-vk-folder) setup+=("$arg") ;;
        -h | --help) usage && exit 0 ;;
        -D*) options+=("$arg") ;;
        *) usage >&2 && exit 2 ;;
    esac
done

"$root/tools/setup.sh" "${setup[@]}"

vk_folder=''
[[ ${#setup[@]} -gt 0 || ! -f $deps/vk/STAMP ]] || vk_folder=$deps/vk
tests=false
if pkg-config --exists cmocka; then tests=true; fi
build=$root/build
timed "configure $build with shader compilers of ${vk_folder:-the system}" \
    configure "$build" "-Dvk_folder=$vk_folder" "-Dtests=$tests" "${options[@]}"
timed "build" ninja -C "$build"

program=$(program_of "$build")
[[ -n $program ]] || die "the build made no program gsa-vk in $build"
say "$program devices"
"$program" devices
say "$program demo"
"$program" demo </dev/null
say "ready after $(elapsed) s; the program is $program"
