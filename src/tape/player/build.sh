#!/bin/sh
# Builds the player for both architectures and writes src/tape/player/bytes.ts, which is checked in.
#   build.sh [OUTPUT]      needs gcc for x86_64 and aarch64-linux-gnu-gcc; each may be named by CC_X86_64, CC_AARCH64
#   build.sh --compilers   tells what it would build with, as bytes.ts notes it: other versions make other bytes
set -eu
here=$(dirname "$(realpath "$0")")
x86_64=${CC_X86_64:-gcc}
aarch64=${CC_AARCH64:-aarch64-linux-gnu-gcc}
compilers() {
  for cc in "$x86_64" "$aarch64"; do
    echo "// $("$cc" -dumpmachine): gcc $("$cc" -dumpfullversion), $("$("$cc" -print-prog-name=ld)" --version | head -n 1)"
  done
}
if [ "${1-}" = --compilers ]; then
  compilers
  exit
fi
output=${1:-$here/bytes.ts}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# one segment, readable and executable, aligned for kernels with pages of 64 KiB
flags="-Os -std=c11 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-pic -no-pie -fno-asynchronous-unwind-tables
  -fno-ident -nostdlib -static -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,norelro -Wl,-z,noexecstack
  -Wl,-z,max-page-size=65536 -Wl,-s"
"$x86_64" $flags -fcf-protection=none -o "$work/x86_64" "$here/player.c"
"$aarch64" $flags -mno-outline-atomics -o "$work/aarch64" "$here/player.c"
{
  echo "// Made by build.sh from player.c: static ELF executables, base64. Built with"
  compilers
  echo "/** The player's executable, by architecture. */"
  echo "export const PLAYER_BYTES = {"
  for arch in x86_64 aarch64; do
    printf '  %s:\n    "%s",\n' "$arch" "$(base64 -w0 "$work/$arch")"
  done
  echo "} as const;"
} >"$output"
ls -l "$work" | awk 'NR > 1 { print $9, $5, "bytes" }'
