#!/usr/bin/env bash
# interop.sh [BUILD]
#
# Our files and readers against the Python packages gguf, safetensors and tokenizers, in a virtual environment in .deps/interop
# that is made from PyPI when it is not there. BUILD: a build folder; default: build. Prints TAP; fails without PyPI.
set -euo pipefail
# shellcheck source=tools/lib.sh
. "$(dirname "$0")/lib.sh"

case ${1:-} in
    -h | --help) usage && exit 0 ;;
esac
build=${1:-$root/build}
venv=$deps/interop
wanted='gguf==0.19.* safetensors==0.8.* tokenizers==0.23.*'

if [[ ! -f $venv/.made || $(<"$venv/.made") != "$wanted" ]]; then
    rm -rf "$venv"
    mkdir -p "$deps"
    # Debian keeps what venv needs in a package of its own.
    quietly python3 -m venv "$venv" || {
        install_packages python3-venv >&2
        rm -rf "$venv"
        quietly python3 -m venv "$venv"
    }
    read -r -a packages <<<"$wanted"
    quietly "$venv/bin/pip" install --disable-pip-version-check --only-binary :all: "${packages[@]}" ||
        die "the packages could not be installed from PyPI, see above"
    printf '%s' "$wanted" >"$venv/.made"
fi

program=$(program_of "$build")
[[ -n $program ]] || die "$build holds no gsa-vk: build it first"
exec "$venv/bin/python" "$root/tests/interop/test_interop.py" "$program" "$root/tests/data"
