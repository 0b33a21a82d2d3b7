#!/bin/sh
# From a fresh Debian 12 to a first sync: installs the build packages, builds, starts the service
# on loopback, describes a source, a destination and a connection over HTTP, runs a sync and shows
# its log as it happens. Run it again and it goes on from where the first sync ended.
#
#   ./quickstart.sh         listens on 127.0.0.1:8080 and keeps its files in ./data
#   PORT=9000 DATA=/tmp/demo ./quickstart.sh
#   ./quickstart.sh stop    stops the service that it started
set -eu
cd "$(dirname "$0")"
. tests/support/packages.sh

port=${PORT:-8080}
data=${DATA:-$PWD/data}
url=http://127.0.0.1:$port
pidfile=$data/connectord.pid

if [ "${1:-}" = stop ]; then
    [ -f "$pidfile" ] && kill "$(cat "$pidfile")" && rm -f "$pidfile" && echo "stopped"
    exit 0
fi

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }

step "1. Build packages"
# shellcheck disable=SC2086
install_packages $BUILD_PACKAGES $RUN_PACKAGES

step "2. Build"
cmake --preset release >/dev/null
cmake --build --preset release | tail -n 1

step "3. Start the service on $url"
mkdir -p "$data"
if curl -fs "$url/readyz" >/dev/null 2>&1; then
    echo "one is running already"
else
    nohup build/release/connectord serve --listen "127.0.0.1:$port" --data "$data/store" \
        >"$data/service.log" 2>&1 &
    echo $! >"$pidfile"
    tries=0
    until curl -fs "$url/readyz" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ] || ! kill -0 "$(cat "$pidfile")" 2>/dev/null; then
            cat "$data/service.log"
            exit 1
        fi
        sleep 0.05
    done
    echo "ready (log: $data/service.log)"
fi

put() { curl -fsS -X PUT -H 'Content-Type: application/json' -d "$2" "$url$1" >/dev/null && echo "PUT $1"; }

step "4. A source, a destination, a connection"
put /v1/sources/shop '{"connector": "sample", "config": {"rows": 5000}}'
put /v1/destinations/warehouse "{\"connector\": \"sqlite\", \"config\": {\"path\": \"$data/warehouse.db\"}}"
put /v1/connections/shop-to-warehouse '{
  "source": "shop", "destination": "warehouse",
  "streams": [
    {"name": "users", "sync_mode": "incremental", "destination_sync_mode": "append_dedup"},
    {"name": "products", "sync_mode": "incremental", "destination_sync_mode": "append_dedup"},
    {"name": "purchases", "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}
  ]}'

step "5. Sync, followed live"
curl -fsSN -X POST "$url/v1/connections/shop-to-warehouse/runs?follow=true&format=text"
curl -fsS -o /dev/null "$url/v1/connections/shop-to-warehouse/runs/latest/outcome"

step "6. What arrived in $data/warehouse.db"
sqlite3 "$data/warehouse.db" "select 'users', count(*) from users union all
    select 'products', count(*) from products union all select 'purchases', count(*) from purchases"

step "Next"
cat <<END
  ./quickstart.sh                                          run it again: only what changed moves
  curl '$url/v1/connectors?pretty'                         what can be connected
  curl '$url/v1/connections/shop-to-warehouse/runs?pretty' every run with exact counts
  curl '$url/v1/connections/shop-to-warehouse/state?pretty'
  sqlite3 $data/warehouse.db 'select * from users limit 5'
  ./quickstart.sh stop                                     stop the service
END
