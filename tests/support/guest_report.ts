/** What one check printed: its verdict and, where it failed, the lines up to the next check. */
export function findVerdict(output: string, user: string, check: string): string {
  const lines = output.split("\n");
  const first = lines.findIndex((line) => line.startsWith(`${user} ${check}: `));
  if (first < 0) return `the check did not run:\n${output}`;
  const next = lines.findIndex((line, index) => index > first && /^(?:alice|bob) [\w ,-]+: (?:ok|FAILED)/.test(line));
  return lines.slice(first, next < 0 ? undefined : next).join("\n");
}
