#!/usr/bin/env bash
# The tests of S3 against a real server: Ceph's gateway, started on loopback and stopped again.
#
#   run.sh PYTHON [PYTEST ARGUMENTS]
set -euo pipefail
python=${1:?a python}
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(mktemp -d)
trap '"$here/radosgw.sh" stop "$folder" > /dev/null' EXIT

started=$("$here/radosgw.sh" start "$folder")
set -a
eval "$started"
set +a
echo "radosgw at $TRACELAKE_S3_ENDPOINT"
# Each second request of a run is one where it is cut or killed; in CI each fifth.
TRACELAKE_EVERY=${TRACELAKE_EVERY:-2} "$python" -m pytest "$here"/../test_s3_*.py "$@"
