#!/usr/bin/env bash
# setup.sh [start | stop | running | packages]: prepares this machine for the tests, as root; see README.md. Does little where
# all is there. `running` says by its exit code whether the registry answers.
set -euo pipefail
setup=$(dirname "$(realpath "$0")")
cache=${DUGOUT_TEST_CACHE:-/var/cache/dugout-tests}
umask 022

if ((EUID)); then
  echo "setup: needs root, to install packages and make users" >&2
  exit 1
fi
mkdir -p "$cache"
for part in packages users registry images; do
  # shellcheck source=/dev/null
  . "$setup/$part.sh"
done

case ${1-start} in
  start)
    # one at a time; the registry must not inherit the lock
    exec 9>"$cache/lock"
    flock -w 1800 9
    rm -rf "$cache"/tmp.*
    install_packages
    make_users
    start_registry 9>&-
    make_images 9>&-
    make_package
    fill_registry 9>&-
    ;;
  packages) install_packages ;;
  running) registry_answers ;;
  stop) stop_registry ;;
  *)
    echo "setup: unknown argument \"$1\"" >&2
    exit 2
    ;;
esac
