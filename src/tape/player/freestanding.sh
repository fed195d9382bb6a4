# How programs without a C library are built, for both architectures, into a TypeScript file that is checked in. It is
# read by the build.sh of each such program, which may be called in two ways:
#   build.sh [OUTPUT]      needs gcc for x86_64 and aarch64-linux-gnu-gcc; each may be named by CC_X86_64, CC_AARCH64
#   build.sh --compilers   tells what it would build with, as bytes.ts notes it: other versions make other bytes
x86_64=${CC_X86_64:-gcc}
aarch64=${CC_AARCH64:-aarch64-linux-gnu-gcc}

tell_compilers() {
  for cc in "$x86_64" "$aarch64"; do
    echo "// $("$cc" -dumpmachine): gcc $("$cc" -dumpfullversion), $("$("$cc" -print-prog-name=ld)" --version | head -n 1)"
  done
}

# build_bytes SOURCE CONSTANT DESCRIPTION ARGUMENT: makes the TypeScript file that ARGUMENT names, else bytes.ts beside
# the source.
build_bytes() {
  if [ "$4" = --compilers ]; then
    tell_compilers
    return
  fi
  output=${4:-$(dirname "$1")/bytes.ts}
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # one segment, readable and executable, aligned for kernels with pages of 64 KiB
  flags="-Os -std=c11 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-pic -no-pie
    -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -fno-ident -nostdlib -static -Wl,--build-id=none
    -Wl,-z,noseparate-code -Wl,-z,norelro -Wl,-z,noexecstack -Wl,-z,max-page-size=65536 -Wl,-s"
  "$x86_64" $flags -fcf-protection=none -o "$work/x86_64" "$1"
  "$aarch64" $flags -mno-outline-atomics -o "$work/aarch64" "$1"
  {
    echo "// Made by build.sh from $(basename "$1"): static ELF executables, base64. Built with"
    tell_compilers
    echo "/** $3 */"
    echo "export const $2 = {"
    for arch in x86_64 aarch64; do
      printf '  %s:\n    "%s",\n' "$arch" "$(base64 -w0 "$work/$arch")"
    done
    echo "} as const;"
  } >"$output"
  ls -l "$work" | awk 'NR > 1 { print $9, $5, "bytes" }'
}
