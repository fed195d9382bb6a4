#!/bin/sh
# Builds the player and writes src/tape/player/bytes.ts; freestanding.sh tells how it may be called.
set -eu
here=$(dirname "$(realpath "$0")")
. "$here/freestanding.sh"
build_bytes "$here/player.c" PLAYER_BYTES "The player's executable, by architecture." "${1-}"
