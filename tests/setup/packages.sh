# Debian packages that the tests use. Sourced by setup.sh; does nothing, quickly, when all are there.

# peers that we are compared with, and that read what we write
peers=(podman runc bubblewrap skopeo umoci buildah fuse-overlayfs slirp4netns passt docker-registry)
# what prepares the tests, or what they call
tools=(uidmap iperf3 socat netcat-openbsd busybox-static mmdebstrap tmux strace zstd xz-utils attr acl libcap2-bin hyperfine curl openssl util-linux procps
  iproute2 psmisc fuse3 e2fsprogs zsh fish)
# another processor: the cross compiler for the player, its C library, and an emulator
foreign=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static)
# guests with other kernels
guests=(qemu-system-x86 qemu-system-arm qemu-system-common kmod cpio)

install_packages() {
  local wanted=("${peers[@]}" "${tools[@]}" "${foreign[@]}" "${guests[@]}") missing=() name
  declare -A there=()
  while read -r name; do there[$name]=1; done < <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p')
  for name in "${wanted[@]}"; do
    if [[ -z ${there[$name]-} ]]; then missing+=("$name"); fi
  done
  if ((${#missing[@]} == 0)); then return; fi
  echo "setup: installing ${missing[*]}"
  # no daemon of a package may start: the registry is ours to start
  local policy=/usr/sbin/policy-rc.d made=
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made=$policy
  fi
  local status=0
  DEBIAN_FRONTEND=noninteractive timeout 900 apt-get -qq -o DPkg::Lock::Timeout=300 update || status=$?
  DEBIAN_FRONTEND=noninteractive timeout 1800 apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends \
    "${missing[@]}" >"$cache/apt.log" 2>&1 </dev/null || status=$?
  if [[ -n $made ]]; then rm -f "$made"; fi
  if ((status)); then tail -n 20 "$cache/apt.log" >&2; fi
  return "$status"
}
