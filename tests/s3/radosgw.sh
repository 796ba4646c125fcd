#!/usr/bin/env bash
# Ceph's S3 gateway on loopback, with one monitor and one object store in memory, for tests.
#
#   radosgw.sh start FOLDER    installs it (Debian: apt-get, as root) and starts it; prints its
#                              address and keys as lines for a shell
#   radosgw.sh stop FOLDER     ends what was started there, and removes the folder
set -euo pipefail

ACCESS=tracelaketest
SECRET=tracelaketestsecret
command=${1:?start or stop}
folder=${2:?a folder of its own}

packages() {
    if command -v radosgw ceph-mon ceph-osd ceph radosgw-admin > /dev/null; then return; fi
    echo "installing radosgw" >&2
    apt-get install -y --no-install-recommends \
        radosgw ceph-mon ceph-osd ceph-mgr ceph-common >&2
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Waits until a command succeeds, 60 seconds at most.
until_true() {
    local end=$((SECONDS + 60))
    while ((SECONDS < end)); do
        if timeout 5 "$@" > /dev/null 2>&1; then return; fi
        sleep 0.2
    done
    echo "radosgw.sh: gave up on: $*" >&2
    tail -n 5 "$folder"/*.log >&2
    exit 1
}

configuration() {
    cat << EOF
[global]
fsid = $(python3 -c 'import uuid; print(uuid.uuid4())')
mon host = [v2:127.0.0.1:$1]
public addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail crit = 0
osd objectstore = memstore
memstore device bytes = 4294967296
osd class load list = *
run dir = $folder
pid file = $folder/\$name.pid
admin socket = $folder/\$name.asok
log file = $folder/\$name.log
mon data = $folder/mon
osd data = $folder/osd
mgr data = $folder/mgr
rgw data = $folder/rgw
crash dir = $folder
ms mon client mode = crc
rgw enable usage log = false
rgw max multipart upload parts = 10000
EOF
}

start() {
    packages
    mkdir -p "$folder"/{mon,osd,mgr,rgw}
    folder=$(cd "$folder" && pwd)
    local monitor gateway
    monitor=$(free_port)
    gateway=$(free_port)
    export CEPH_CONF=$folder/ceph.conf
    configuration "$monitor" > "$CEPH_CONF"
    monmaptool --create --addv a "[v2:127.0.0.1:$monitor]" \
        --fsid "$(awk '/^fsid/ { print $3 }' "$CEPH_CONF")" "$folder/map" > /dev/null
    ceph-mon --mkfs -i a --monmap "$folder/map" 2>> "$folder/start.log"
    ceph-mon -i a 2>> "$folder/start.log"
    until_true ceph --connect-timeout 3 status
    ceph osd create > /dev/null 2>> "$folder/start.log"
    ceph-osd --mkfs -i 0 2>> "$folder/start.log"
    ceph-osd -i 0 2>> "$folder/start.log"
    ceph osd crush add osd.0 1.0 root=default host=here 2>> "$folder/start.log"
    until_true sh -c 'ceph osd stat | grep -q "1 up"'
    radosgw -n client.rgw --rgw-frontends "beast endpoint=127.0.0.1:$gateway" \
        2>> "$folder/start.log"
    until_true python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$gateway', timeout=2)"
    radosgw-admin user create --uid test --display-name test --access-key "$ACCESS" \
        --secret-key "$SECRET" --caps "roles=*" > /dev/null 2>> "$folder/start.log"
    echo "TRACELAKE_S3_ENDPOINT=http://127.0.0.1:$gateway"
    echo "TRACELAKE_S3_ACCESS_KEY=$ACCESS"
    echo "TRACELAKE_S3_SECRET_KEY=$SECRET"
}

stop() {
    for file in "$folder"/*.pid; do
        [ -e "$file" ] || continue
        pid=$(cat "$file")
        kill "$pid" 2> /dev/null || true
        for _ in $(seq 50); do
            kill -0 "$pid" 2> /dev/null || break
            sleep 0.1
        done
        kill -9 "$pid" 2> /dev/null || true
    done
    rm -rf "$folder"
}

"$command"
