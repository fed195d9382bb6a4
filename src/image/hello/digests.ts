/**
 * What the embedded image is made of, by digest: constants of the source, so that bytes of the finished program that have
 * been changed are never run. When the image is meant to change, the first test of image_test.ts tells the new
 * ones.
 */
export const HELLO_DIGESTS: ReadonlyMap<string, string> = new Map([
  ["base", "sha256:049ac086c7e7d7c9a0e1be4df9c7eeab2d1f9423668334f79257d63f4c956413"],
  ["program amd64", "sha256:a752f22ce0f58f45f6823773f48c505ed034452f23052e1e7d81bdc9da2c32c3"],
  ["config amd64", "sha256:55112a637f2027594d14f91ab9d6099f8a72bb873301f16a76615c1004442dae"],
  ["manifest amd64", "sha256:f75ca9932ecd5750ba2248aa736e5b295b557e72189d98e6b7170b70b68c5187"],
  ["program arm64", "sha256:4f4171a728dc5e35ba64617e6c731a26389c7fe066b87ccacaa783b76ed9c25d"],
  ["config arm64", "sha256:e2efc0148e3b7ad3a5d3889db1e36a927ecc53ade75da0da37558057846b100f"],
  ["manifest arm64", "sha256:9f201ab42517e1413f9ec40fca0c482a0f6dbfa6c2e52c76bfe1e974c8291d1c"],
  ["index", "sha256:eaffbbbacbc57b7398c673ff3477479ab123fea83a171e5921adfb8ff13db34f"],
]);
