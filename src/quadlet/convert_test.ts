import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { expectGolden } from "../../tests/support/golden.ts";
import { CONTAINER_KEYS } from "./container_keys.ts";
import { convertAll } from "./convert.ts";
import { dropInDirectories, loadSources, quadletDirectories } from "./load_sources.ts";
import { type Converted, kindOf, type Source } from "./source.ts";
import { parseUnitFile } from "./unit_file.ts";
import { installServices, printService, writeServices } from "./write_services.ts";

const FILES = fileURLToPath(new URL("../../tests/golden/quadlet/files", import.meta.url).href);

function source(file: string, text: string): Source {
  const kind = kindOf(file);
  assert.ok(kind !== undefined);
  return { file, kind, path: `/q/${file}`, unit: parseUnitFile(`/q/${file}`, text) };
}

function convert(...files: [file: string, text: string][]): Converted[] {
  return convertAll(files.map(([file, text]) => source(file, text)), ["/usr/bin/dugout"]);
}

/** What one file's own section becomes: the flags of ExecStart, or the error. */
function convertOne(text: string, file = "a.container"): string {
  const [made] = convert([file, text]);
  assert.ok(made !== undefined);
  if ("error" in made) return made.error.message;
  return made.service.unit.get("Service")!.find(({ key }) => key === "ExecStart")!.value
    .replace("/usr/bin/dugout run --name=systemd-a --replace --rm --sdnotify=conmon ", "");
}

test("files become the services that were reviewed (UPDATE_GOLDEN=1 rewrites)", () => {
  const { sources, errors } = loadSources([FILES]);
  assert.deepEqual(errors, []);
  const made = convertAll(sources, ["/usr/bin/dugout"]).sort((a, b) => a.source.file < b.source.file ? -1 : 1);
  const text = made.map((one) => {
    if ("error" in one) throw one.error;
    const links = [...one.service.links].map(([path, target]) => `${path} -> ${target}\n`).join("");
    return `---${one.service.name}---\n${printService(one.service)}${links}`;
  }).join("\n");
  expectGolden("quadlet/services.txt", text.replaceAll(FILES, "/files"));
});

test("a key that podman has is a flag or is refused; one that nobody has is an error with its line", () => {
  assert.equal(
    convertOne("[Container]\nImage=i\nBogus=1\n"),
    '/q/a.container:3: there is no key "Bogus" in [Container]',
  );
  assert.match(
    convertOne("[Container]\nImage=i\nPod=p.pod\n"),
    /^\/q\/a\.container:3: Pod= cannot be had: there are no pods/,
  );
  assert.match(convertOne("[Container]\nImage=i\nHealthStartupCmd=x\n"), /cannot be had/);
  assert.match(convertOne("[Quadlet]\nX=1\n[Container]\nImage=i\n"), /no key "X" in \[Quadlet\]/);
  // all of podman 5.5's
  assert.ok(CONTAINER_KEYS.size >= 80);
});

test("values are read by the rules of their key", () => {
  assert.equal(
    convertOne("[Container]\nImage=i\nDropCapability=A B\nDropCapability=C\n"),
    "--cap-drop=A --cap-drop=B --cap-drop=C i",
  );
  assert.equal(convertOne("[Container]\nImage=i\nTmpfs=/a b\nTmpfs=\nTmpfs=/c\n"), "--tmpfs=/c i");
  assert.equal(convertOne('[Container]\nImage=i\nEnvironment="A=b \\"c" D=\n'), '"--env=A=b \\"c" --env=D= i');
  assert.equal(convertOne('[Container]\nImage="i"\nWorkingDir=%h\n'), "--workdir=%h i");
  assert.equal(convertOne("[Container]\nImage=i\nRunInit=on\nReadOnly=no\n"), "--read-only=false --init=true i");
  assert.match(convertOne("[Container]\nImage=i\nRunInit=perhaps\n"), /true or false/);
  assert.match(convertOne('[Container]\nImage=i\nExec="a\n'), /not closed/);
  assert.equal(convertOne('[Container]\nImage=i\nEntrypoint=["a", "b"]\nExec=c "d e"\n'), '--entrypoint=a i b c "d e"');
  assert.equal(convertOne("[Container]\nRootfs=./r\n"), "--rootfs=/q/r");
  assert.equal(convertOne("[Container]\nImage=i\nPodmanArgs=--label 'x y'\n"), '--label "x y" i');
});

test("what contradicts itself, or would not work as a unit, is told", () => {
  assert.match(convertOne("[Service]\nType=notify\n"), /no section \[Container\]/);
  assert.match(convertOne("[Container]\nExec=x\n"), /neither Image= nor Rootfs=/);
  assert.match(convertOne("[Container]\nImage=i\nRootfs=/\n"), /exclude each other/);
  assert.match(convertOne("[Container]\nImage=i\nGroup=1\n"), /needs User=/);
  assert.match(convertOne("[Container]\nImage=i\nLogDriver=json-file\n"), /journald or passthrough/);
  assert.match(convertOne("[Container]\nImage=i\n[Service]\nType=forking\n"), /notify or oneshot/);
  assert.match(convertOne("[Container]\nImage=i\n[Service]\nKillMode=none\n"), /KillMode=/);
  assert.match(convertOne("[Container]\nImage=i\n[Service]\nExecStart=x\n"), /made from \[Container\]/);
  assert.match(convertOne("[Container]\nImage=i\nServiceName=a/b\n"), /cannot be the name of a unit/);
  assert.match(convertOne("[Container]\nImage=i\n[Install]\nWantedBy=../x\n"), /cannot be the name of a unit/);
});

test("files of kinds that are not there are refused, each with a reason", () => {
  for (const kind of ["pod", "kube", "build", "artifact"]) {
    assert.match(convertOne("[X]\n", `a.${kind}`), new RegExp(`^/q/a\\.${kind}: \\.${kind} files cannot be had: `));
  }
});

test("a .network file becomes a service that makes the network where it is not there", () => {
  const convertNetwork = (text: string) => convertOne(text, "n.network").replace("/usr/bin/dugout ", "");
  assert.equal(convertNetwork("[Network]\n"), "network create --ignore systemd-n");
  assert.equal(
    convertNetwork(
      "[Network]\nNetworkName=mine\nSubnet=10.1.0.0/16\nSubnet=fd00::/64\nDriver=bridge\nIPAMDriver=host-local\n",
    ),
    "network create --ignore --subnet=10.1.0.0/16 --subnet=fd00::/64 mine",
  );
  assert.equal(
    convertNetwork('[Network]\nGlobalArgs=--debug\nPodmanArgs=--attachable\nLabel="a=b c" d=e\n'),
    '--debug network create --ignore "--label=a=b c" --label=d=e --attachable systemd-n',
  );
  assert.match(convertNetwork("[Network]\nDriver=macvlan\n"), /^\/q\/n\.network:2: Driver= is bridge/);
  assert.match(convertNetwork("[Network]\nIPAMDriver=dhcp\n"), /IPAMDriver= is host-local/);
  for (const key of ["ContainersConfModule", "DNS", "DisableDNS"]) {
    assert.match(convertNetwork(`[Network]\n${key}=x\n`), new RegExp(`:2: ${key}= cannot be had: `));
  }
  assert.match(convertNetwork("[Network]\nBogus=1\n"), /no key "Bogus" in \[Network\]/);
  assert.match(convertNetwork("[Container]\n"), /no section \[Network\]/);
});

test("all commands of a service have the arguments of GlobalArgs=", () => {
  const [made] = convert(["a.container", "[Container]\nImage=i\nGlobalArgs=--root /r\nReloadSignal=HUP\n"]);
  assert.ok(made !== undefined && "service" in made);
  const commands = made.service.unit.get("Service")!.filter(({ key }) => key.startsWith("Exec"));
  assert.deepEqual(commands.map(({ key }) => key), ["ExecStart", "ExecStop", "ExecReload"]);
  for (const { value } of commands) assert.match(value, /^\/usr\/bin\/dugout --root \/r (run|stop|kill) /);
});

test("Network= names the network of another file, whose service comes first", () => {
  const network = (value: string): string => {
    const [, made] = convert(
      ["n.network", "[Network]\n"],
      ["a.container", `[Container]\nImage=i\nNetwork=${value}\n`],
    );
    assert.ok(made !== undefined);
    if ("error" in made) return made.error.message;
    const lines = (section: string) =>
      made.service.unit.get(section)!.filter(({ key }) => ["Requires", "After", "ExecStart"].includes(key)).map((
        { key, value },
      ) => key === "ExecStart" ? value.replace(/^.*(--network=\S+).*$/, "$1") : `${key}=${value}`);
    return [...lines("Unit"), ...lines("Service")].join(" ");
  };
  const needs = "Requires=n-network.service After=n-network.service";
  assert.equal(network("n.network"), `${needs} --network=systemd-n`);
  assert.equal(
    network("n.network:ip=10.0.0.9,ip=fd00::9,mac=02:00:00:00:00:09,alias=m"),
    `${needs} --network=name=systemd-n,ip=10.0.0.9,ip6=fd00::9,mac-address=02:00:00:00:00:09,alias=m`,
  );
  assert.equal(network("n.network:ip=%i"), `${needs} --network=name=systemd-n,ip=%i`);
  assert.equal(network("mine:ip=10.0.0.9"), "--network=name=mine,ip=10.0.0.9");
  assert.match(network("container:c=d"), /there is no key "container:c"/);
  assert.match(network("x.network"), /^\/q\/a\.container:3: Network= names x\.network, which is not there/);
  assert.match(network("n.network:ip=nine"), /"nine" is no address/);
  assert.match(network("n.network:vrf=x"), /the option "vrf" cannot be had/);
});

test("a reference to a file that is not there is an error, and one that is wrong does not keep others from working", () => {
  assert.match(convertOne("[Container]\nImage=i\nVolume=x.volume:/x\n"), /names x\.volume, which is not there/);
  assert.match(
    convertOne("[Unit]\nAfter=x.container\n[Container]\nImage=i\n"),
    /names x\.container, which is not there/,
  );
  const [first, second] = convert(["a.container", "[Container]\n"], ["b.container", "[Container]\nImage=i\n"]);
  assert.ok(first !== undefined && "error" in first);
  assert.ok(second !== undefined && "service" in second && second.service.name === "b.service");
});

test("two files that make the same service are told", () => {
  const [, second] = convert(
    ["a.container", "[Container]\nImage=i\n"],
    ["b.container", "[Container]\nImage=i\nServiceName=a\n"],
  );
  assert.ok(
    second !== undefined && "error" in second && /already made from \/q\/a\.container/.test(second.error.message),
  );
});

test("A-089 a section's lines stay in it, whatever a value holds", () => {
  const line = convertOne('[Container]\nImage=i\nLabel="a=b\\nExecStartPre=/bin/evil"\n');
  assert.equal(line, '"--label=a=b\\nExecStartPre=/bin/evil" i');
});

test("directories of drop-ins go from the widest to the narrowest", () => {
  assert.deepEqual(dropInDirectories("a-b-c@1.container"), [
    "container.d",
    "a-.container.d",
    "a-b-.container.d",
    "a-b-c@.container.d",
    "a-b-c@1.container.d",
  ]);
});

test("places are podman's, or those that the environment names", () => {
  const places = quadletDirectories({ env: { XDG_RUNTIME_DIR: "/run/user/7" }, uid: 7, home: "/home/a" });
  assert.deepEqual(places.slice(0, 4), [
    "/run/user/7/containers/systemd",
    "/home/a/.config/containers/systemd",
    "/etc/containers/systemd/users/7",
    "/etc/containers/systemd/users",
  ]);
  assert.deepEqual(quadletDirectories({ env: { QUADLET_UNIT_DIRS: "/a:b:/c" }, uid: 7, home: "/h" }), ["/a", "/c"]);
});

test("the first file of a name counts; links are followed, and what cannot be read is told", () => {
  const directory = mkdtempSync(join(tmpdir(), "dugout-quadlet-"));
  try {
    for (const name of ["first", "second/below"]) mkdirSync(join(directory, name), { recursive: true });
    writeFileSync(join(directory, "first/a.container"), "[Container]\nImage=first\n");
    writeFileSync(join(directory, "second/below/a.container"), "[Container]\nImage=second\n");
    writeFileSync(join(directory, "second/b.container"), new Uint8Array([0xff, 0xfe]));
    symlinkSync("below/a.container", join(directory, "second/c.container"));
    symlinkSync("nowhere", join(directory, "second/d.container"));
    symlinkSync("..", join(directory, "second/below/loop"));
    const { sources, errors } = loadSources([join(directory, "first"), join(directory, "second")]);
    assert.deepEqual(sources.map(({ file }) => file).sort(), ["a.container", "c.container"]);
    assert.equal(sources.find(({ file }) => file === "a.container")?.path, join(directory, "first/a.container"));
    assert.equal(errors.length, 1);
    assert.match(errors[0]!.message, /b\.container: it is not UTF-8/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("services are written with their links; what is made no more is removed, and what is somebody else's is left", () => {
  const directory = mkdtempSync(join(tmpdir(), "dugout-quadlet-"));
  try {
    const make = (file: string) => {
      const [made] = convert([file, "[Container]\nImage=i\n[Install]\nWantedBy=default.target\nAlias=z.service\n"]);
      assert.ok(made !== undefined && "service" in made);
      return made.service;
    };
    const all = () => readdirSync(directory, { recursive: true }).map(String).sort();
    writeServices(join(directory), [make("a.container")]);
    assert.deepEqual(all(), ["a.service", "default.target.wants", "default.target.wants/a.service", "z.service"]);
    assert.equal(readlinkSync(join(directory, "default.target.wants/a.service")), "../a.service");
    rmSync(directory, { recursive: true });

    installServices(directory, [make("a.container")]);
    installServices(directory, [make("b.container")]);
    assert.deepEqual(all(), [
      ".dugout-quadlet",
      "b.service",
      "default.target.wants",
      "default.target.wants/b.service",
      "z.service",
    ]);
    writeFileSync(join(directory, "a.service"), "mine");
    assert.throws(() => installServices(directory, [make("a.container")]), /it is there already/);
    assert.equal(readFileSync(join(directory, "a.service"), "utf8"), "mine");
    // a list that was tampered with removes nothing elsewhere
    writeFileSync(join(directory, ".dugout-quadlet"), "../x\n/etc/passwd\nb.service\n");
    chmodSync(directory, 0o755);
    installServices(directory, []);
    assert.deepEqual(all().filter((name) => name === "a.service" || name === "b.service"), ["a.service"]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
