#!/usr/bin/env bash
# compile-stats.sh [--targets LIST] [--types LIST] [--mask LIST] [--shape NAME] [--full] [BUILD [VKFOLDER]]
#
# What Mesa's vendor compilers make of the main kernels, without the hardware: registers, spills, shared memory, occupancy
# as a Markdown table. A model's first layer is loaded on a stand-in for each device (Mesa's DRM shims), so that every
# pipeline is the one the library would create there; nothing is computed.
#
#   --targets  of: rdna2 rdna3 rdna4 xe2 xehpg xe adreno7 ampere (all; Intel's need tools/intelshim.sh once)
#   --types    weight types (f16,q8_0,q4_0,q4_k,q6_k)
#   --mask     capabilities and kernels to hide, as gsa-vk's --mask
#   --shape    of a synthetic model (1.3b)
#   --full     one line for each pipeline, with its specialization constants and all the driver tells
#   BUILD      a build folder (build); VKFOLDER: made by tools/vkfolder.sh --drivers (.deps/vk)
#
# A cell holds the worst of the kernel's pipelines: registers of 32 bits that an invocation has, spills as the compiler
# counts them, shared KiB, and how many subgroups a core runs at once (AMD: a SIMD, NVIDIA: an SM), or for Intel the size of a
# subgroup. - means that the driver does not tell.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

targets=rdna2,rdna3,rdna4,xe2,xehpg,xe,adreno7,ampere types=f16,q8_0,q4_0,q4_k,q6_k mask='' shape=1.3b full=no
while [[ $# -gt 0 ]]; do
    case $1 in
        --targets) targets=${2:?--targets needs a list} && shift ;;
        --types) types=${2:?--types needs a list} && shift ;;
        --mask) mask=${2:?--mask needs a list} && shift ;;
        --shape) shape=${2:?--shape needs a name} && shift ;;
        --full) full=yes ;;
        -h | --help) usage && exit 0 ;;
        -*) usage >&2 && exit 2 ;;
        *) break ;;
    esac
    shift
done
build=${1:-$root/build} folder=${2:-$deps/vk}
[[ -x $folder/bin/vkrun ]] || die "$folder has no drivers: make it with tools/vkfolder.sh --drivers"
quietly ninja -C "$build" kernel_stats || die "cannot build kernel_stats (see above)"

# driver, shim, what the stand-in is to be
declare -A target_of=(
    [rdna2]="radeon amdgpu AMDGPU_GPU_ID=navi21" [rdna3]="radeon amdgpu AMDGPU_GPU_ID=navi31"
    [rdna4]="radeon amdgpu AMDGPU_GPU_ID=gfx1201" [xe2]="intel intel INTEL_STUB_GPU_PLATFORM=lnl"
    [xehpg]="intel intel INTEL_STUB_GPU_PLATFORM=dg2" [xe]="intel intel INTEL_STUB_GPU_PLATFORM=tgl"
    [adreno7]="freedreno freedreno FD_GPU_ID=740" [ampere]="nouveau nouveau NOUVEAU_CHIPSET=172")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for target in ${targets//,/ }; do
    [[ -n ${target_of[$target]:-} ]] || die "unknown target $target (see --help)"
    read -r driver shim setting <<<"${target_of[$target]}"
    for type in ${types//,/ }; do
        env MESA_SHADER_CACHE_DISABLE=true "$setting" "$folder/bin/vkrun" -d "$driver" -s "$shim" "$build/kernel_stats" \
            "" "$mask" "$shape" "$type" >"$work/out" 2>"$work/err" ||
            die "$target, $type: $(tail -n 1 "$work/err")"
        sed -n "s/^statistics of kernel /$target: /p" "$work/out" >>"$work/all"
    done
done
if [[ $full == yes ]]; then
    sort -u "$work/all"
else
    python3 "$root/tools/compile_stats.py" "$targets" "$work/all"
fi
