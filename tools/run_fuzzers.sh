#!/usr/bin/env bash
# tools/run_fuzzers.sh SECONDS [NAME...]
# Runs each fuzz target (or those named) for SECONDS from its kept corpus fuzz/corpus/NAME. New inputs go to
# build/fuzz/found/NAME, never into the kept corpus; what crashes lands in build/fuzz/crash/NAME. To keep what widened
# the coverage:  build/fuzz/fuzz/fuzz_NAME -merge=1 fuzz/corpus/NAME build/fuzz/found/NAME
# Writes "PASSED FAILED" to build/fuzz/counts.txt; exits 1 when a target failed.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit
seconds=$1
shift
out=build/fuzz
rm -f $out/counts.txt

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for source in fuzz/*_fuzz.cpp; do
    [ ! -e "$source" ] || names+=("$(basename "$source" _fuzz.cpp)")
  done
fi

passed=0 failed=0
for name in "${names[@]}"; do
  mkdir -p "$out/found/$name" "$out/crash/$name"
  options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
    -artifact_prefix="$out/crash/$name/")
  [ ! -f "fuzz/$name.dict" ] || options+=(-dict="fuzz/$name.dict")
  log=$out/$name.log
  started=$SECONDS
  if "$out/fuzz/fuzz_$name" "${options[@]}" "$out/found/$name" "fuzz/corpus/$name" >"$log" 2>&1; then
    passed=$((passed + 1)) verdict=passed
  else
    failed=$((failed + 1)) verdict=FAILED
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  echo "fuzz $name: $verdict, ${runs:-0} inputs in $((SECONDS - started)) s"
  [ "$verdict" = passed ] || tail -n 60 "$log"
done
echo "$passed $failed" >$out/counts.txt
echo "Fuzz targets: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
