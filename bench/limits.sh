#!/bin/sh
# What a control group of its own costs a start: run in a guest with systemd, as a user, in the folder that is shared with it, which
# holds dugout, busybox.tar (an archive of an image called busybox) and this script.
#
#     vm-run --user alice --share DIR -- sh /mnt/share/limits.sh [ROUNDS]
rounds=${1:-11}
D=/mnt/share/dugout

# once COMMAND…: milliseconds
once() {
  a=$(date +%s%N)
  "$@" >/dev/null 2>&1 || echo "failed: $*" >&2
  b=$(date +%s%N)
  echo $(((b - a) / 1000000))
}

# a mount, so that none of them is remembered: the whole way is compared
plain="$D run --rm --network none -v /tmp:/x busybox true"
limited="$D run --rm --network none -v /tmp:/x -m 64m busybox true"
other="podman run --rm --network none -v /tmp:/x -m 64m busybox true"

$D load -qi /mnt/share/busybox.tar >/dev/null
podman load -qi /mnt/share/busybox.tar >/dev/null
for name in plain limited other; do
  eval "once \$$name" >/dev/null
done
i=0
while [ $i -lt "$rounds" ]; do
  # in turn, so that what else the machine does meets all of them
  for name in plain limited other; do eval "once \$$name" >>/tmp/$name; done
  i=$((i + 1))
done
for name in plain limited other; do
  echo "$name $(sort -n /tmp/$name | sed -n "$(((rounds + 1) / 2))p") ms, of $(sort -n /tmp/$name | tr '\n' ' ')"
done
