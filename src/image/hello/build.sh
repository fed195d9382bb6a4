#!/bin/sh
# Builds the program of the embedded image and writes src/image/hello/bytes.ts; the player's freestanding.sh tells how
# it may be called. Other bytes are another image: digests.ts has to be made anew too, as image_test.ts says.
set -eu
here=$(dirname "$(realpath "$0")")
. "$here/../../tape/player/freestanding.sh"
build_bytes "$here/hello.c" HELLO_BYTES "The program of the embedded image, by architecture." "${1-}"
