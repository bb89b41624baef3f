/** All that is wrong, from the check, the last run and the packs, each once. */
import type { Finding } from "@/api/schema";

export type Origin = "check" | "run" | "pack";

export interface Problem {
  readonly key: string;
  readonly origin: Origin;
  readonly finding: Finding;
  readonly isWarning: boolean;
}

/** Codes of what doesn't keep a workflow from running. */
const WARNINGS = new Set(["deprecated"]);

export function problemsOf(
  check: readonly Finding[],
  run: readonly Finding[],
  packs: readonly string[],
): readonly Problem[] {
  const found = new Map<string, Problem>();
  const add = (origin: Origin, finding: Finding) => {
    const key = [finding.code, finding.node, finding.port, finding.message].join("\n");
    if (found.has(key)) return;
    const isWarning = origin === "pack" || WARNINGS.has(finding.code);
    found.set(key, { key, origin, finding, isWarning });
  };
  for (const finding of check) add("check", finding);
  for (const finding of run) add("run", finding);
  for (const message of packs) add("pack", { code: "pack", message });
  return [...found.values()];
}
