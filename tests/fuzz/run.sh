#!/usr/bin/env bash
# Builds the extensions with AddressSanitizer and UBSan under fuzz-build/ (the ordinary build is
# left alone) and fuzzes the parsers: run.sh PYTHON SECONDS [further arguments of fuzz.py]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
seconds=$2
shift 2

echo "building with AddressSanitizer"
TRACELAKE_SANITIZE=1 "$python" setup.py --quiet build \
    --build-base fuzz-build/build --build-lib fuzz-build/lib

# The sanitizers' libraries must be there before Python is; Python's own allocator would hide
# reads beyond a block; leaks at exit are the interpreter's.
export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
export PYTHONPATH=$PWD/fuzz-build/lib PYTHONMALLOC=malloc
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1:hard_rss_limit_mb=4096
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
exec "$python" -m tests.fuzz.fuzz --seconds "$seconds" "$@"
