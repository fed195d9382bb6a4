/**
 * What the embedded image is made of, by digest: constants of the source, so that bytes of the finished program that have
 * been changed are never run. When the image is meant to change, the first test of image_test.ts tells the new
 * ones.
 */
export const HELLO_DIGESTS: ReadonlyMap<string, string> = new Map([
  ["base", "sha256:049ac086c7e7d7c9a0e1be4df9c7eeab2d1f9423668334f79257d63f4c956413"],
  ["program amd64", "sha256:329a7db01fa2972a8680947524e17821ab330374f6e8861ad25ad9d8ef10803e"],
  ["config amd64", "sha256:b75f3fbaa89d0b0230d7a1870766ed437fbd675f0d4886c3b744aab1d32f2ff2"],
  ["manifest amd64", "sha256:3bca9dd0b2eb5da7840eed268e16b9abee8b671bc5126f8d993086f62c2d405d"],
  ["program arm64", "sha256:c405eb8140eb4a791bc418919bf518f2deae922ef9921e93f97137f7c1520c6d"],
  ["config arm64", "sha256:e4e4bdc567ba3c27214c7a84ed5538911682463d6c30815ca257d0101bd2bdf2"],
  ["manifest arm64", "sha256:31945388b9c849f830cbfbc4877f787c3bb648d710531b655077067006d6ab40"],
  ["index", "sha256:e5a18f122a5e5fbedc9a742a1b9fbf998c44f80c7288d572b1cc2c8fc1953eb3"],
]);
