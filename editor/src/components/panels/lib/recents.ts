/** Node types that were added last, on this computer, newest first. */
import { readStored, writeStored } from "@/store/persisted";

const KEY = "nodegraph.recent-types";
const MOST = 12;

export function recentTypes(): readonly string[] {
  const stored = readStored(KEY);
  return Array.isArray(stored) ? stored.filter((item) => typeof item === "string") : [];
}

export function rememberType(type: string): void {
  const types = [type, ...recentTypes().filter((other) => other !== type)].slice(0, MOST);
  writeStored(KEY, types);
}
