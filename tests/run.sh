#!/usr/bin/env bash
# run.sh [checks | unit | integration | guests | FILE …]: everything that says whether dugout works; without arguments all of it.
# As root it prepares the machine (tests/setup) and runs tests as unprivileged users; as anybody else it runs what can be
# run so, and says what was skipped. The last line is `N passed, N failed, N skipped`.
set -euo pipefail
repository=$(realpath "$(dirname "$0")/..")
cd "$repository"
umask 022

if [[ ! -x node_modules/.bin/bun || ! -x node_modules/.bin/deno ]]; then npm ci; fi
node dist/build.mjs

work=$(mktemp -d /tmp/dugout-tests.XXXXXX)
runner='' started=''
clean() {
  if [[ -n $runner ]]; then kill "$runner" 2>/dev/null && wait "$runner" || true; fi
  if [[ -n $started ]]; then bash tests/setup/setup.sh stop || true; fi
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
chmod 755 "$work"

if ((EUID)) || ! command -v apt-get >/dev/null; then
  echo "run.sh: not root on Debian: what needs tests/setup is skipped"
elif bash tests/setup/setup.sh running; then
  bash tests/setup/setup.sh start
else
  started=yes
  bash tests/setup/setup.sh start
fi

# a clone may lie where other users cannot look
mkdir "$work/sources" "$work/bin"
list_sources() {
  git ls-files -z --cached --others --exclude-standard 2>/dev/null ||
    find . -name node_modules -prune -o -path './dist/dugout*' -o -path './dist/out' -prune -o -type f -print0
}
list_sources | while IFS= read -r -d '' file; do if [[ -e $file ]]; then printf '%s\0' "$file"; fi; done |
  tar --null -T - -cf - | tar -C "$work/sources" --no-same-owner -xf -
cp -a --reflink=auto node_modules "$work/sources/"
chmod -R a+rX "$work/sources"
cp --reflink=auto dist/dugout "$work/bin/dugout"
chmod 755 "$work/bin/dugout"
install -d -m 1777 "$work/results"

export DUGOUT_TEST_BINARY=$work/bin/dugout
export DUGOUT_TEST_SOURCES=$work/sources
export DUGOUT_TEST_RESULTS=$work/results
export DUGOUT_TEST_REPOSITORY=$repository
status=0
# in the background, so that a signal is not kept waiting
node tests/run.mjs "$@" </dev/null &
runner=$!
wait "$runner" || status=$?
runner=
exit "$status"
