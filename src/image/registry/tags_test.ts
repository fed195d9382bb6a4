import assert from "node:assert/strict";
import { test } from "node:test";
import { DugoutError } from "#oci/error.ts";
import { mutateJson } from "#oci/fuzz_support.ts";
import { endpointOf, makeTestClient } from "./client_support.ts";
import { hasCode } from "./error.ts";
import { answer, answerJson, type Script, startServer } from "./scripted_server.ts";
import { parseSearchFilters, searchImages, splitTerm } from "./search.ts";
import { listTags, parseNextLink } from "./tags.ts";

async function withServer<T>(
  script: Script,
  run: (host: string, client: ReturnType<typeof makeTestClient>["client"]) => Promise<T>,
): Promise<T> {
  const server = await startServer((request, response) =>
    request.url === "/v2/" ? answer(response, 200) : script(request, response)
  );
  const { client } = makeTestClient();
  try {
    return await run(server.host, client);
  } finally {
    client.close();
    await server.close();
  }
}

test("the next page is found in a Link field", () => {
  assert.equal(parseNextLink('</v2/x/tags/list?last=b&n=2>; rel="next"'), "/v2/x/tags/list?last=b&n=2");
  assert.equal(parseNextLink('<a>; rel="prev", <b>;rel=next'), "b");
  for (const value of ["", "<", "<a", "<a>", '<a>; rel="nextish"', "x".repeat(20_000), "<".repeat(10_000)]) {
    assert.equal(parseNextLink(value), undefined);
  }
});

test("all pages of tags are read", async () => {
  const tags = await withServer((request, response) => {
    const page = Number(new URL(request.url, "http://h").searchParams.get("page") ?? 0);
    const next: Record<string, string> = page < 2
      ? { link: `</v2/some/image/tags/list?page=${page + 1}>; rel="next"` }
      : {};
    answerJson(response, 200, { name: "some/image", tags: page === 1 ? null : [`t${page}`, "again"] }, next);
  }, (host, client) => listTags(client, endpointOf(host)));
  assert.deepEqual(tags, ["t0", "again", "t2"]);
});

test("A-098 pages that go in a circle, without end, or elsewhere are refused", async () => {
  const code = (link: (request: string) => string) =>
    withServer(
      (request, response) => answerJson(response, 200, { tags: ["x"] }, { link: `<${link(request.url)}>; rel="next"` }),
      async (host, client) => {
        try {
          await listTags(client, endpointOf(host));
          return "none";
        } catch (error) {
          return error instanceof DugoutError ? error.code : String(error);
        }
      },
    );
  assert.equal(await code((url) => url), "RESPONSE_INVALID");
  let count = 0;
  assert.equal(await code(() => `/v2/some/image/tags/list?page=${++count}`), "RESPONSE_TOO_LARGE");
  assert.equal(count, 1000);
  assert.equal(await code(() => "http://127.0.0.2/v2/x/tags/list"), "URL_REFUSED");
  assert.equal(await code(() => "file:///etc/passwd"), "URL_REFUSED");
});

test("A-020 whatever node of the tags is replaced, they are a list or our own error", async () => {
  let current = "";
  await withServer((_request, response) => answer(response, 200, current), async (host, client) => {
    for (const variant of mutateJson({ name: "x", tags: ["a", "b"] })) {
      current = variant;
      try {
        await listTags(client, endpointOf(host));
      } catch (error) {
        if (!(error instanceof DugoutError)) throw error;
      }
    }
  });
});

test("a search term names a registry by the rule of image names", () => {
  assert.deepEqual(splitTerm("debian"), { host: undefined, words: "debian" });
  assert.deepEqual(splitTerm("me/debian"), { host: undefined, words: "me/debian" });
  assert.deepEqual(splitTerm("docker.io/debian"), { host: undefined, words: "debian" });
  assert.deepEqual(splitTerm("reg.example:5000/a/b"), { host: "reg.example:5000", words: "a/b" });
});

test("a search at another registry reads its catalog, or its old search where it has no catalog", async () => {
  const catalog = await withServer(
    (_request, response) => answerJson(response, 200, { repositories: ["a/debian", "busybox", "debian-slim"] }),
    (host, client) =>
      searchImages(client, { term: `${host}/debian`, limit: 1 }, () => false).then((found) =>
        found.map(({ name }) => name.replace(host, "H"))
      ),
  );
  assert.deepEqual(catalog, ["H/a/debian"]);
  const old = await withServer(
    (request, response) => {
      if (!request.url.startsWith("/v1/search?q=debian&n=25")) return answer(response, 404);
      answerJson(response, 200, {
        results: [{ name: "x/debian", star_count: 3, is_official: true, description: "d" }, { name: "y" }],
      });
    },
    (host, client) =>
      searchImages(client, { term: `${host}/debian`, filters: { stars: 2 } }, () => false).then((found) =>
        found.map((result) => ({ ...result, name: result.name.replace(host, "H") }))
      ),
  );
  assert.deepEqual(old, [{ name: "H/x/debian", description: "d", stars: 3, isOfficial: true, isAutomated: false }]);
});

test("filters and limits of a search are checked", async () => {
  assert.deepEqual(parseSearchFilters(["stars=3", "is-official=true", "is-automated=false"]), {
    stars: 3,
    isOfficial: true,
    isAutomated: false,
  });
  for (const filter of ["stars=x", "stars=true", "is-official=1", "name=x", "stars", ""]) {
    assert.throws(() => parseSearchFilters([filter]), DugoutError, filter);
  }
  const { client } = makeTestClient();
  for (const limit of [0, 101, 1.5]) {
    await assert.rejects(
      searchImages(client, { term: "x", limit }, () => false),
      (error) => hasCode(error, "LIMIT_INVALID"),
    );
  }
  client.close();
});
