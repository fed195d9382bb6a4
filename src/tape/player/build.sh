#!/bin/sh
# Builds the player for both architectures and writes src/tape/player/bytes.ts, which is checked in.
#   build.sh [OUTPUT]      needs gcc for x86_64 and aarch64-linux-gnu-gcc; each may be named by CC_X86_64, CC_AARCH64
set -eu
here=$(dirname "$(realpath "$0")")
output=${1:-$here/bytes.ts}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-Os -std=c11 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-pic -no-pie -fno-asynchronous-unwind-tables
  -fno-ident -fcf-protection=none -nostdlib -static -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,norelro
  -Wl,-z,max-page-size=65536 -Wl,-s -Wl,-N,--no-warn-rwx-segments"
"${CC_X86_64:-gcc}" $flags -o "$work/x86_64" "$here/player.c"
"${CC_AARCH64:-aarch64-linux-gnu-gcc}" $(echo "$flags" | sed s/-fcf-protection=none//) -mno-outline-atomics -o "$work/aarch64" "$here/player.c"
{
  echo "// Made by build.sh from player.c: static ELF executables, base64."
  echo "/** The player's executable, by architecture. */"
  echo "export const PLAYER_BYTES = {"
  for arch in x86_64 aarch64; do
    printf '  %s:\n    "%s",\n' "$arch" "$(base64 -w0 "$work/$arch")"
  done
  echo "} as const;"
} >"$output"
ls -l "$work" | awk 'NR > 1 { print $9, $5, "bytes" }'
