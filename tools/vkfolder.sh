#!/usr/bin/env bash
# vkfolder.sh [--drivers] [--suite NAME] [--force] [DEST]
#
# Makes a private folder (default: .deps/vk) with newer shader compilers and Vulkan headers than Debian 12 has, from
# Debian's own archive. No package of the host is touched: the folder brings its own C library. Needs apt-get, dpkg-deb
# and the network; runs as root or as any user. Nothing is done when the folder is there and has what was asked for.
#
#   --drivers     also Mesa's newest CPU and GPU drivers (lavapipe, RADV, NVK, ANV, ...) and DRM shims: for the tests
#   --layers      also Khronos' validation layer
#   --suite NAME  where the compilers come from: trixie (default) or sid (adds bfloat16 and float8, but changes daily)
#   --force       make it anew
#   VK_MIRROR     the Debian mirror to use; default: the one in this machine's apt configuration
#
#   DEST/bin/glslc, glslangValidator, spirv-val, spirv-opt, spirv-dis, ...   usable from the host
#   DEST/usr/include/vulkan, volk.h, volk.c                                 cc -I DEST/usr/include
#   DEST/bin/vkrun [-d lvp|radeon|nouveau|intel|freedreno|asahi] [-s amdgpu|nouveau|freedreno|asahi] PROGRAM...
#                 runs a program of the host under DEST's C library, Vulkan loader and driver (with --drivers)
#   DEST/VERSIONS what is inside
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

suite=trixie base=trixie drivers=no layers=no force=no dest=$deps/vk
while [[ $# -gt 0 ]]; do
    case $1 in
        --drivers) drivers=yes ;;
        --layers) layers=yes ;;
        --suite) suite=${2:?--suite needs a name} && shift ;;
        --force) force=yes ;;
        -h | --help) usage && exit 0 ;;
        -*) usage >&2 && exit 2 ;;
        *) dest=$1 ;;
    esac
    shift
done

# STAMP is written last; it holds what the folder was made from, one word a line.
has() { grep -qsx "$1" "$dest/STAMP"; }
if [[ $force == no ]] && has "format=1" && has "suite=$suite" && { [[ $drivers == no ]] || has drivers; } &&
    { [[ $layers == no ]] || has layers; }; then
    note "$dest is there ($(tr '\n' ' ' <"$dest/STAMP"))"
    exit 0
fi
# What an older folder had is kept in the new one.
if has drivers; then drivers=yes; fi
if has layers; then layers=yes; fi

for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || die "no $tool here: this needs Debian 12 or later, or a system with apt"
done
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -f $keyring ]] || die "$keyring is missing: install the package debian-archive-keyring"

mirror=$(debian_mirror)

mkdir -p "$(dirname "$dest")"
dest=$(cd "$(dirname "$dest")" && pwd -P)/$(basename "$dest")
work=$(mktemp -d)
new=$dest.new.$$
trap 'rm -rf "$work" "$new"' EXIT
mkdir -p "$work"/{lists,archives}/partial "$work/pref.d" "$new/bin"
: >"$work/status" # an empty package database: every dependency is fetched, none is taken from the host
printf 'Package: *\nPin: release n=sid\nPin-Priority: 50\n' >"$work/pref"

apt=(apt-get -q -y -o "Dir::Etc::sourcelist=$work/list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::Etc::preferences=$work/pref" -o "Dir::Etc::preferencesparts=$work/pref.d"
    -o "Dir::State::lists=$work/lists" -o "Dir::State::status=$work/status"
    -o "Dir::Cache=$work" -o "Dir::Cache::archives=$work/archives"
    -o APT::Sandbox::User= -o APT::Install-Recommends=0 -o Acquire::Languages=none -o Acquire::Retries=3
    -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
    -o Acquire::IndexTargets::deb::Contents-deb-legacy::DefaultEnabled=false -o Debug::NoLocking=1)

# update SUITE... : signed lists of these suites, kept apart from the machine's own.
update() {
    local s
    for s in "$@"; do printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$s"; done | sort -u >"$work/list"
    quietly "${apt[@]}" update --error-on=any
}

mesa=$base-backports
start=$SECONDS
say "newer shader compilers$([[ $drivers == no ]] || echo ' and drivers') from $suite into $dest"
if [[ $drivers == no ]]; then
    update "$base" "$suite" || die "cannot read the package lists of $suite from the mirror (see above)"
elif ! update "$base" "$suite" "$mesa"; then
    note "no $mesa on this mirror: taking Mesa from $base"
    mesa=$base
    update "$base" "$suite" || die "cannot read the package lists of $suite from the mirror (see above)"
fi
packages=("glslc/$suite" "libshaderc1/$suite" "glslang-tools/$suite" "spirv-tools/$suite" "libvulkan-volk-dev/$suite"
    "libvulkan1/$suite" "libc6/$base")
[[ $drivers == no ]] || packages+=("mesa-vulkan-drivers/$mesa" "mesa-drm-shim/$mesa" vulkan-tools)
[[ $layers == no ]] || packages+=("vulkan-validationlayers/$suite")
quietly "${apt[@]}" -d install "${packages[@]}" || die "cannot fetch the packages (see above)"
# Only its headers are wanted; its dependency is python.
(cd "$work/archives" && quietly "${apt[@]}" download "libvulkan-dev/$suite") || die "cannot fetch the Vulkan headers"

for deb in "$work"/archives/*.deb; do
    dpkg-deb -x "$deb" "$new"
    # shellcheck disable=SC2016 # the format is dpkg's
    dpkg-deb -W --showformat='${Package} ${Version}\n' "$deb"
done >"$new/VERSIONS"
note "$(wc -l <"$new/VERSIONS") packages, $(du -sm "$work/archives" | cut -f1) MB fetched"
# The link /lib -> usr/lib comes with the base system only; newer packages put all below usr.
libdir=$(cd "$new" && for f in usr/lib/*-linux-gnu*/ld-linux*.so.*; do dirname "$f"; done | head -n 1)
loader=$(cd "$new" && for f in "$libdir"/ld-linux*.so.*; do echo "$f"; done | head -n 1)
[[ -f $new/$loader ]] || die "no dynamic loader in the C library's package: cannot use it"
(cd "$new" && rm -rf usr/share/{doc,man,locale,lintian,gdb,bug,info,i18n,zoneinfo} usr/sbin var etc "$libdir/gconv")

# Wrappers find the folder from their own place, so that it can be moved.
# shellcheck disable=SC2016 # expanded when a wrapper runs
wrapper() {
    printf '%s\n' '#!/bin/sh' 'D=$(dirname "$(dirname "$(readlink -f "$0")")")' "L=\$D/$libdir" "ld=\$D/$loader"
    cat
}
for tool in glslc glslangValidator glslang spirv-val spirv-opt spirv-dis spirv-as spirv-link spirv-cross; do
    [[ -e $new/usr/bin/$tool ]] || continue
    wrapper <<<"exec \"\$ld\" --library-path \"\$L\" \"\$D/usr/bin/$tool\" \"\$@\"" >"$new/bin/$tool"
done
if [[ $drivers == yes ]]; then
    wrapper >"$new/bin/vkrun" <<'RUN'
# vkrun [-d driver] [-s shim] PROGRAM... : a program of the host under this folder's C library, Vulkan loader and driver.
# VKRUN tells the program how to start others the same way. A script is started as it is: its interpreter stays the host's.
d=lvp p=
while :; do
    case $1 in
        -d) d=$2; shift 2 ;;
        -s) p="$L/lib$2_noop_drm_shim.so"; shift 2 ;;
        *) break ;;
    esac
done
prog=$(command -v "$1") || { echo "vkrun: $1: not found" >&2; exit 127; }
shift
export VKRUN="$D/bin/vkrun"
case $(head -c 2 "$prog") in '#!') exec "$prog" "$@" ;; esac
export VK_DRIVER_FILES="$D/icd/$d.json" VK_ICD_FILENAMES="$D/icd/$d.json"
[ ! -d "$D/layer.d" ] || export VK_LAYER_PATH="${VK_LAYER_PATH:-$D/layer.d}"
exec "$ld" --library-path "$L" ${p:+--preload "$p"} "$prog" "$@"
RUN
    # shellcheck disable=SC2016
    wrapper <<<'exec "$D/bin/vkrun" "$D/usr/bin/vulkaninfo" "$@"' >"$new/bin/vulkaninfo"
fi
chmod +x "$new"/bin/*

# relocate FILE : the manifest with its library named relative to the manifest's own folder.
relocate() { sed -E "s#\"library_path\": *\"([^\"/]*/)*([^\"/]+)\"#\"library_path\": \"../$libdir/\2\"#" "$1"; }
if [[ $drivers == yes ]]; then
    mkdir -p "$new/icd"
    for json in "$new"/usr/share/vulkan/icd.d/*.json; do
        name=$(basename "$json" .json)
        relocate "$json" >"$new/icd/${name%%_icd*}.json"
    done
fi
if [[ $layers == yes ]]; then
    mkdir -p "$new/layer.d"
    for json in "$new"/usr/share/vulkan/explicit_layer.d/*validation*.json; do
        relocate "$json" >"$new/layer.d/$(basename "$json")"
    done
fi

{
    printf 'format=1\nsuite=%s\n' "$suite"
    [[ $drivers == no ]] || echo drivers
    [[ $layers == no ]] || echo layers
} >"$new/STAMP"
"$new/bin/glslc" --version >/dev/null || die "the unpacked glslc does not start"
rm -rf "$dest"
mv "$new" "$dest"
note "$(du -sm "$dest" | cut -f1) MB on disk, $((SECONDS - start)) s: $("$dest/bin/glslc" --version | head -n 1)"
