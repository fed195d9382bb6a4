import { median, medianCpuMs, medianMs, type Sample } from "./measure.ts";

/** One ratio that was promised: at most `atMost` times the peer. */
export type Target = { ours: string; peer: string; atMost: number };

export function formatMs(ms: number): string {
  if (ms < 100) return `${ms.toFixed(1)} ms`;
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function formatMiB(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

/** A Markdown table of medians with the quickest and the slowest run. */
export function printSamples(title: string, samples: readonly Sample[]): void {
  console.log(`\n### ${title}\n\n| | median | from | to | rounds |\n| --- | --- | --- | --- | --- |`);
  for (const sample of samples) {
    const times = sample.runs.map(({ ms }) => ms);
    const [low, high] = [Math.min(...times), Math.max(...times)];
    console.log(
      `| ${sample.name} | ${formatMs(median(times))} | ${formatMs(low)} | ${formatMs(high)} | ${times.length} |`,
    );
  }
}

/** A Markdown table of what the work took of the processors, which other work on the machine changes little. */
export function printProcessorTime(samples: readonly Sample[]): void {
  console.log("\n| | processor time, median |\n| --- | --- |");
  for (const sample of samples) console.log(`| ${sample.name} | ${formatMs(medianCpuMs(sample))} |`);
}

/** A Markdown table of ratios of medians beside what was promised. */
export function printTargets(samples: readonly Sample[], targets: readonly Target[]): void {
  const byName = new Map(samples.map((sample) => [sample.name, sample]));
  console.log("\n| ratio | measured | at most | |\n| --- | --- | --- | --- |");
  for (const { ours, peer, atMost } of targets) {
    const [mine, theirs] = [byName.get(ours), byName.get(peer)];
    if (mine === undefined || theirs === undefined) {
      console.log(`| ${ours} / ${peer} | not measured | ${atMost} | |`);
      continue;
    }
    const ratio = medianMs(mine) / medianMs(theirs);
    console.log(`| ${ours} / ${peer} | ${ratio.toFixed(2)} | ${atMost} | ${ratio <= atMost ? "met" : "missed"} |`);
  }
}
