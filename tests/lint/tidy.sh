#!/bin/sh
# clang-tidy and cppcheck over the product code; any finding fails. Needs compile commands of a
# clang build: tests/lint/tidy.sh BUILD_DIRECTORY
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build/asan}
git ls-files 'connectors/*.c' 'server/*.c' 'handlers/*.c' |
    xargs -P "$(nproc)" -n 4 clang-tidy-14 --quiet -p "$build" 2>/dev/null |
    grep -E 'warning:|error:' && exit 1
cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr -j "$(nproc)" -I. -D_GNU_SOURCE \
    --enable=warning,performance,portability \
    --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=normalCheckLevelMaxBranches \
    --suppress=varFuncNullUB --suppress=nullPointerArithmeticRedundantCheck \
    connectors server handlers
echo "clang-tidy and cppcheck find nothing"
