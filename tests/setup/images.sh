# Images for the tests, made from Debian's packages and kept in the cache; the registry is filled with them.
# Sourced by setup.sh. Each recipe has a version: change it when the recipe changes.

debian_mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1
}

# pack FOLDER TAR: the same bytes for the same files, owned by root
pack() {
  tar --sort=name --mtime=@1767225600 --owner=0 --group=0 --numeric-owner -C "$1" -cf "$2" .
}

# busybox_root BINARY TAR
busybox_root() {
  local root
  root=$(mktemp -d "$cache/tmp.XXXXXX")
  mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,etc,dev,proc,sys,root,home,var/log,run,tmp}
  chmod 755 "$root"
  chmod 1777 "$root/tmp"
  chmod 700 "$root/root"
  install -m 755 "$1" "$root/bin/busybox"
  local applet
  # the list of this machine's busybox: that of the other processor's is the same version
  while read -r applet; do
    if [[ $applet != bin/busybox ]]; then ln -sf /bin/busybox "$root/$applet"; fi
  done < <(busybox --list-full)
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\nuser:x:1000:1000::/home:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnobody:x:65534:\nuser:x:1000:\nextra:x:1001:user\n' >"$root/etc/group"
  echo busybox >"$root/etc/hostname"
  pack "$root" "$2"
  rm -rf "$root"
}

# foreign_busybox OUT: the arm64 binary, by an apt with lists of its own
foreign_busybox() {
  local work
  work=$(mktemp -d "$cache/tmp.XXXXXX")
  mkdir -p "$work"/{lists/partial,cache/archives/partial}
  touch "$work/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) bookworm main" >"$work/sources.list"
  local apt=(-qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$work/lists"
    -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" -o APT::Architecture=arm64 -o APT::Architectures=arm64
    -o APT::Sandbox::User=root)
  timeout 300 apt-get "${apt[@]}" update
  (cd "$work" && timeout 300 apt-get "${apt[@]}" download busybox-static)
  dpkg-deb --fsys-tarfile "$work"/busybox-static_*_arm64.deb | tar -xO ./bin/busybox >"$1"
  rm -rf "$work"
}

# make_layout NAME SPECIFICATION: an OCI layout in the cache, unless it is there
make_layout() {
  local layout=$cache/layouts/$1
  if [[ -e $layout/index.json ]]; then return; fi
  rm -rf "$layout" "$layout.part"
  mkdir -p "$cache/layouts"
  echo "$2" >"$cache/specification.json"
  node "$setup/make_image.mjs" "$layout.part" latest "$cache/specification.json"
  mv "$layout.part" "$layout"
}

# bench_layers FOLDER: ten tars, 500 MB together, of this machine's own programs, libraries and texts: every nth directory of
# /usr, so that small and large files are mixed as in images that people make
bench_layers() {
  local every list
  mkdir -p "$1"
  (cd / && find usr/lib usr/share usr/bin usr/include usr/local -xdev -type f -size -20M -printf '%h\t%s\t%p\n' 2>/dev/null) |
    LC_ALL=C sort >"$1/all"
  for every in 6 5 4 3 2 1; do
    rm -f "$1"/*.list
    awk -F '\t' -v folder="$1" -v every="$every" '
      $1 != directory { directory = $1; count++ }
      count % every == 0 && total < 500e6 { print $3 >(folder "/" int(total / 50e6) ".list"); total += $2 }' "$1/all"
    if [[ -e $1/9.list ]]; then break; fi
  done
  for list in "$1"/*.list; do
    tar --owner=0 --group=0 --numeric-owner -C / -cf "${list%.list}.tar" --no-recursion -T "$list"
  done
}

make_images() {
  local tars=$cache/tars
  mkdir -p "$tars"
  if [[ ! -e $tars/busybox-amd64-1.tar ]]; then
    busybox_root /bin/busybox "$tars/part.tar"
    mv "$tars/part.tar" "$tars/busybox-amd64-1.tar"
  fi
  if [[ ! -e $tars/busybox-arm64-1.tar ]]; then
    foreign_busybox "$cache/busybox-arm64"
    busybox_root "$cache/busybox-arm64" "$tars/part.tar"
    mv "$tars/part.tar" "$tars/busybox-arm64-1.tar"
  fi
  if [[ ! -e $tars/debian-1.tar ]]; then
    echo "setup: bootstrapping Debian"
    timeout 900 mmdebstrap --quiet --mode=root --variant=minbase --include=ca-certificates bookworm "$tars/part.tar" "$(debian_mirror)" </dev/null
    mv "$tars/part.tar" "$tars/debian-1.tar"
  fi

  local config='{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["sh"]}'
  local compression
  for compression in gzip none zstd gzip-members; do
    make_layout "busybox-$compression-1" \
      '{"index":false,"images":[{"architecture":"amd64","config":'"$config"',"layers":[{"tar":"'"$tars/busybox-amd64-1.tar"'","compression":"'"$compression"'"}]}]}'
  done
  make_layout multi-1 '{"index":true,"images":[
    {"architecture":"amd64","config":'"$config"',"layers":[{"tar":"'"$tars/busybox-amd64-1.tar"'","compression":"gzip"}]},
    {"architecture":"arm64","config":'"$config"',"layers":[{"tar":"'"$tars/busybox-arm64-1.tar"'","compression":"gzip"}]}]}'
  make_layout debian-1 \
    '{"index":false,"images":[{"architecture":"amd64","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["bash"]},"layers":[{"tar":"'"$tars/debian-1.tar"'","compression":"gzip"}]}]}'
  if [[ ! -e $cache/layouts/bench-2/index.json ]]; then
    echo "setup: making the image of 500 MB"
    local folder=$cache/bench layers= tar
    rm -rf "$folder"
    bench_layers "$folder"
    for tar in "$folder"/*.tar; do layers+='{"tar":"'$tar'","compression":"gzip"},'; done
    make_layout bench-2 '{"index":false,"images":[{"architecture":"amd64","config":'"$config"',"layers":['"${layers%,}"']}]}'
    rm -rf "$folder"
  fi
}

# push LAYOUT NAME [OPTION…]: unless the registry has that name from that layout
push() {
  local layout=$cache/layouts/$1 name=$2
  local mark=$cache/pushed/${name//[:\/]/-}.$1
  shift 2
  if [[ -e $mark ]] && curl -sf -m 10 -o /dev/null -I -H 'Accept: application/vnd.oci.image.index.v1+json' \
    -H 'Accept: application/vnd.oci.image.manifest.v1+json' -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
    "http://$registry/v2/${name%%:*}/manifests/${name##*:}"; then
    return
  fi
  timeout 300 skopeo copy -q --all --dest-tls-verify=false "$@" "oci:$layout:latest" "docker://$registry/$name"
  mkdir -p "$cache/pushed"
  touch "$mark"
}

fill_registry() {
  push busybox-gzip-1 busybox:latest
  push busybox-none-1 busybox:plain
  push busybox-zstd-1 busybox:zstd
  push busybox-gzip-members-1 busybox:members
  push busybox-gzip-1 busybox:docker --format v2s2
  push multi-1 multi:latest
  push debian-1 debian:latest
  push debian-1 debian:bookworm
  push bench-2 bench:latest
}

# make_package: a small .deb whose installation changes owners and adds a user, as real ones do
make_package() {
  local deb=$cache/dugout-hello_1.0_all.deb work
  if [[ -e $deb ]]; then return; fi
  work=$(mktemp -d "$cache/tmp.XXXXXX")
  mkdir -p "$work"/{DEBIAN,usr/bin,var/lib/dugout-hello}
  chmod 755 "$work"
  printf 'Package: dugout-hello\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: greets\n' \
    >"$work/DEBIAN/control"
  printf '#!/bin/sh\nset -e\nuseradd --system --no-create-home dugouthello\nchown dugouthello:games /var/lib/dugout-hello\nchmod 2750 /var/lib/dugout-hello\n' \
    >"$work/DEBIAN/postinst"
  printf '#!/bin/sh\necho "hello from a package"\n' >"$work/usr/bin/dugout-hello"
  chmod 755 "$work/DEBIAN/postinst" "$work/usr/bin/dugout-hello"
  dpkg-deb --root-owner-group -b "$work" "$deb.part" >/dev/null
  mv "$deb.part" "$deb"
  rm -rf "$work"
}
