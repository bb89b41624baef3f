import { readStored, writeStored } from "@/store/persisted";

const KEY = "nodegraph.commands";
const MOST = 8;

/** Ids of the commands last chosen in the palette, the latest first. */
export function recentCommands(): readonly string[] {
  const stored = readStored(KEY);
  return Array.isArray(stored) ? stored.filter((id) => typeof id === "string").slice(0, MOST) : [];
}

export function rememberCommand(id: string): void {
  writeStored(KEY, [id, ...recentCommands().filter((other) => other !== id)].slice(0, MOST));
}
