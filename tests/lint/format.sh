#!/bin/sh
# Every C file is as clang-format 14 would write it.
set -eu
cd "$(dirname "$0")/../.."
git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format-14 --dry-run --Werror
echo "formatted"
