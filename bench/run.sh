#!/usr/bin/env bash
# run.sh [start | version | pull | memory | large | detached | exec | ps]…: builds dugout, prepares the machine (as root: tests/setup), and measures beside the
# peers as the user dug-sub. Prints Markdown; bench/README.md keeps what it printed. BENCH_ROUNDS sets the number of rounds.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022

node dist/build.mjs >&2
# shellcheck source=tests/setup/stage.sh
. tests/setup/stage.sh
started=
clean() {
  if [[ -n $started ]]; then bash tests/setup/setup.sh stop || true; fi
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if ! bash tests/setup/setup.sh running; then started=yes; fi
bash tests/setup/setup.sh start >&2
stage

become=(env "PATH=$work/sources/node_modules/.bin:$PATH")
if ((EUID == 0)); then
  id=$(id -u dug-sub)
  become=(setpriv --reuid="$id" --regid="$(id -g dug-sub)" --init-groups -- env -i HOME=/home/dug-sub USER=dug-sub LANG=C.UTF-8
    XDG_RUNTIME_DIR="/run/user/$id" PATH="$work/sources/node_modules/.bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
fi
if (($# == 0)); then set -- version start pull memory large detached exec ps; fi
cd "$work/sources"
for name in "$@"; do
  timeout 1200 "${become[@]}" DUGOUT_TEST_BINARY="$DUGOUT_TEST_BINARY" ${BENCH_ROUNDS:+BENCH_ROUNDS="$BENCH_ROUNDS"} ${BENCH_IDLE:+BENCH_IDLE="$BENCH_IDLE"} \
    "$work/sources/node_modules/.bin/bun" "bench/$name.ts" </dev/null
done
