#!/usr/bin/env bash
# tools/count_tests.sh JUNIT.xml: prints "PASSED FAILED SKIPPED" of one ctest run.
set -eu
header=$(grep -m1 -A6 '<testsuite ' "$1" | tr '\n\t' '  ')
count() { sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$header"; }
tests=$(count tests) failed=$(count failures) skipped=$(count skipped) disabled=$(count disabled)
echo "$((tests - failed - skipped - disabled)) $failed $((skipped + disabled))"
