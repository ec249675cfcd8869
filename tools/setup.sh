#!/usr/bin/env bash
# setup.sh [--tests] [--no-vk-folder]
#
# Installs what gsa-vk is built with: packages of Debian 12 or later by apt (as root), and newer shader compilers and
# Vulkan headers into the private folder .deps/vk, which touches no package of the machine. What is there stays as it is.
#
#   --tests         also what the tests need: cmocka, the stock compilers, and the drivers of the driver matrix
#   --no-vk-folder  use the stock compilers and headers only: fewer and slower shader variants (no cooperative matrix)
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

tests=no folder=yes
for arg in "$@"; do
    case $arg in
        --tests) tests=yes ;;
        --no-vk-folder) folder=no ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done

build_packages=(gcc libc6-dev meson ninja-build pkg-config python3 libjansson-dev libvulkan1)
stock_compilers=(glslc glslang-tools spirv-tools libvulkan-dev libvulkan-volk-dev)

has_driver() {
    local f
    for f in /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json /usr/local/share/vulkan/icd.d/*.json; do
        [[ ! -f $f ]] || return 0
    done
    return 1
}

packages=("${build_packages[@]}")
# A machine whose GPU driver is installed keeps to it; others get Mesa, whose lavapipe runs on the CPU.
if [[ $tests == yes ]] || ! has_driver; then packages+=(mesa-vulkan-drivers); fi
[[ $tests == no ]] || packages+=(libcmocka-dev g++)
[[ $tests == no && $folder == yes ]] || packages+=("${stock_compilers[@]}")
timed "packages" install_packages "${packages[@]}"

if [[ $folder == yes ]]; then
    args=()
    [[ $tests == no ]] || args=(--drivers)
    if ! "$root/tools/vkfolder.sh" "${args[@]}"; then
        if [[ -f $deps/vk/STAMP ]]; then
            note "keeping the folder of an earlier run"
        else
            say "newer shader compilers could not be fetched: going on with the stock ones, without cooperative matrix"
            install_packages "${stock_compilers[@]}"
        fi
    fi
fi
if [[ $tests == yes ]] && ! "$root/tools/swiftshader.sh"; then
    say "SwiftShader could not be fetched: its tests will not run, and validation uses the stock layer"
    install_packages vulkan-validationlayers
fi
