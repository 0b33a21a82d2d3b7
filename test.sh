#!/bin/bash
# Installs what the tests need and runs them: unit, golden, torture, conformance, integration,
# crash and stress tests under sanitizers, and the lints. Ends with ctest's own summary; the exit
# status is the verdict.
#
#   ./test.sh            everything
#   ./test.sh quick      the inner loop: gcc build, unit tests and lints
set -euo pipefail
cd "$(dirname "$0")"
. tests/support/packages.sh
# shellcheck disable=SC2086
install_packages $BUILD_PACKAGES $RUN_PACKAGES $TEST_PACKAGES

export CTEST_OUTPUT_ON_FAILURE=1
jobs=$(nproc)

# Prints what the compiler said only when it refused.
build() {
    cmake --preset "$1" >/dev/null
    if ! cmake --build --preset "$1" >build/"$1".log 2>&1; then
        cat build/"$1".log
        return 1
    fi
    tail -n 1 build/"$1".log
}

if [ "${1:-}" = quick ]; then
    build dev
    exec ctest --test-dir build/dev -j "$jobs" -L 'unit|golden|lint' --progress
fi

stage() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

stage "build: asan (with fail points), tsan, release"
for preset in asan tsan release; do
    build "$preset"
done

stage "threads under ThreadSanitizer"
ctest --test-dir build/tsan -L stress --no-tests=error

stage "gcc -fanalyzer, clang-tidy, cppcheck"
build analyze
tests/lint/tidy.sh build/asan

stage "everything else under AddressSanitizer and UBSan"
CONNECTORD_RELEASE=$PWD/build/release/connectord \
    ctest --test-dir build/asan -j "$jobs" -LE stress --no-tests=error
