import { groupText, parseFlatKeyed, parseLimit, parseNestedKeyed, parsePressure } from "#linux/cgroup.ts";

/** What a group uses. Each is undefined where its controller is not there. */
export interface GroupUsage {
  /** Processor time of all that ever ran in it. */
  readonly spentMicroseconds: number | undefined;
  /** Without what of the page cache would be given back first: docker's figure. */
  readonly memoryBytes: number | undefined;
  /** Undefined too where there is no limit. */
  readonly memoryLimitBytes: number | undefined;
  readonly tasks: number | undefined;
  readonly readBytes: number | undefined;
  readonly writtenBytes: number | undefined;
  /** Per cent of the last ten seconds in which some process waited for it (PSI). */
  readonly pressure: Readonly<Record<"cpu" | "memory" | "io", number | undefined>>;
}

/** Reads what a group uses, and those in it. */
export function readGroupUsage(group: string): GroupUsage {
  const number = (name: string): number | undefined => {
    const text = groupText(group, name)?.trim();
    return text !== undefined && /^[0-9]{1,20}$/.test(text) ? Number(text) : undefined;
  };
  const pressure = (name: string) => parsePressure(groupText(group, `${name}.pressure`) ?? "").some?.average10;
  const current = number("memory.current");
  const inactive = parseFlatKeyed(groupText(group, "memory.stat") ?? "").get("inactive_file") ?? 0;
  const limit = groupText(group, "memory.max");
  const io = groupText(group, "io.stat");
  const devices = [...parseNestedKeyed(io ?? "").values()];
  const sum = (key: string) => devices.reduce((total, device) => total + (device.get(key) ?? 0), 0);
  return {
    spentMicroseconds: parseFlatKeyed(groupText(group, "cpu.stat") ?? "").get("usage_usec"),
    memoryBytes: current === undefined ? undefined : Math.max(0, current - inactive),
    memoryLimitBytes: limit === undefined ? undefined : parseLimit(limit),
    tasks: number("pids.current"),
    readBytes: io === undefined ? undefined : sum("rbytes"),
    writtenBytes: io === undefined ? undefined : sum("wbytes"),
    pressure: { cpu: pressure("cpu"), memory: pressure("memory"), io: pressure("io") },
  };
}
