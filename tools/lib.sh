# shellcheck shell=bash
# Shared by the scripts of this folder; sourced, never run. Expects `set -euo pipefail` in the caller.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
deps=$root/.deps
: "${root:?}" "${deps:?}"
export DEBIAN_FRONTEND=noninteractive
export GSA_STARTED=${GSA_STARTED:-$(date +%s)} # of the outermost script

say() { printf '==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
elapsed() { echo "$(($(date +%s) - GSA_STARTED))"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# The comment block at the head of a script is its help text.
usage() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"; }

# timed WHAT COMMAND... : says what is done and how long it took.
timed() {
    local what=$1 start=$SECONDS
    shift
    say "$what"
    "$@" || return
    note "done in $((SECONDS - start)) s"
}

# quietly COMMAND... : its output is shown only if it fails.
quietly() {
    local log rc=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || rc=$?
    [[ $rc -eq 0 ]] || cat "$log" >&2
    rm -f "$log"
    return "$rc"
}

missing_packages() {
    local p
    for p in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true) == installed ]] || printf '%s\n' "$p"
    done
}

# install_packages PACKAGE... : those which are missing, by apt; without root it names the command and fails.
install_packages() {
    local -a missing
    command -v dpkg-query >/dev/null || { note "no dpkg here: taking these as installed: $*" && return 0; }
    mapfile -t missing < <(missing_packages "$@")
    if [[ ${#missing[@]} -eq 0 ]]; then
        note "already installed: $*"
        return 0
    fi
    if [[ $EUID -ne 0 ]]; then
        printf '%s: not root, and packages are missing. Run:\n  sudo apt-get install --no-install-recommends %s\n' \
            "${0##*/}" "${missing[*]}" >&2
        return 1
    fi
    if [[ -z ${apt_updated:-} ]]; then
        quietly apt-get -q -o Acquire::Retries=3 -o Acquire::Languages=none update || return 1
        apt_updated=1
    fi
    note "installing: ${missing[*]}"
    local log
    log=$(mktemp)
    # Syncing each unpacked file to disk is what an apt run in a fresh container spends most of its time on.
    if ! apt-get -q -y -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-unsafe-io \
        install --no-install-recommends "${missing[@]}" >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
    sed -n 's/^\(Need to get\|After this operation,\)/    &/p' "$log"
    rm -f "$log"
}

# configure DIR MESON_OPTION... : meson setup, repeated only when the options differ from last time.
configure() {
    local dir=$1
    shift
    if [[ -f $dir/build.ninja && -f $dir/.configured && $(<"$dir/.configured") == "$*" ]]; then
        note "$dir is configured"
        return 0
    fi
    local -a again=()
    [[ ! -f $dir/build.ninja ]] || again=(--reconfigure)
    meson setup "${again[@]}" "$dir" "$root" "$@" </dev/null
    printf '%s' "$*" >"$dir/.configured"
}

# The program of a build folder, or nothing.
program_of() {
    local p
    for p in "$1/tools/gsa-vk/gsa-vk" "$1/gsa-vk"; do
        if [[ -f $p && -x $p ]]; then
            printf '%s\n' "$p"
            return 0
        fi
    done
}

# debian_mirror : $VK_MIRROR, or the mirror that already serves this machine's main archive. Before a first `apt-get update`
# no origin is known, and the first one which looks like it is taken.
debian_mirror() {
    # shellcheck disable=SC2016 # the format is apt's
    local format='$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' mirror=${VK_MIRROR:-}
    [[ -n $mirror ]] || mirror=$({
        apt-get indextargets --format "$format" 'Created-By: Packages' |
            awk -F '|' '$1 == "Debian" && $2 == "Debian" && $3 == "main" && !n++ { print $4 }'
        apt-get indextargets --no-release-info --format "$format" 'Created-By: Packages' |
            awk -F '|' '$3 == "main" && tolower($4) ~ /debian/ && $4 !~ /security/ && !n++ { print $4 }'
    } | sed -n 1p)
    [[ -n $mirror ]] || die "no Debian mirror in this machine's apt configuration: set VK_MIRROR to one"
    printf '%s\n' "$mirror"
}
