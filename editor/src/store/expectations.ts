/** What was expected of the last jobs, so that a page that is loaded anew shows the same. */
import type { Expected } from "./nodeRun";
import { readStored, writeStored } from "./persisted";

const EXPECTED = "nodegraph.expected";
const MOST_EXPECTED = 30;

export type Expectations = Map<string, ReadonlyMap<string, Expected>>;

export function storeExpectations(all: Expectations): void {
  for (const id of [...all.keys()].slice(0, -MOST_EXPECTED)) all.delete(id);
  const written = [...all].map(([id, expected]) => [id, [...expected]]);
  writeStored(EXPECTED, written);
}

export function storedExpectations(): Expectations {
  try {
    const found = readStored(EXPECTED) as [string, [string, Expected][]][] | null;
    return new Map((found ?? []).map(([id, expected]) => [id, new Map(expected)]));
  } catch {
    // Of another version of the editor.
    return new Map();
  }
}
