#!/bin/sh
# Runs inside a guest with systemd, as root, from the shared folder: the checks of systemd_test.ts as each kind of user. Prints
# one line a check, `USER NAME: ok` or `USER NAME: FAILED` and what was printed; ends with `all checks ran`.
share=/mnt/share
dugout=$share/dugout

# as USER SCRIPT: a shell in the user's home, with the user's manager within reach; $D is the program
as() {
  id=$(id -u "$1")
  setpriv --reuid "$id" --regid "$id" --groups "$id,$(getent group systemd-journal | cut -d: -f3)" env -i HOME="/home/$1" USER="$1" \
    LOGNAME="$1" SHELL=/bin/sh D=$dugout PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 XDG_RUNTIME_DIR="/run/user/$id" \
    DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$id/bus" sh -c 'cd && exec timeout -k 5 100 sh -c "$1"' sh "$2"
}

# check USER NAME EXPECTED SCRIPT: what it prints and its exit code, as `CODE OUTPUT`, match a shell pattern
check() {
  output=$(as "$1" "$4" </dev/null 2>/tmp/errors)
  judge "$1" "$2" "$3" "$? $output"
}

# journal USER NAME EXPECTED: what the user's web.service has written since the guest began, read as root
journal() {
  sleep 1
  output=$(journalctl -q -o cat --no-pager "_UID=$(id -u "$1")" _SYSTEMD_USER_UNIT=web.service 2>/tmp/errors)
  judge "$1" "$2" "$3" "$? $output"
}

judge() {
  result=$4
  # shellcheck disable=SC2254
  case $result in
    $3) echo "$1 $2: ok" ;;
    *) printf '%s %s: FAILED\n%s\n%s\n' "$1" "$2" "$result" "$(tail -n 20 /tmp/errors)" ;;
  esac
}

# run_as USER SCRIPT: the same from outside of any session, as with su: nothing tells of the user's manager
run_as() {
  id=$(id -u "$1")
  setpriv --reuid "$id" --regid "$id" --init-groups env -i HOME="/home/$1" USER="$1" SHELL=/bin/sh D=$dugout \
    PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 sh -c 'cd && exec timeout -k 5 100 sh -c "$1"' sh "$2"
}
disk=$(findmnt -no SOURCE /)
. $share/limits.sh

# what happens to systemd while containers run
manager_checks() {
  id=$(id -u "$1")
  limit $1 'manager executed anew' '0 * true 67108864' '$D run -d --network none --name re -m 64m busybox sleep 100; XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user daemon-reexec; $D inspect -f "{{.State.Running}}" re; $D exec re cat /sys/fs/cgroup/memory.max; $D rm -f re >/dev/null'
  limit $1 'started before the manager ends' '0 *' '$D run -d --network none --name mg -m 64m busybox sleep 1000'
  systemctl restart user@$id.service
  limit $1 'manager restarted' '0 exited mg true 67108864' '$D inspect -f "{{.State.Status}}" mg; $D start mg; $D inspect -f "{{.State.Running}}" mg; $D exec mg cat /sys/fs/cgroup/memory.max; $D rm -f mg >/dev/null'
  mv /run/user/$id/bus /run/user/$id/bus.away
  limit $1 'bus gone' '0 125 * true' '$R -m 64m busybox true; echo $?; $D run -d --network none --name nb busybox sleep 100; $D inspect -f "{{.State.Running}}" nb; $D rm -f nb >/dev/null'
  touch /run/user/$id/bus
  chown "$1" /run/user/$id/bus
  limit $1 'A-089 a bus that is no socket' '125 ' '$R -m 64m busybox true'
  mv /run/user/$id/bus.away /run/user/$id/bus
  no_group $1 'nothing left by the manager'
}

mkdir -p /etc/systemd/user-generators
printf '#!/bin/sh\nexec %s quadlet "$@"\n' "$dugout" >/etc/systemd/user-generators/dugout
chmod 755 /etc/systemd/user-generators/dugout

for user in alice bob; do
  as $user '$D load -qi /mnt/share/busybox.tar; mkdir -p ~/.config/containers/systemd/conf' >/dev/null
  as $user 'echo there >~/.config/containers/systemd/conf/f; printf "[Volume]\n" >~/.config/containers/systemd/data.volume
    cat >~/.config/containers/systemd/web.container' <<'Q'
[Unit]
Description=A web server
[Container]
Image=busybox
Network=none
Exec=sh -c "trap 'echo got TERM; exit 0' TERM; echo as $$(id -u) with %%h=%h \"$$A\" $$(cat /conf/f); while :; do sleep 0.1; done"
Volume=data.volume:/data
Volume=./conf:/conf:ro
Environment="A=b \"%%n\\n$$c"
Label="l=x\nExecStartPre=/bin/false"
[Install]
WantedBy=default.target
Q
  as $user 'cat >~/.config/containers/systemd/fails.container' <<'Q'
[Container]
Image=busybox
Network=none
Exec=sh -c "echo x >>/data/starts; sleep 0.2; exit 3"
Volume=data.volume:/data
[Service]
Restart=on-failure
RestartSec=100ms
Q
  check $user 'generator' '0 *web.service generated*data-volume.service generated*' 'systemctl --user daemon-reload; for u in web data-volume; do systemctl --user --no-legend list-unit-files $u.service; done'
  check $user 'start' '0 active*systemd-web*' 'systemctl --user start web.service; systemctl --user is-active web.service; $D ps --format {{.Names}}'
  check $user 'control group' '0 */web.service' 'pid=$($D inspect -f {{.State.Pid}} systemd-web); cut -d: -f3 /proc/$pid/cgroup'
  journal $user 'journal' "0 *as 0 with %h=/home/$user b \"%n*there*"
  check $user 'label' '0 x?ExecStartPre=/bin/false' '$D inspect -f "{{.Config.Labels.l}}" systemd-web | tr "\n" "?" | sed "s/?$//"'
  check $user 'stop' '0 success inactive*' 'systemctl --user stop web.service; systemctl --user show -P ActiveState -P Result web.service | tr "\n" " "'
  journal $user 'signal' '0 *got TERM*'
  check $user 'removed' '0 ' '$D ps -aq'
  check $user 'restart by systemd' '0 *many' 'systemctl --user start fails.service; sleep 6; systemctl --user stop fails.service; n=$($D run --rm --network none -v systemd-data:/data busybox cat /data/starts | wc -l); test $n -ge 2 && echo many || echo $n'
  check $user 'dryrun' '0 ---*web.service---*' '$D quadlet -dryrun -user'
  check $user 'install' '0 *web.service*loaded*' '$D quadlet --install; systemctl --user daemon-reload; systemctl --user show -P LoadState web.service'
  check $user 'generate systemd' '0 active*Up *inactive*' '$D create --name kept --network none busybox sh -c "trap exit TERM; while :; do sleep 0.1; done" >/dev/null; mkdir -p ~/.config/systemd/user; cd ~/.config/systemd/user; $D generate systemd -n -f kept >/dev/null; systemctl --user daemon-reload; systemctl --user start container-kept; until test -n "$($D ps -q)"; do sleep 0.2; done; systemctl --user is-active container-kept; $D ps --format "{{.Status}}"; systemctl --user stop container-kept; systemctl --user is-active container-kept; $D rm -f kept >/dev/null'
  check $user 'start with the machine' '0 *1 running*' '$D run -d --name policy --restart unless-stopped --network none busybox sleep 1000 >/dev/null; $D kill policy >/dev/null; rm -f ~/.local/share/dugout/containers/*/stopped; cd ~/.config/systemd/user; $D generate systemd --all --files >/dev/null; systemctl --user daemon-reload; systemctl --user start dugout-restart; $D inspect -f "1 {{.State.Status}}" policy; $D rm -f policy >/dev/null; systemctl --user stop dugout-restart'
  sleep 1
  # what keeps the ids' namespace for the next start leaves by itself
  left=$(ps -o pid=,args= -u $user | grep -E 'dugout' | grep -vE ' dugout-(namespace|network)$|__netstack' || true)
  if [ -z "$left" ]; then echo "$user no process left: ok"; else printf '%s no process left: FAILED\n%s\n' $user "$left"; fi
done
# both users at once: much of it is waiting
for user in alice bob; do
  { limit_checks $user; manager_checks $user; } >/tmp/limits-$user 2>&1 &
done
wait
cat /tmp/limits-alice /tmp/limits-bob
echo "all checks ran"
