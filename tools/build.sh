#!/usr/bin/env bash
# tools/build.sh PRESET TARGET [CMAKE_OPTION...]
# Configures (where it must or options are given) and builds one preset. All output goes to standard error: on a
# terminal one line shows the progress; elsewhere only warnings, errors and the time taken are printed.
set -eu -o pipefail
cd "$(dirname "$0")/.."
preset=$1 target=$2
shift 2

started=$SECONDS
echo "Building $target ($preset) ..." >&2
# CMake's chatter is dropped, its errors are not. Later builds configure again by themselves when a file asks for it.
if [ $# -gt 0 ] || [ ! -f "build/$preset/build.ninja" ]; then
  cmake --preset "$preset" "$@" >/dev/null
fi
quiet=()
[ -t 2 ] || quiet=(--quiet)
export NINJA_STATUS='[%f/%t] '
cmake --build "build/$preset" --target "$target" --parallel "${JOBS:-$(nproc)}" -- "${quiet[@]}" >&2
echo "Built $target ($preset) in $((SECONDS - started)) s." >&2
