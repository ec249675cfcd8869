#!/usr/bin/env bash
# intelshim.sh [DEST]
#
# Builds Mesa's shim that stands in for an Intel GPU (Debian packages those of other vendors only) and puts it beside them
# into a folder made by tools/vkfolder.sh --drivers (default: .deps/vk), so that Intel's compiler runs without hardware.
# Takes Mesa 25.0.7's source from Debian's mirror and builds one target of it, about two minutes; serves newer Mesas, too.
# Needs gcc, apt-get, the network, and PyPI for meson and mako, which are kept apart. Nothing is installed.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

dest=$deps/vk
case ${1:-} in
    -h | --help) usage && exit 0 ;;
    -*) usage >&2 && exit 2 ;;
    ?*) dest=$1 ;;
esac
libdir=$(dirname "$(find "$dest" -name libamdgpu_noop_drm_shim.so | head -n 1)")
[[ -n $libdir && $libdir != . ]] || die "$dest has no shims: make it with tools/vkfolder.sh --drivers"
[[ ! -e $libdir/libintel_noop_drm_shim.so ]] || { note "$libdir/libintel_noop_drm_shim.so is there" && exit 0; }

version=25.0.7 sum=592272df3cf01e85e7db300c449df5061092574d099da275d19e97ef0510f8a6
mirror=$(debian_mirror)
url=${mirror%/}/pool/main/m/mesa/mesa_$version.orig.tar.xz
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say "Mesa's shim for Intel, from the source of $version"
cd "$work"
quietly curl -sSfL -o mesa.tar.xz "$url" || die "cannot fetch $url (see above)"
[[ $(sha256sum mesa.tar.xz) == "$sum "* ]] || die "$url: the sum differs from the one this script knows"
tar -xf mesa.tar.xz
mkdir debs root
(cd debs && quietly apt-get -q -o APT::Sandbox::User=root download libdrm-dev libdrm2 libdrm-intel1 libpciaccess-dev \
    libexpat1-dev zlib1g-dev bison flex libfl-dev m4) || die "cannot fetch packages (see above)"
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
python3 -m venv --system-site-packages venv
quietly venv/bin/pip -q install 'meson<1.8' mako packaging pyyaml || die "cannot fetch meson and mako from PyPI"

export PATH=$work/venv/bin:$work/root/usr/bin:$PATH CPATH=$work/root/usr/include
export BISON_PKGDATADIR=$work/root/usr/share/bison M4=$work/root/usr/bin/m4
PKG_CONFIG_PATH=$(dirname "$(find root -name libdrm.pc)")
export PKG_CONFIG_PATH=$work/$PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR=$work/root
quietly meson setup build "mesa-$version" -Dtools=drm-shim,intel -Dgallium-drivers= -Dvulkan-drivers= -Dplatforms= \
    -Dglx=disabled -Degl=disabled -Dgbm=disabled -Dopengl=false -Dgles1=disabled -Dgles2=disabled -Dllvm=disabled \
    -Dshared-glapi=disabled -Dintel-clc=system -Dvalgrind=disabled -Dlibunwind=disabled -Dzstd=disabled \
    -Dbuildtype=release || die "Mesa cannot be configured (see above)"
quietly ninja -C build src/intel/tools/libintel_noop_drm_shim.so || die "the shim cannot be built (see above)"
cp build/src/intel/tools/libintel_noop_drm_shim.so "$libdir/"
note "$libdir/libintel_noop_drm_shim.so"
