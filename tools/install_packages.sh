#!/usr/bin/env bash
# tools/install_packages.sh product|tests|fuzz...
# Installs what is missing of the named lists through apt-get, as root or with sudo. Without either it names the missing
# packages with the line that installs them and stops. When nothing is missing it needs neither root nor network.
set -eu -o pipefail

# To build and run Hadal. ccache and mold only make builds faster; `hadal pull` trusts the hubs that ca-certificates
# vouch for.
product=(g++ cmake ninja-build pkg-config
  libsimdjson-dev libfmt-dev libxxhash-dev libssl-dev libpcre2-dev libutf8proc-dev libcli11-dev libedit-dev
  libcurl4-openssl-dev libboost1.81-dev prometheus-cpp-dev)
product_optional=(ccache mold ca-certificates)

# To run the tests. clang-format is pinned: each version formats a little differently.
tests=(libgtest-dev libgmock-dev libbenchmark-dev librapidcheck-dev)
tests_optional=(clang-format-14 groff-base)

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
is_known() { apt-cache show "$1" >/dev/null 2>&1; }

# One comparison test runs a JavaScript tokenizer; any Node from 18 on will do, also one that is no Debian package.
has_node() {
  command -v npm >/dev/null && [ "$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/;s/^$/0/')" -ge 18 ]
}

# clang 14, Debian 12's default, cannot compile <ranges> of libstdc++ 12 (docs/dependencies.md).
has_clang() {
  for version in 19 18 17 16; do
    ! is_installed "clang-$version" || ! is_installed "libclang-rt-$version-dev" || return 0
  done
  return 1
}
newest_clang() {
  for version in 19 18 17 16; do
    if is_known "clang-$version" && is_known "libclang-rt-$version-dev"; then
      echo "$version"
      return
    fi
  done
  echo 19
}

# Sets `missing` and `missing_optional` for the lists in "$@".
find_missing() {
  local wanted=() optional=() package version
  missing=() missing_optional=()
  for list in "$@"; do
    case $list in
      product) wanted+=("${product[@]}") optional+=("${product_optional[@]}") ;;
      tests)
        wanted+=("${tests[@]}") optional+=("${tests_optional[@]}")
        has_node || missing+=(nodejs npm)
        ;;
      fuzz)
        if ! has_clang; then
          version=$(newest_clang)
          missing+=("clang-$version" "libclang-rt-$version-dev")
        fi
        ;;
      *)
        echo "usage: tools/install_packages.sh product|tests|fuzz..." >&2
        exit 2
        ;;
    esac
  done
  for package in "${wanted[@]}"; do is_installed "$package" || missing+=("$package"); done
  for package in "${optional[@]}"; do is_installed "$package" || missing_optional+=("$package"); done
}

if ! command -v dpkg-query >/dev/null; then
  echo "This is no Debian or Ubuntu: nothing is installed. CMake names the libraries that it misses." >&2
  exit 0
fi
find_missing "$@"
[ ${#missing[@]} -gt 0 ] || [ ${#missing_optional[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  # Without a terminal there is nobody to type a password.
  if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    as_root=(sudo)
  elif [ ${#missing[@]} -eq 0 ]; then
    exit 0
  else
    echo "error: these packages are missing, and only root may install them: ${missing[*]}" >&2
    echo "  hint   as root:  apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
fi

echo "Installing: ${missing[*]} ${missing_optional[*]}" >&2
"${as_root[@]}" apt-get update -qq || echo "note: apt-get update failed; going on with the lists that are here" >&2
find_missing "$@"  # the newest clang that apt knows may be another one after the update
for package in "${missing_optional[@]}"; do
  if is_known "$package"; then missing+=("$package"); fi
done
[ ${#missing[@]} -gt 0 ] || exit 0
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
  apt-get install -y -qq --no-install-recommends "${missing[@]}")
if [ -t 2 ]; then
  "${install[@]}" >&2
elif ! log=$("${install[@]}" 2>&1); then
  echo "$log" >&2
  exit 1
fi
