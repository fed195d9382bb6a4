# stage.sh: a copy of the sources, of node_modules and of the binary where every user can read them, since a clone may lie
# where others cannot look. Sourced by tests/run.sh and bench/run.sh, in the root of the repository; sets $work.

work=$(mktemp -d /tmp/dugout-tests.XXXXXX)
chmod 755 "$work"

list_sources() {
  git ls-files -z --cached --others --exclude-standard 2>/dev/null ||
    find . -name node_modules -prune -o -path './dist/dugout*' -o -path './dist/out' -prune -o -type f -print0
}

stage() {
  local file
  mkdir "$work/sources" "$work/bin"
  list_sources | while IFS= read -r -d '' file; do if [[ -e $file ]]; then printf '%s\0' "$file"; fi; done |
    tar --null -T - -cf - | tar -C "$work/sources" --no-same-owner -xf -
  cp -a --reflink=auto node_modules "$work/sources/"
  chmod -R a+rX "$work/sources"
  cp --reflink=auto dist/dugout "$work/bin/dugout"
  chmod 755 "$work/bin/dugout"
  if [[ -e dist/dugout-arm64 ]]; then
    cp --reflink=auto dist/dugout-arm64 "$work/bin/dugout-arm64"
    chmod 755 "$work/bin/dugout-arm64"
  fi
  install -d -m 1777 "$work/results"
  export DUGOUT_TEST_BINARY=$work/bin/dugout
  export DUGOUT_TEST_SOURCES=$work/sources
  export DUGOUT_TEST_RESULTS=$work/results
}
