#!/usr/bin/env bash
# swiftshader.sh [--force] [DEST]
#
# Makes a private folder (default: .deps/ss) with SwiftShader, a second CPU Vulkan 1.3 with few features, and a newer
# Khronos validation layer than Debian 12's, both out of Debian's package chromium-common, which is built for this
# release's own C library: no wrapper is needed. Nothing is installed. Nothing is done when the folder is there.
#
#   VK_DRIVER_FILES=DEST/vk_swiftshader_icd.json VK_ICD_FILENAMES=DEST/vk_swiftshader_icd.json PROGRAM
#   VK_LAYER_PATH=DEST/layer.d VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation PROGRAM
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

force=no dest=$deps/ss
while [[ $# -gt 0 ]]; do
    case $1 in
        --force) force=yes ;;
        -h | --help) usage && exit 0 ;;
        -*) usage >&2 && exit 2 ;;
        *) dest=$1 ;;
    esac
    shift
done
if [[ $force == no ]] && grep -qsx 'format=1' "$dest/STAMP"; then
    note "$dest is there ($(<"$dest/VERSIONS"))"
    exit 0
fi

mkdir -p "$(dirname "$dest")"
dest=$(cd "$(dirname "$dest")" && pwd -P)/$(basename "$dest")
work=$(mktemp -d)
new=$dest.new.$$
trap 'rm -rf "$work" "$new"' EXIT
mkdir -p "$new/layer.d"
start=$SECONDS
say "SwiftShader and the validation layer into $dest"
(cd "$work" && quietly apt-get -q -o APT::Sandbox::User=root -o Acquire::Retries=3 download chromium-common) ||
    die "cannot fetch chromium-common (see above); if it is unknown, run apt-get update as root"
deb=$(find "$work" -name 'chromium-common_*.deb')
# shellcheck disable=SC2016 # the format is dpkg's
dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb" >"$new/VERSIONS"
from=./usr/lib/chromium
dpkg-deb --fsys-tarfile "$deb" | tar -x --strip-components=4 -C "$new" \
    "$from/libvk_swiftshader.so" "$from/vk_swiftshader_icd.json" "$from/libVkLayer_khronos_validation.so"
cat >"$new/layer.d/VkLayer_khronos_validation.json" <<'JSON'
{ "file_format_version": "1.1.0",
  "layer": { "name": "VK_LAYER_KHRONOS_validation", "type": "GLOBAL", "api_version": "1.4.0",
    "library_path": "../libVkLayer_khronos_validation.so", "implementation_version": "1",
    "description": "Khronos validation layer",
    "instance_extensions": [ { "name": "VK_EXT_debug_utils", "spec_version": "2" },
      { "name": "VK_EXT_validation_features", "spec_version": "6" } ] } }
JSON
echo 'format=1' >"$new/STAMP"
size=$(du -sm "$deb" | cut -f1)
rm -rf "$dest"
mv "$new" "$dest"
note "$size MB fetched, $(du -sm "$dest" | cut -f1) MB on disk, $((SECONDS - start)) s"
