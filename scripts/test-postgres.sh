#!/usr/bin/env bash
# Starts (or finds) the private PostgreSQL of the tests and prints its url: `test-postgres.sh start`. `stop` ends it.
# Its data is worth nothing, so it does not wait for the disk.
set -euo pipefail
cd "$(dirname "$0")/.."
state=${TMPDIR:-/tmp}/foggara-test-postgres-$(id -u)-$(pwd | cksum | cut -d' ' -f1)
exec 9>"$state.lock"
flock 9

# PostgreSQL refuses to run as root.
as_user() {
  if [ "$(id -u)" = 0 ]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else "$@"; fi
}

alive() { [ -s "$state/port" ] && as_user "$(cat "$state/bin")/pg_ctl" -D "$state/data" status >/dev/null 2>&1; }

case ${1:-start} in
stop)
  if alive; then as_user "$(cat "$state/bin")/pg_ctl" -D "$state/data" -m immediate stop >/dev/null; fi
  rm -rf "$state"
  ;;
start)
  if ! alive; then
    bin=$(scripts/setup-postgres.sh)
    rm -rf "$state"
    mkdir -p "$state/data"
    # The checkout may lie where another user cannot look.
    if ! as_user test -x "$bin/postgres" 2>/dev/null; then
      cp -r "${CARGO_TARGET_DIR:-target}/postgres" "$state/root"
      bin=$(find "$state/root" -path '*/bin/initdb' -print -quit | xargs dirname)
    fi
    root=${bin%/usr/lib/*}
    if [ -d "$root/usr/lib" ] && ldd "$bin/postgres" | grep -q 'not found'; then
      LD_LIBRARY_PATH=$(find "$root/usr/lib" -maxdepth 1 -type d -name '*-linux-gnu*' | paste -sd:)
      export LD_LIBRARY_PATH
    fi
    echo "$bin" >"$state/bin"
    if [ "$(id -u)" = 0 ]; then chown -R 65534:65534 "$state/data"; fi
    chmod 700 "$state/data"
    (cd "$state/data" && as_user "$bin/initdb" -D "$state/data" -U foggara -A trust -E UTF8 --locale=C --no-sync) >"$state/initdb.log" 2>&1 ||
      { cat "$state/initdb.log" >&2; exit 1; }
    port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    options="-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories='' -c fsync=off -c full_page_writes=off"
    options="$options -c max_connections=300 -c jit=off"
    (cd "$state/data" && as_user "$bin/pg_ctl" -D "$state/data" -l "$state/data/log" -o "$options" -w -t 60 start) 9>&- >"$state/start.log" 2>&1 ||
      { cat "$state/start.log" "$state/data/log" >&2; exit 1; }
    echo "$port" >"$state/port"
  fi
  echo "postgres://foggara@127.0.0.1:$(cat "$state/port")/postgres"
  ;;
*)
  echo "usage: test-postgres.sh start|stop" >&2
  exit 2
  ;;
esac
