/** One thing that was done to a workflow, to be said in words. */
import type { Scope } from "../scope";

export interface Change {
  /** The text that says it: what follows "history.". */
  readonly says: string;
  readonly values: Readonly<Record<string, string | number>>;
  readonly scope: Scope;
  /** The node that it is of and that is there now; null if it is of none, or of several. */
  readonly node: string | null;
}

const MOST_NAMES = 6;

/** Names one after the other, the first few of many. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMES).join(", ");
  return names.length > MOST_NAMES ? `${shown}, …` : shown;
}
