# Debian's docker-registry on the loopback: plain HTTP, its storage in the cache. Sourced by setup.sh.

registry=${DUGOUT_TEST_REGISTRY:-127.0.0.1:5000}

registry_answers() {
  [[ $(curl -s -m 5 -o /dev/null -w '%{http_code}' "http://$registry/v2/") == 200 ]]
}

# start_registry: does nothing where one answers already, and then stop_registry does nothing either
start_registry() {
  if registry_answers; then return; fi
  mkdir -p "$cache/registry"
  cat >"$cache/registry.yml" <<J
version: 0.1
log: { level: warn, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: $cache/registry }, delete: { enabled: true } }
http: { addr: $registry }
J
  # bounded, so that a run which is killed leaves it for two hours at most
  setsid timeout -k 5 7200 docker-registry serve "$cache/registry.yml" >"$cache/registry.log" 2>&1 </dev/null &
  echo $! >"$cache/registry.pid"
  local tries
  for ((tries = 0; tries < 100; tries++)); do
    if registry_answers; then return; fi
    sleep 0.1
  done
  echo "setup: the registry does not answer at $registry:" >&2
  tail -n 20 "$cache/registry.log" >&2
  return 1
}

stop_registry() {
  local pid
  if [[ ! -s $cache/registry.pid ]]; then return; fi
  pid=$(<"$cache/registry.pid")
  # only if the number still is what was started; `timeout` passes the signal on
  if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "docker-registry serve $cache/registry.yml"; then
    kill "$pid" || true
  fi
  rm -f "$cache/registry.pid"
}
