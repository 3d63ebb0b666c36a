#!/usr/bin/env bash
# tools/build.sh PRESET TARGET [CMAKE_OPTION...]
# Configures and builds one preset. On a terminal one line shows the progress; elsewhere only warnings and errors and
# the time taken are printed. CMake's chatter is dropped, its errors are not.
set -eu -o pipefail
cd "$(dirname "$0")/.."
preset=$1 target=$2
shift 2

started=$SECONDS
echo "Building $target ($preset) ..." >&2
cmake --preset "$preset" "$@" >/dev/null
quiet=(--quiet)
[ ! -t 1 ] || quiet=()
NINJA_STATUS='[%f/%t] ' cmake --build "build/$preset" --target "$target" --parallel "${JOBS:-$(nproc)}" -- "${quiet[@]}"
echo "Built $target ($preset) in $((SECONDS - started)) s." >&2
