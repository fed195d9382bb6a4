import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { DugoutError } from "#oci/error.ts";
import { mutateJson } from "#oci/fuzz_support.ts";
import { parseAuthFile } from "./auth_file.ts";
import { endpointOf, makeTestClient } from "./client_support.ts";
import { getFromHelper, planHelperEnv } from "./credential_helper.ts";
import { basicAuthorization } from "./credentials.ts";
import { hasCode } from "./error.ts";
import { createCredentialsFinder, type CredentialPlaces } from "./find_credentials.ts";
import { checkLogin, parseServer, removeCredentials, storeCredentials, storedUsername } from "./login.ts";
import { answer, answerJson, startServer } from "./scripted_server.ts";

const auth = (user: string, password: string) => ({ auth: Buffer.from(`${user}:${password}`).toString("base64") });

/** A home with these files; a file that begins with `#!` is made executable. */
async function withHome(
  files: Record<string, unknown>,
  run: (places: CredentialPlaces, home: string) => Promise<void>,
): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "dugout-login-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(home, name)), { recursive: true });
      writeFileSync(join(home, name), typeof content === "string" ? content : JSON.stringify(content));
      if (typeof content === "string" && content.startsWith("#!")) chmodSync(join(home, name), 0o755);
    }
    await run({
      home,
      env: { PATH: `${join(home, "bin")}:/usr/bin:/bin`, HOME: home, XDG_RUNTIME_DIR: join(home, "run") },
    }, home);
  } finally {
    rmSync(home, { recursive: true });
  }
}

const usernameOf = async (places: CredentialPlaces, host: string, repository = "x"): Promise<string | undefined> => {
  const found = await createCredentialsFinder(places)(host, repository);
  return found === undefined ? undefined : found.kind === "bearer" ? "bearer" : `${found.kind} ${found.username}`;
};

test("credentials come from Docker's config.json and from podman's auth.json, in this order", async () => {
  await withHome({
    ".docker/config.json": {
      auths: { "a.example": auth("docker", "p"), "https://index.docker.io/v1/": auth("hub", "p") },
    },
    "run/containers/auth.json": { auths: { "a.example": auth("session", "p"), "b.example": auth("session", "p") } },
    ".config/containers/auth.json": { auths: { "b.example": auth("user", "p"), "c.example": auth("user", "p") } },
    "named.json": { auths: { "a.example": auth("named", "p") } },
  }, async (places, home) => {
    assert.equal(await usernameOf(places, "a.example"), "password docker");
    assert.equal(await usernameOf(places, "b.example"), "password session");
    assert.equal(await usernameOf(places, "c.example"), "password user");
    assert.equal(await usernameOf(places, "docker.io"), "password hub");
    assert.equal(await usernameOf(places, "d.example"), undefined);
    assert.equal(
      await usernameOf(
        { ...places, env: { ...places.env, REGISTRY_AUTH_FILE: join(home, "named.json") } },
        "a.example",
      ),
      "password named",
    );
    assert.equal(await usernameOf({ ...places, configDir: join(home, "none") }, "a.example"), "password session");
  });
});

test("A-019 the whole host and port must be the same: look-alikes find nothing", async () => {
  const auths = {
    "reg.example": auth("me", "p"),
    "port.example:5000": auth("port", "p"),
    "https://old.example/v1/": auth("old", "p"),
    "[::1]:5000": auth("six", "p"),
  };
  await withHome({ ".docker/config.json": { auths } }, async (places) => {
    assert.equal(await usernameOf(places, "reg.example"), "password me");
    assert.equal(await usernameOf(places, "port.example:5000"), "password port");
    assert.equal(await usernameOf(places, "old.example"), "password old");
    assert.equal(await usernameOf(places, "[::1]:5000"), "password six");
    for (
      const host of [
        "reg.example:443",
        "REG.example",
        "reg.example.",
        "reg.example.evil.test",
        "evilreg.example",
        "a.reg.example",
        "example",
        "port.example",
        "port.example:50000",
        "me@reg.example",
        "docker.io",
        "[::1]:500",
        "[0:0:0:0:0:0:0:1]:5000",
      ]
    ) {
      assert.equal(await usernameOf(places, host), undefined, host);
    }
  });
});

test("A-019 credentials that a request brings are for its registry alone", async () => {
  await withHome({ ".docker/config.json": { auths: { "mirror.example": auth("mirror", "p") } } }, async (places) => {
    const find = createCredentialsFinder(places, {
      host: "reg.example",
      credentials: { kind: "password", username: "given", password: "p" },
    });
    assert.deepEqual(await find("reg.example", "x"), { kind: "password", username: "given", password: "p" });
    assert.deepEqual(await find("mirror.example", "x"), { kind: "password", username: "mirror", password: "p" });
    assert.equal(await find("other.example", "x"), undefined);
  });
});

test("podman's entries for a path count for what is below it, the longest first", async () => {
  const auths = {
    "r.example": auth("all", "p"),
    "r.example/foo": auth("foo", "p"),
    "r.example/foo/bar": auth("bar", "p"),
  };
  await withHome({ ".config/containers/auth.json": { auths } }, async (places) => {
    assert.equal(await usernameOf(places, "r.example", "foo/bar"), "password bar");
    assert.equal(await usernameOf(places, "r.example", "foo/bar/baz"), "password bar");
    assert.equal(await usernameOf(places, "r.example", "foo/other"), "password foo");
    assert.equal(await usernameOf(places, "r.example", "foobar"), "password all");
  });
});

test("C-042 an identity token is one, and not a user without a password", async () => {
  const auths = {
    "r.example": { ...auth("me", ""), identitytoken: "t" },
    "s.example": { registrytoken: "b" },
    "e.example": {},
  };
  await withHome({ ".docker/config.json": { auths } }, async (places) => {
    assert.deepEqual(await createCredentialsFinder(places)("r.example", "x"), {
      kind: "identity",
      username: "me",
      identityToken: "t",
    });
    assert.equal(await usernameOf(places, "s.example"), "bearer");
    assert.equal(await usernameOf(places, "e.example"), undefined);
  });
});

const HELPER = (name: string) =>
  `#!/bin/sh
read server
echo "$0 $1 $server \${BUN_OPTIONS-unset}" >> "$HOME/calls"
case "$server" in
  missing*) echo "credentials not found in native keychain"; exit 1 ;;
  broken*) echo "the keyring is locked" >&2; exit 2 ;;
  token*) echo '{"ServerURL":"x","Username":"<token>","Secret":"t"}' ;;
  *) echo '{"ServerURL":"x","Username":"${name}","Secret":"s"}' ;;
esac
`;

test("C-043 the helper for the host goes before the general store, and that before auths", async () => {
  await withHome({
    "bin/docker-credential-one": HELPER("one"),
    "bin/docker-credential-two": HELPER("two"),
    ".docker/config.json": {
      auths: {
        "host.example": auth("file", "p"),
        "missing.example": auth("file", "p"),
        "broken.example": auth("file", "p"),
      },
      credHelpers: { "host.example": "one" },
      credsStore: "two",
    },
  }, async (places, home) => {
    assert.equal(await usernameOf(places, "host.example"), "password one");
    assert.equal(await usernameOf(places, "other.example"), "password two");
    assert.equal(await usernameOf(places, "missing.example"), "password file");
    assert.deepEqual(await createCredentialsFinder(places)("token.example", "x"), {
      kind: "identity",
      username: "",
      identityToken: "t",
    });
    assert.equal(await usernameOf(places, "docker.io"), "password two");
    assert.match(
      readFileSync(join(home, "calls"), "utf8"),
      /docker-credential-two get https:\/\/index\.docker\.io\/v1\/ unset/,
    );
    await assert.rejects(usernameOf(places, "broken.example"), (error) => {
      assert.ok(hasCode(error, "CREDENTIAL_HELPER_FAILED"));
      assert.match((error as Error).message, /status 2: the keyring is locked/);
      return true;
    });
  });
});

test("A-019 a helper that is missing, hangs, prints without end, or has a path for a name sends nothing", async () => {
  await withHome({
    "bin/docker-credential-hang": "#!/bin/sh\nexec sleep 600\n",
    "bin/docker-credential-flood": "#!/bin/sh\nexec cat /dev/zero\n",
    "bin/docker-credential-silent": "#!/bin/sh\nexit 0\n",
    "bin/docker-credential-badjson": "#!/bin/sh\necho '{\"Username\":5}'\n",
    "docker-credential-here": '#!/bin/sh\necho \'{"Username":"here","Secret":"s"}\'\n',
  }, async (places, home) => {
    const code = async (helper: string, server = "h.example", env = places.env): Promise<string> => {
      try {
        await getFromHelper(helper, server, { env, timeoutMs: 300 });
        return "none";
      } catch (error) {
        return error instanceof DugoutError ? error.code : String(error);
      }
    };
    assert.equal(await code("hang"), "CREDENTIAL_HELPER_FAILED");
    assert.equal(await code("flood"), "CREDENTIAL_HELPER_FAILED");
    assert.equal(await code("silent"), "JSON_INVALID");
    assert.equal(await code("badjson"), "CREDENTIAL_HELPER_FAILED");
    assert.equal(await code("absent"), "CREDENTIAL_HELPER_MISSING");
    for (const name of ["../bin/x", "a/b", "", "-x", "x\ny", "x".repeat(200)]) {
      assert.equal(await code(name), "CREDENTIAL_HELPER_FAILED", name);
    }
    for (const server of ["h\nusername=x", "h\0", "", "h e", "x".repeat(400)]) {
      assert.equal(await code("silent", server), "REFERENCE_INVALID", server);
    }
    const before = process.cwd();
    process.chdir(home);
    try {
      assert.equal(await code("here", "h.example", { PATH: ":.:/nowhere" }), "CREDENTIAL_HELPER_MISSING");
    } finally {
      process.chdir(before);
    }
  });
});

test("A-104 a helper does not get the variables that steer our own runtime", () => {
  const env = planHelperEnv({
    PATH: "/bin",
    HOME: "/h",
    BUN_OPTIONS: "x",
    BUN_BE_BUN: "1",
    LD_PRELOAD: "x",
    NODE_OPTIONS: "x",
    AWS_PROFILE: "p",
    DBUS_SESSION_BUS_ADDRESS: "d",
  });
  assert.deepEqual({ ...env }, { PATH: "/bin", HOME: "/h", AWS_PROFILE: "p", DBUS_SESSION_BUS_ADDRESS: "d" });
});

test("A-020 A-087 whatever node of a config.json is replaced, it is read or refused by our own error", () => {
  for (
    const text of mutateJson({
      auths: { h: { auth: "eDp5", identitytoken: "t" } },
      credHelpers: { h: "x" },
      credsStore: "s",
    })
  ) {
    try {
      parseAuthFile(Buffer.from(text), "the file");
    } catch (error) {
      if (!(error instanceof DugoutError)) throw error;
    }
  }
  const file = parseAuthFile(Buffer.from('{"auths":{"__proto__":{"auth":"eDp5"}}}'), "the file");
  assert.deepEqual([...file.auths?.keys() ?? []], ["__proto__"]);
});

test("a login is written whole, 0600, with everything that was there kept; a logout takes it away again", async () => {
  const config = {
    HttpHeaders: { "X-A": "b" },
    auths: { "other.example": auth("o", "p"), "https://r.example/v1/": auth("old", "p") },
    unknown: [1, { a: null }],
  };
  await withHome({ "dotfiles/config.json": config }, async (places, home) => {
    mkdirSync(join(home, ".docker"));
    symlinkSync(join(home, "dotfiles/config.json"), join(home, ".docker/config.json"));
    const path = join(home, ".docker/config.json");
    const written = await storeCredentials(places, "r.example", { kind: "password", username: "me", password: "pä:ß" });
    assert.equal(written, path);
    const after = JSON.parse(readFileSync(path, "utf8"));
    assert.deepEqual(after, {
      ...config,
      auths: { "other.example": config.auths["other.example"], "r.example": auth("me", "pä:ß") },
    });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.ok(lstatSync(path).isSymbolicLink());
    assert.equal(await usernameOf(places, "r.example"), "password me");
    assert.equal(await storedUsername(places, "r.example"), "me");
    assert.equal(await removeCredentials(places, "r.example"), true);
    assert.equal(await removeCredentials(places, "r.example"), false);
    assert.deepEqual(JSON.parse(readFileSync(path, "utf8")), {
      ...config,
      auths: { "other.example": config.auths["other.example"] },
    });
  });
});

test("a login makes the directory 0700; Docker's own registry has Docker's key; a helper gets what it is to keep", async () => {
  await withHome({
    "bin/docker-credential-keep":
      '#!/bin/sh\n[ "$1" = store ] && cat > "$HOME/kept"\n[ "$1" = erase ] && rm "$HOME/kept"\nexit 0\n',
  }, async (places, home) => {
    await storeCredentials(places, "docker.io", { kind: "identity", username: "me", identityToken: "t" });
    const path = join(home, ".docker/config.json");
    assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
    assert.deepEqual(JSON.parse(readFileSync(path, "utf8")), {
      auths: { "https://index.docker.io/v1/": { ...auth("me", ""), identitytoken: "t" } },
    });
    writeFileSync(path, JSON.stringify({ credsStore: "keep" }));
    assert.equal(
      await storeCredentials(places, "r.example", { kind: "password", username: "me", password: "secret" }),
      undefined,
    );
    assert.deepEqual(JSON.parse(readFileSync(join(home, "kept"), "utf8")), {
      ServerURL: "r.example",
      Username: "me",
      Secret: "secret",
    });
    assert.ok(!readFileSync(path, "utf8").includes("secret"));
    assert.equal(await removeCredentials(places, "r.example"), true);
    assert.equal(existsSync(join(home, "kept")), false);
  });
});

test("a login asks the registry, by Basic or for a token, and keeps an identity token where one is given", async () => {
  let mode = "basic";
  const server: Awaited<ReturnType<typeof startServer>> = await startServer((request, response) => {
    const authorization = request.headers["authorization"];
    if (request.url.startsWith("/token")) {
      if (authorization !== basicAuthorization("me", "right")) {
        return answerJson(response, 401, { details: "incorrect username or password" });
      }
      return answerJson(response, 200, { token: "t", ...(mode === "offline" ? { refresh_token: "r" } : {}) });
    }
    if (mode === "open") return answer(response, 200);
    if (mode === "nothing") return answer(response, 404);
    if (mode === "basic" && authorization === basicAuthorization("me", "right")) return answer(response, 200);
    if (authorization === "Bearer t") return answer(response, 200);
    answer(response, 401, "", {
      "www-authenticate": mode === "basic" ? 'Basic realm="x"' : `Bearer realm="${server.origin}/token",service="s"`,
    });
  });
  const login = async (password: string) => {
    const { client } = makeTestClient();
    try {
      return (await checkLogin(client, endpointOf(server.host, ""), { kind: "password", username: "me", password }))
        .credentials.kind;
    } catch (error) {
      return error instanceof DugoutError ? error.code : String(error);
    } finally {
      client.close();
    }
  };
  for (mode of ["basic", "token"]) {
    assert.equal(await login("right"), "password", mode);
    assert.equal(await login("wrong"), "UNAUTHORIZED", mode);
  }
  mode = "offline";
  assert.equal(await login("right"), "identity");
  assert.ok(server.log.at(-2)?.url.includes("offline_token=true"));
  mode = "open";
  assert.equal(await login("any"), "password");
  mode = "nothing";
  assert.equal(await login("right"), "LOGIN_FAILED");
  await server.close();
});

test("the registry of a login may be written in old ways", () => {
  assert.equal(parseServer(undefined), "docker.io");
  assert.equal(parseServer("https://index.docker.io/v1/"), "docker.io");
  assert.equal(parseServer("http://h:5000"), "h:5000");
  assert.equal(parseServer("h.example/path"), "h.example");
  for (const text of ["", "h e", "user@h", "h:99999", "\n"]) assert.throws(() => parseServer(text), DugoutError, text);
});
