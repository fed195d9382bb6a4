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
# guests with other kernels, where the scripts that boot them lie beside the repository
kernels=${DUGOUT_TEST_KERNELS:-$repository/../shared/kernels}
if [[ -x $kernels/kernel-run ]]; then
  export DUGOUT_TEST_KERNELS=$kernels
  node dist/build.mjs arm64 || echo "run.sh: no binary for arm64: its guests are skipped"
fi
slurm=${DUGOUT_TEST_SLURM:-$repository/../shared/slurm}
if [[ -x $slurm/slurm-up ]]; then
  DUGOUT_TEST_SLURM=$(realpath "$slurm")
  export DUGOUT_TEST_SLURM
fi

# shellcheck source=tests/setup/stage.sh
. tests/setup/stage.sh
runner='' started=''
clean() {
  if [[ -n $runner ]]; then kill "$runner" 2>/dev/null && wait "$runner" || true; fi
  if [[ -n $started ]]; then bash tests/setup/setup.sh stop || true; fi
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if ((EUID)) || ! command -v apt-get >/dev/null; then
  echo "run.sh: not root on Debian: what needs tests/setup is skipped"
elif bash tests/setup/setup.sh running; then
  bash tests/setup/setup.sh start
else
  started=yes
  bash tests/setup/setup.sh start
fi

stage
export DUGOUT_TEST_REPOSITORY=$repository
status=0
# in the background, so that a signal is not kept waiting
node tests/run.mjs "$@" </dev/null &
runner=$!
wait "$runner" || status=$?
runner=
exit "$status"
