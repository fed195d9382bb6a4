#!/bin/sh
# Runs inside a guest, as root, from the shared folder: the checks of kernels_test.ts as each kind of user. Prints one line a
# check, `USER NAME: ok` or `USER NAME: FAILED` and what was printed; ends with `all checks ran`.
share=/mnt/share
dugout=$share/dugout
image=busybox

# as USER COMMAND…: in the user's own control group, with a fresh environment, as after a login
as() {
  user=$1
  shift
  id=$(id -u "$user")
  group=/sys/fs/cgroup/user-$user
  # as long as there are containers with limits, that has groups alone
  test ! -d $group/dugout-callers || group=$group/dugout-callers
  sh -c 'echo $$ >"$0" && exec "$@"' "$group/cgroup.procs" \
    setpriv --reuid "$id" --regid "$id" --init-groups env -i HOME="/home/$user" USER="$user" LOGNAME="$user" SHELL=/bin/sh \
    PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin LANG=C.UTF-8 XDG_RUNTIME_DIR="/run/user/$id" \
    sh -c 'cd && exec timeout -k 5 120 "$@"' sh "$@"
}

# check USER NAME EXPECTED COMMAND…: its standard output and exit code, as `CODE OUTPUT`, match a shell pattern
check() {
  user=$1 name=$2 expected=$3
  shift 3
  output=$(as "$user" "$@" </dev/null 2>/tmp/errors)
  result="$? $output"
  # shellcheck disable=SC2254
  case $result in
    $expected) echo "$user $name: ok" ;;
    *) printf '%s %s: FAILED\n%s\n%s\n' "$user" "$name" "$result" "$(tail -n 20 /tmp/errors)" ;;
  esac
}

# run_as USER SCRIPT
run_as() {
  as "$1" env D=$dugout sh -c "$2"
}
disk=$(findmnt -no SOURCE /)
. $share/limits.sh

# without some controllers
delegation_checks() {
  echo -io >/sys/fs/cgroup/cgroup.subtree_control
  limit $1 'a controller is missing' '0 125 125 ran 64' '$R --device-read-bps '"$disk"':1mb busybox true; echo $?; $R -m 64m --blkio-weight 100 busybox true; echo $?; $R --limits best-effort --blkio-weight 100 busybox echo ran; $R -m 64m busybox sh -c "echo \$((\$(cat /sys/fs/cgroup/memory.max) >> 20))"'
  echo +io >/sys/fs/cgroup/cgroup.subtree_control
  mkdir /sys/fs/cgroup/user-$1/box
  chown "$1" /sys/fs/cgroup/user-$1/box /sys/fs/cgroup/user-$1/box/cgroup.*
  limit $1 'a parent of its own' '0 0::/user-'"$1"'/box/dugout-* 125' '$R -m 64m --cgroup-parent box --cgroupns host busybox cat /proc/self/cgroup; $R --cgroup-parent nobox busybox true; echo $?'
  rmdir /sys/fs/cgroup/user-$1/box
  no_group $1 'nothing left without controllers'
}

# where the administrator allows no user namespaces: the reason with its sysctl, and what still works
forbidden_checks() {
  user_namespaces=$(cat /proc/sys/user/max_user_namespaces)
  echo 0 >/proc/sys/user/max_user_namespaces
  fresh="$dugout --run /tmp/fresh-$1"
  check $1 'C-067 no user namespaces' '0 125 *sysctl user.max_user_namespaces*' sh -c "$fresh run --rm --network none $image true >told 2>&1; echo \$? \$(cat told); rm told"
  check $1 'C-067 what works without' "0 *busybox*" sh -c "$fresh images && $fresh save $image | tar -tf - >/dev/null && $fresh inspect $image >/dev/null && $fresh history -q $image >/dev/null"
  check $1 'C-067 what to ask for' '0 *sysctl user.max_user_namespaces*' sh -c "$fresh check | tr '\n' ' '; rm -r /tmp/fresh-$1"
  echo $user_namespaces >/proc/sys/user/max_user_namespaces
}

for user in alice bob; do
  check $user version '0 dugout version*' $dugout --version
  check $user hello '0 *' $dugout run --rm hello
  check $user load '0 *busybox*' $dugout load -i $share/busybox.tar
  check $user images "0 *busybox*" $dugout images
  check $user run '0 0 in' $dugout run --rm --network none $image sh -c 'echo $(id -u) in'
  check $user 'exit code' '7 ' $dugout run --rm --network none $image sh -c 'exit 7'
  check $user 'signal' '137 ' $dugout run --rm --network none $image sh -c '(sh -c "kill -9 \$\$"); exit $?'
  check $user 'not found' '127 ' $dugout run --rm --network none $image no-such-program
  check $user stdin '0 through' sh -c 'echo through | "$@"' sh $dugout run --rm -i --network none $image cat
  check $user write '0 gone new' $dugout run --rm --network none $image sh -c 'rm /bin/vi && mkdir -p /opt/x && mv /opt /opt2 && test ! -e /bin/vi && echo new >/root/f && echo gone $(cat /root/f)'
  check $user 'unchanged image' '0 /bin/vi' $dugout run --rm --network none $image ls /bin/vi
  check $user 'other user' '0 1000 1000' $dugout run --rm --network none -u 1000:1000 $image sh -c 'echo $(id -u) $(id -g)'
  check $user volume '0 shared' sh -c 'mkdir -p v && echo shared >v/f && "$@"' sh $dugout run --rm --network none -v "/home/$user/v:/v:ro" $image sh -c 'cat /v/f; ! touch /v/g 2>/dev/null'
  check $user 'read-only' '0 refused' $dugout run --rm --network none --read-only $image sh -c 'touch /x 2>/dev/null || echo refused'
  check $user masks '0 masked' $dugout run --rm --network none $image sh -c 'test -z "$(cat /proc/keys 2>/dev/null)" && ! sh -c "echo 1 >/proc/sys/kernel/hostname" 2>/dev/null && echo masked'
  check $user keep-id "0 $(id -u $user)" $dugout run --rm --network none --userns keep-id $image sh -c 'touch /tmp/x && stat -c %u /tmp/x'
  case $user in alice) expected='0 0 65534' ;; *) expected='125 ' ;; esac
  check $user nomap "$expected" $dugout run --rm --network none --userns nomap -v "/home/$user/v:/v" $image sh -c 'touch /x && echo $(stat -c %u /x /v)'
  check $user vfs '0 copied' $dugout --storage-driver vfs run --rm --network none $image sh -c 'rm /bin/vi && echo copied'
  check $user info "0 *" $dugout info
  check $user 'check' "[01] *" $dugout check
  check $user explain '0 *mount*' $dugout run --explain --network none $image true

  forbidden_checks $user
  if [ -n "${LIMITS:-}" ]; then
    limit_checks $user
    delegation_checks $user
  fi

  # nothing is left: no process but this script's, no mount, no container
  # but what keeps the namespaces for the next start, and the network's stack, which leave by themselves
  left=$(ps -o pid=,args= -u $user | grep -vE ' dugout-(namespace|network)$|__netstack' || true)
  if [ -z "$left" ]; then echo "$user no process left: ok"; else printf '%s no process left: FAILED\n%s\n' $user "$left"; fi
  left=$(grep -F "/home/$user" /proc/self/mountinfo)
  if [ -z "$left" ]; then echo "$user no mount left: ok"; else printf '%s no mount left: FAILED\n%s\n' $user "$left"; fi
  left=$(ls /home/$user/.local/share/dugout/containers 2>/dev/null | grep -E '^[0-9a-f]{64}$')
  if [ -z "$left" ]; then echo "$user no container left: ok"; else printf '%s no container left: FAILED\n%s\n' $user "$left"; fi
  driver=$(as $user $dugout info --format '{{.Driver}}' 2>/dev/null </dev/null)
  echo "$user driver: $driver"
done
echo "all checks ran"
