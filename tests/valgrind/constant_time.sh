#!/bin/sh
# T-CT: what is compared in constant time passes, and what is not is seen. $1 is the program.
command -v valgrind >/dev/null || { echo "skipped: there is no valgrind"; exit 77; }
run() { valgrind --quiet --error-exitcode=9 "$@"; }
run "$1" || { echo "a secret shows in the time that is taken, or the program failed"; exit 1; }
run "$1" leaky >/dev/null 2>&1
[ $? -eq 9 ] || { echo "a comparison that stops at the first difference was not seen"; exit 1; }
echo "constant time; a leaky comparison was seen"
