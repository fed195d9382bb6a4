#!/bin/sh
# Installs dugout for the user who runs it: sh install.sh [--from URL|DIRECTORY] [--to DIRECTORY] [--allow-older]
# The list of digests is believed only when it is signed by the key below, and the binary only when its digest is in that
# list; a release older than the one that is there is refused. Needs curl (for a URL), openssl 3, sha256sum.
set -eu
public_key="@PUBLIC_KEY@"
from= to="${HOME-}/.local/bin" allow_older=

fail() {
  echo "install: $*" >&2
  exit 1
}

while [ $# -gt 0 ]; do
  case $1 in
    --from | --to)
      [ $# -ge 2 ] || fail "\"$1\" wants a value"
      if [ "$1" = --from ]; then from=$2; else to=$2; fi
      shift 2
      ;;
    --allow-older) allow_older=yes; shift ;;
    *) fail "unknown argument \"$1\"" ;;
  esac
done
[ -n "$from" ] || fail "say where the release lies: --from https://… or --from DIRECTORY"
case $to in /*) ;; *) fail "\"--to\" wants an absolute path, not \"$to\"" ;; esac
[ -n "$public_key" ] && [ "$public_key" != "@PUBLIC_""KEY@" ] || fail "this copy has no key: take the one of a release"
command -v openssl >/dev/null || fail "openssl is not installed"

machine=$(uname -m)
case $machine in x86_64 | aarch64) ;; *) fail "there is no dugout for \"$machine\"" ;; esac
name=dugout-$machine

umask 077
work=$(mktemp -d "${TMPDIR:-/tmp}/dugout-install.XXXXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# fetch NAME BYTES: one file of the release, at most that large; https stays https through every redirect
fetch() {
  case $from in
    https://*)
      command -v curl >/dev/null || fail "curl is not installed"
      curl --fail --silent --show-error --location --proto '=https' --proto-redir '=https' --tlsv1.2 \
        --max-redirs 5 --max-filesize "$2" --output "$work/$1" "$from/$1" || fail "download of \"$from/$1\" failed"
      ;;
    /*) head -c "$2" "$from/$1" >"$work/$1" || fail "\"$from/$1\" cannot be read" ;;
    *) fail "\"--from\" wants https:// or an absolute path, not \"$from\"" ;;
  esac
}

fetch SHA256SUMS 65536
fetch SHA256SUMS.sig 4096
printf -- '-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n' "$public_key" >"$work/key.pem"
openssl pkeyutl -verify -pubin -inkey "$work/key.pem" -rawin -in "$work/SHA256SUMS" -sigfile "$work/SHA256SUMS.sig" \
  >/dev/null 2>&1 || fail "the signature of SHA256SUMS is not by the key of this installer: nothing was installed"

version=$(sed -n '1s/^# dugout \([0-9][0-9]*\.[0-9][0-9]*\.[0-9][0-9]*\) [0-9-]*$/\1/p' "$work/SHA256SUMS")
[ -n "$version" ] || fail "SHA256SUMS does not say its version"
expected=$(sed -n "s/^\([0-9a-f]\{64\}\)  $name\$/\1/p" "$work/SHA256SUMS")
[ "${#expected}" = 64 ] || fail "SHA256SUMS does not name \"$name\""

# order VERSION: a number that sorts as the version does
order() {
  echo "$1" | awk -F. '{ printf "%d%06d%06d\n", $1, $2, $3 }'
}
if [ -x "$to/dugout" ] && [ -z "$allow_older" ]; then
  there=$("$to/dugout" --version </dev/null 2>/dev/null | sed -n '1s/.*[^0-9]\([0-9][0-9]*\.[0-9][0-9]*\.[0-9][0-9]*\).*/\1/p') || there=
  if [ -n "$there" ] && [ "$(order "$there")" -gt "$(order "$version")" ]; then
    fail "version $version is older than $there, which is there: say --allow-older if that is meant"
  fi
fi

# beside its place, so that what was checked is what is renamed, and a half-written file is never found there
umask 022
mkdir -p "$to"
[ -d "$to" ] && [ -w "$to" ] || fail "\"$to\" is no directory that you may write"
fetch "$name" 536870912
actual=$(sha256sum <"$work/$name")
[ "${actual%% *}" = "$expected" ] || fail "\"$name\" has another digest than the signed list says: nothing was installed"
beside=$(mktemp "$to/.dugout.XXXXXXXX")
trap 'rm -rf "$work" "$beside"' EXIT
cat "$work/$name" >"$beside"
actual=$(sha256sum <"$beside")
[ "${actual%% *}" = "$expected" ] || fail "\"$beside\" could not be written whole: nothing was installed"
chmod 755 "$beside"
mv -f "$beside" "$to/dugout"
echo "installed dugout $version as $to/dugout"
case ":$PATH:" in *":$to:"*) ;; *) echo "add $to to PATH to call it by its name" ;; esac
