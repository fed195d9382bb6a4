import assert from "node:assert/strict";
import { test } from "node:test";
import { applyChanges } from "./change.ts";

test("changes are those of a Dockerfile", () => {
  const config = applyChanges({ Env: ["PATH=/bin", "A=0"], Cmd: ["old"], WorkingDir: "/srv" }, [
    'ENTRYPOINT ["/init", "-x"]',
    "env A=1 B=\"x y\" C=a\\ b D='$A' E=${A}\\$A PATH=/opt:$PATH",
    "ENV OLD form with  spaces",
    "LABEL a=1 __proto__=x",
    "EXPOSE 80 443/udp 8000-8002/TCP",
    'VOLUME ["/data", "/more"]',
    "VOLUME /third /data",
    "USER app:app",
    "WORKDIR sub/../dir",
    "ONBUILD RUN make",
    "STOPSIGNAL SIGQUIT",
    "HEALTHCHECK --interval=1m30s --retries=3 CMD curl -f http://localhost/",
  ]);
  assert.deepEqual(config, {
    Env: ["PATH=/opt:/bin", "A=1", "B=x y", "C=a b", "D=$A", "E=0$A", "OLD=form with  spaces"],
    Entrypoint: ["/init", "-x"],
    Labels: new Map([["a", "1"], ["__proto__", "x"]]),
    ExposedPorts: ["80/tcp", "443/udp", "8000/tcp", "8001/tcp", "8002/tcp"],
    Volumes: ["/data", "/more", "/third"],
    User: "app:app",
    WorkingDir: "/srv/dir",
    OnBuild: ["RUN make"],
    StopSignal: "SIGQUIT",
    Healthcheck: { Test: ["CMD-SHELL", "curl -f http://localhost/"], Interval: 90e9, Retries: 3 },
  });
});

test("a command is a list, or a line for the shell", () => {
  assert.deepEqual(applyChanges({}, ['CMD ["a", "b c"]']).Cmd, ["a", "b c"]);
  assert.deepEqual(applyChanges({}, ["CMD a b"]).Cmd, ["/bin/sh", "-c", "a b"]);
  assert.deepEqual(applyChanges({}, ["CMD [ -f x ] && y"]).Cmd, ["/bin/sh", "-c", "[ -f x ] && y"]);
  assert.deepEqual(applyChanges({ Shell: ["/bin/bash", "-lc"] }, ["CMD a"]).Cmd, ["/bin/bash", "-lc", "a"]);
});

test("a new entrypoint drops the old command, not one that is given with it", () => {
  assert.equal(applyChanges({ Cmd: ["old"] }, ["ENTRYPOINT x"]).Cmd, undefined);
  assert.deepEqual(applyChanges({ Cmd: ["old"] }, ['CMD ["new"]', "ENTRYPOINT x"]).Cmd, ["new"]);
});

test("what is no change is refused with its words", () => {
  const bad = [
    "",
    "RUN x",
    "FROM x",
    "ENV",
    "ENV A",
    "ENV =1",
    "EXPOSE 0",
    "EXPOSE 70000",
    "EXPOSE 9-8",
    "EXPOSE 80/x",
    'LABEL a="x',
    "USER a b",
    "ONBUILD FROM x",
    "HEALTHCHECK x",
    "STOPSIGNAL a b",
    'VOLUME [""]',
  ];
  for (const change of bad) assert.throws(() => applyChanges({}, [change]), { code: "CHANGE_INVALID" }, change);
});

test("A-100 long runs of quotes and backslashes take no time", () => {
  for (const run of ['"', "\\", "$", "'", "a="]) {
    try {
      applyChanges({}, [`ENV A=${run.repeat(40_000)}`, `LABEL ${run.repeat(40_000)}`]);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "CHANGE_INVALID");
    }
  }
});
