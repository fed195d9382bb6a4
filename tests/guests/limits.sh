# shellcheck shell=sh
# Read by systemd.sh and inside.sh in their guests, as root: what limits do, measured by their effect. `run_as USER SCRIPT` runs a
# script of the user's, in which $D is the program, without a login session's variables; `disk` is where homes lie.

# limit USER NAME EXPECTED SCRIPT: what it prints, blanks and lines as one blank, and its exit code, as `CODE OUTPUT`
limit() {
  output=$(run_as "$1" "R=\"\$D run --rm --network none\"; $4" </dev/null 2>"/tmp/errors-$1")
  result="$? $(echo "$output" | tr -s ' \t\n' ' ' | sed 's/ $//')"
  # shellcheck disable=SC2254
  case $result in
    $3) echo "$1 limits $2: ok" ;;
    *) printf '%s limits %s: FAILED\n%s\n%s\n' "$1" "$2" "$result" "$(tail -n 20 "/tmp/errors-$1")" ;;
  esac
}

# no_group USER NAME: none of our control groups is left of this user
no_group() {
  # what killed processes left, the next command removes
  run_as "$1" '$D ps' >/dev/null 2>&1
  left=$(find /sys/fs/cgroup -name 'dugout-*' -user "$1")
  if [ -z "$left" ]; then echo "$1 limits $2: ok"; else printf '%s limits %s: FAILED\n%s\n' "$1" "$2" "$left"; fi
}

limit_checks() {
  limit $1 'memory' '0 lives 0 137' '$R -m 64m busybox sh -c "dd if=/dev/zero of=/dev/null bs=20M count=1 2>/dev/null; echo lives"; echo $?; $R -m 64m busybox dd if=/dev/zero of=/dev/null bs=100M count=1; echo $?'
  limit $1 'swap and reservation' '0 67108864 0 33554432' '$R -m 64m --memory-swap 64m --memory-reservation 32m busybox sh -c "cd /sys/fs/cgroup; cat memory.max memory.swap.max memory.high"'
  limit $1 'out of memory is told' '0 * 137 true 137 oom oom die oom' '$D run -d --network none --name oom -m 20m busybox sh -c "sleep 1; exec dd if=/dev/zero of=/dev/null bs=100M count=1"; $D wait oom; $D inspect -f "{{.State.OOMKilled}} {{.State.ExitCode}}" oom; $D events --since 1m --until 0s --filter container=oom --format "{{.Action}} {{.Actor.Attributes.name}}" | grep -E "^(oom|die)"; $D rm oom >/dev/null'
  # half of a processor; less only where the machine had less to give: then it was not held back in each period
  limit $1 'processors' '0 half' '$R --cpus 0.5 busybox sh -c "
    of() { sed -n \"s/^\$1 //p\" /sys/fs/cgroup/cpu.stat; }
    now() { cut -d\" \" -f1 /proc/uptime | tr -d .; }
    a=\$(of usage_usec); n=\$(of nr_periods); h=\$(of nr_throttled); s=\$(now)
    timeout 10 sh -c \"while :; do :; done\"
    b=\$(of usage_usec); m=\$(of nr_periods); k=\$(of nr_throttled); e=\$(now)
    p=\$(( (b - a) / ((e - s) * 100) )); held=\$(( (k - h) * 100 / (m - n) ))
    test \$p -le 55 -a \\( \$p -ge 45 -o \$held -lt 90 \\) && echo half || echo \$p per cent, held back in \$held"'
  limit $1 'processes' '0 31 max [1-9]*' '$R --pids-limit 32 busybox sh -c "(while :; do sleep 30 & done) 2>/dev/null; read n </sys/fs/cgroup/pids.current; read m </sys/fs/cgroup/pids.events; echo \$n \$m"'
  limit $1 'fork bomb' '0 * 0' '$D run -d --network none --name bomb --pids-limit 50 busybox sh -c "f() { f | f & }; f; while :; do f; sleep 1; done"; sleep 3; $D rm -f bomb >/dev/null; echo $?'
  limit $1 'write speed' '0 slow' '$R --device-write-bps '"$disk"':2mb -v /data busybox sh -c "
    now() { cut -d\" \" -f1 /proc/uptime | tr -d .; }
    s=\$(now); dd if=/dev/zero of=/data/x bs=1M count=10 oflag=direct 2>/dev/null; e=\$(now)
    test \$((e - s)) -ge 350 && echo slow || echo \$((e - s))"'
  limit $1 'one processor of two' '0 1 1' '$R --cpuset-cpus 1 busybox sh -c "nproc; cat /sys/fs/cgroup/cpuset.cpus.effective"'
  limit $1 'weights' '0 20 default 910' '$R --cpu-shares 512 --blkio-weight 100 busybox sh -c "cd /sys/fs/cgroup; cat cpu.weight io.weight"'
  limit $1 'pause' '0 * paused true 1 same went on' '$D run -d --network none --name pp busybox sh -c "i=0; while :; do i=\$((i+1)); echo \$i >/n; done"; sleep 1; $D pause pp >/dev/null; $D inspect -f "{{.State.Status}} {{.State.Paused}}" pp; $D exec pp true; echo $?
    a=$($D cp pp:/n - | tar xO); sleep 1; b=$($D cp pp:/n - | tar xO); test "$a" = "$b" && echo same; $D unpause pp >/dev/null; t=0; while [ $t -lt 20 ]; do c=$($D exec pp cat /n); test "$c" != "$b" && echo went on && break; t=$((t + 1)); sleep 0.5; done; $D rm -f pp >/dev/null'
  limit $1 'stop of a paused one' '0 * Exited*' '$D run -d --network none --name ps busybox sh -c "trap exit TERM; while :; do sleep 0.1; done"; $D pause ps >/dev/null; $D stop ps >/dev/null; $D ps -a --format "{{.Status}}"; $D rm ps >/dev/null'
  limit $1 'update while it runs' '0 * 33554432 25 20 134217728 0' '$D run -d --network none --name up -m 64m --pids-limit 50 busybox sh -c "while :; do sleep 0.1; done"; $D update -m 32m --pids-limit 25 --cpu-shares 512 up >/dev/null; $D exec up sh -c "cd /sys/fs/cgroup; cat memory.max pids.max cpu.weight"; $D update -m 128m up >/dev/null; $D inspect -f "{{.HostConfig.Memory}}" up; $D exec up sh -c "test \$(cat /sys/fs/cgroup/memory.max) = 134217728"; echo $?; $D rm -f up >/dev/null'
  limit $1 'limits changed under load' '0 * 137 true' '$D run -d --network none --name load -m 64m busybox sh -c "dd if=/dev/zero bs=1M count=30 of=/dev/shm/x 2>/dev/null; sleep 100"; sleep 3; $D update -m 8m --memory-swap 8m load >/dev/null; $D exec load dd if=/dev/zero of=/dev/null bs=20M count=1; $D kill load >/dev/null; $D wait load; $D inspect -f "{{.State.OOMKilled}}" load; $D rm load >/dev/null'
  limit $1 'exec is limited too' '0 * 0::/ no more' '$D run -d --network none --name ex --pids-limit 5 busybox sleep 100; $D exec ex cat /proc/self/cgroup; $D exec ex sh -c "sleep 9 & sleep 9 & sleep 9 & sleep 9 & sleep 9 & echo all" 2>/dev/null || echo no more; $D rm -f ex >/dev/null'
  limit $1 'stats' '0 * *iB / 64MiB 1' '$D run -d --network none --name st -m 64m busybox sleep 100; $D stats --no-stream --format "{{.MemUsage}} {{.PIDs}}" st; $D rm -f st >/dev/null'
  limit $1 'A-040 the tree is read-only, and hides what lies above' '0 0::/ refused refused refused' '$R -m 64m busybox sh -c "cat /proc/self/cgroup; mkdir /sys/fs/cgroup/x 2>/dev/null || echo refused; (echo max >/sys/fs/cgroup/memory.max) 2>/dev/null || echo refused"; $R --cgroupns host -m 64m --privileged busybox sh -c "mkdir /sys/fs/cgroup/x 2>/dev/null || echo refused"'
  limit $1 'A-040 a writable tree starts below the limits' '0 made refused' '$R -m 64m --security-opt writable-cgroups=true busybox sh -c "mkdir /sys/fs/cgroup/x && echo made; (echo max >/sys/fs/cgroup/memory.max) 2>/dev/null || echo refused"'
  limit $1 'A-040 parents above ours' '0 125 125 125' 'for p in .. a/../../b -.slice; do $R --cgroup-parent $p busybox true; echo $?; done'
  limit $1 'all of a container ends with it' '0 * 0' '$D run -d --network none --pid host --name hp busybox sh -c "setsid sleep 7654 & sleep 100"; sleep 1; $D kill hp >/dev/null; sleep 1; pgrep -u $(id -u) -fc "^sleep 7654"; $D rm -f hp >/dev/null; true'
  limit $1 'kill -9 of the monitor' '0 * 67108864' '$D run -d --network none --name km -m 64m busybox sleep 100; pkill -9 -u $(id -u) -x dugout-monitor; $D exec km cat /sys/fs/cgroup/memory.max; $D rm -f km >/dev/null'
  limit $1 'kill -9 of the command' '0 Up*' '$R --name kc -m 64m busybox sleep 100 & sleep 4; pkill -9 -u $(id -u) -f "^[^ ]*dugout run --rm --network none --name kc"; sleep 1; $D ps --format "{{.Status}}"; $D rm -f kc >/dev/null'
  no_group $1 'nothing left'
}
