#!/usr/bin/env bash
# tools/run_tests.sh PRESET [CTEST_OPTION...]
# Runs the tests of one preset and says in the end what passed, what failed, what was skipped and why, and what took
# longest. The output of failed tests is shown whole; everything is in build/PRESET/junit.xml. Exit status: ctest's.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit
preset=$1
shift
junit=$PWD/build/$preset/junit.xml
rm -f "$junit"

# libedit keeps wide strings of its history until the process ends, which LeakSanitizer would call a leak of ours.
export LSAN_OPTIONS="suppressions=$PWD/tools/leaks.txt:print_suppressions=0"

# A page per test is noise: only what did not pass stays.
status=0
ctest --preset "$preset" --parallel "${JOBS:-$(nproc)}" --output-junit "$junit" "$@" 2>&1 |
  grep -vE '^ *(Start +[0-9]+:|[0-9]+/[0-9]+ Test +#.* Passed )|^Test project ' || status=${PIPESTATUS[0]}
[ "$status" -eq 0 ] || [ -f "$junit" ] || exit "$status"

echo "Slowest tests ($preset):"
sed -n 's/.*<testcase name="\([^"]*\)".* time="\([0-9.]*\)".*/\2 \1/p' "$junit" |
  sort -rn | head -n 5 | awk '{printf "  %6.1f s  %s\n", $1, $2}'
read -r passed failed skipped < <(tools/count_tests.sh "$junit")
echo "Tests ($preset): $passed passed, $failed failed, $skipped skipped"
exit "$status"
