#!/bin/bash
# Builds the fuzz targets and gives each SECONDS (default 10) of new inputs, starting from the kept
# corpus. A finding stays in the current directory as crash-*: it becomes a corpus file and a unit
# test with its fix.
#
#   tests/fuzz/short.sh [SECONDS] [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-10}
shift || true
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target fuzz_targets | tail -n 1
targets=${*:-$(cd build/fuzz/tests && ls -d fuzz_* | grep -v '\.')}
passed=0
found=$PWD/build/fuzz/findings
mkdir -p "$found"

fuzz() {
    local target=$1 work
    work=$(mktemp -d)
    if ! build/fuzz/tests/"$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$found/$target-" "$work" tests/fuzz/corpus/"${target#fuzz_}" \
        >"$work.log" 2>&1; then
        tail -n 40 "$work.log"
        echo "FOUND $target: see $found"
        return 1
    fi
    printf '%-28s %s\n' "$target" "$(grep -E 'number_of_executed_units' "$work.log" | tr -s ' ')"
    rm -rf "$work" "$work.log"
}

# As many at once as there are processors; each says how it went in a file of its own.
export -f fuzz
export seconds found
verdicts=$(mktemp -d)
export verdicts
# shellcheck disable=SC2016,SC2086
printf '%s\n' $targets | xargs -P "$(nproc)" -I{} bash -c 'fuzz {} && touch "$verdicts/{}"' || true
failed=0
for target in $targets; do
    if [ -e "$verdicts/$target" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
rm -rf "$verdicts"
echo "fuzzing: $passed targets without a finding, $failed with one"
[ "$failed" = 0 ]
