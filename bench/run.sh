#!/usr/bin/env bash
# run.sh [start | version | pull | memory | large | detached | exec | ps | net]…: builds dugout, prepares the machine (as root: tests/setup), and measures beside the
# peers as the user dug-sub. Prints Markdown; bench/README.md keeps what it printed. BENCH_ROUNDS sets the number of rounds.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022

node dist/build.mjs >&2
# shellcheck source=tests/setup/stage.sh
. tests/setup/stage.sh
started=
disk=
clean() {
  if [[ -n $disk ]]; then
    stop_podman || true
    umount "$disk" || true
    rmdir "$disk" || true
  fi
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
# podman's process that holds its namespaces would neither see a file system that is mounted later, nor let go of one
stop_podman() { "${become[@]}" podman system migrate >/dev/null 2>&1; }

# A file system of our own: on one without a journal (the machine's, perhaps) the making of a file takes the longer the more
# files anybody has removed within the last minutes, which hits contenders by turns.
make_disk() {
  local device
  truncate -s 12G "$work/disk.img"
  mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$work/disk.img"
  disk=$(mktemp -d /tmp/bench.XXXX) # podman takes no runroot of more than 50 characters
  device=$(losetup --direct-io=on --find --show "$work/disk.img")
  mount "$device" "$disk"
  losetup --detach "$device" # when it is unmounted
  install -d -o dug-sub "$disk/user"
  stop_podman
  become+=(BENCH_DISK="$disk/user")
}

if (($# == 0)); then set -- version start pull memory large detached exec ps net; fi
if ((EUID == 0)) && [[ " $* " == *" pull "* ]]; then make_disk; fi
cd "$work/sources"
for name in "$@"; do
  timeout 1200 "${become[@]}" DUGOUT_TEST_BINARY="$DUGOUT_TEST_BINARY" ${BENCH_ROUNDS:+BENCH_ROUNDS="$BENCH_ROUNDS"} ${BENCH_IDLE:+BENCH_IDLE="$BENCH_IDLE"} \
    "$work/sources/node_modules/.bin/bun" "bench/$name.ts" </dev/null
done
