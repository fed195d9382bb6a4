# Two users, as the two kinds that there are, and what a distribution would have given them. Sourced by setup.sh.

# make_user NAME: an account with a home on the local disk and a runtime directory, and no subordinate ids
make_user() {
  local name=$1 id
  if ! id -u "$name" >/dev/null 2>&1; then
    useradd --create-home --user-group --shell /bin/bash -K SUB_UID_COUNT=0 -K SUB_GID_COUNT=0 "$name"
  fi
  id=$(id -u "$name")
  mkdir -p /run/user
  install -d -m 700 -o "$id" -g "$(id -g "$name")" "/run/user/$id"
}

# give_subordinate_ids NAME FILE: 65,536 ids behind all ranges that FILE has
give_subordinate_ids() {
  local name=$1 file=$2
  touch "$file"
  if grep -q "^$name:" "$file"; then return; fi
  local first
  first=$(awk -F: 'BEGIN { end = 100000 } NF == 3 && $2 + $3 > end { end = $2 + $3 } END { print end }' "$file")
  echo "$name:$first:65536" >>"$file"
}

make_users() {
  make_user dug-sub
  make_user dug-one
  give_subordinate_ids dug-sub /etc/subuid
  give_subordinate_ids dug-sub /etc/subgid
  sed -i '/^dug-one:/d' /etc/subuid /etc/subgid

  # distributions give these to everybody
  if [[ ! -c /dev/fuse ]]; then mknod -m 666 /dev/fuse c 10 229; fi
  if [[ ! -c /dev/net/tun ]]; then mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200; fi
  chmod 666 /dev/fuse /dev/net/tun
  sysctl -qw net.ipv4.ping_group_range="0 2147483647"

  # podman at its best: Debian 12's crun refuses hybrid cgroups, there is neither systemd nor a journal here, and left alone
  # it takes vfs
  local name home
  for name in dug-sub dug-one; do
    home=$(getent passwd "$name" | cut -d: -f6)
    install -d -o "$name" -g "$name" "$home/.config" "$home/.config/containers"
    printf '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' >"$home/.config/containers/containers.conf"
    printf '[storage]\ndriver = "overlay"\n' >"$home/.config/containers/storage.conf"
    chown "$name:$name" "$home"/.config/containers/*.conf
  done
}
