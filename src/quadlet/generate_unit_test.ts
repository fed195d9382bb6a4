import assert from "node:assert/strict";
import { test } from "node:test";
import { generateCronLine, generateUnit, type UnitOptions } from "./generate_unit.ts";
import { parseUnitFile } from "./unit_file.ts";
import { splitWords } from "./words.ts";

const OPTIONS: UnitOptions = {
  program: ["/opt/my tools/dug%out"],
  restart: "on-failure",
  restartSeconds: undefined,
  stopSeconds: 10,
  startSeconds: undefined,
  wants: [],
  requires: [],
  after: ["a.service"],
};

test("the unit of a container starts it in the foreground, and stops it by our own command", () => {
  const text = generateUnit({ kind: "container", reference: "web", title: "web" }, OPTIONS);
  const unit = parseUnitFile("x", text);
  const words = (key: string) => splitWords(unit.get("Service")!.find((entry) => entry.key === key)!.value);
  assert.deepEqual(words("ExecStart"), ["/opt/my tools/dug%%out", "start", "--attach", "web"]);
  assert.deepEqual(words("ExecStop"), ["/opt/my tools/dug%%out", "stop", "--timeout", "10", "web"]);
  assert.match(text, /^TimeoutStopSec=70$/m);
  assert.match(text, /^After=a\.service$/m);
});

test("a container that is made anew takes the place of the last, and nothing of it stays", () => {
  const target = { kind: "new", name: "web", words: ["--env=A=50%", "image", "sh", "-c", "echo $A"] } as const;
  const unit = parseUnitFile("x", generateUnit(target, OPTIONS));
  const words = (key: string) => splitWords(unit.get("Service")!.find((entry) => entry.key === key)!.value)?.slice(1);
  const anew = ["--name=web", "--replace", "--rm", "--sdnotify=conmon"];
  assert.deepEqual(words("ExecStart"), ["run", ...anew, "--env=A=50%%", "image", "sh", "-c", "echo $$A"]);
  assert.deepEqual(words("ExecStop"), ["stop", "--ignore", "--timeout", "10", "web"]);
  assert.deepEqual(words("ExecStopPost"), ["rm", "--force", "--ignore", "web"]);
  assert.equal(
    generateCronLine(target, ["/bin/dugout"]),
    "@reboot /bin/dugout run --detach --name=web --replace --env=A=50\\% image sh -c 'echo $A'",
  );
});

test("A-089 a hostile name makes no line of its own", () => {
  const text = generateUnit({ kind: "container", reference: "a\nExecStartPre=/bin/evil", title: "b\nX=%h" }, OPTIONS);
  assert.equal(text.split("\n").filter((line) => /^(?:ExecStartPre|X)=/.test(line)).length, 0);
  assert.match(text, /^Description=Container b\?X=%%h$/m);
});

test("a line for cron has no bare per cent sign", () => {
  assert.equal(
    generateCronLine({ kind: "container", reference: "web", title: "web" }, OPTIONS.program),
    "@reboot '/opt/my tools/dug\\%out' start web",
  );
  assert.equal(
    generateCronLine({ kind: "policies" }, ["/bin/dugout"]),
    "@reboot /bin/dugout start --filter should-start-on-boot=true",
  );
});
