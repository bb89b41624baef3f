/** By which node a block was entered: its insides are shown as they are in that use of it. */
import type { NodeTypes } from "@/model/spec";
import type { Workflow } from "@/model/workflow";
import { prefixesOf } from "./places";

/** The nodes by which blocks were entered, by document and path. */
const entered = new Map<string, string>();

function keyOf(document: string, path: readonly string[]): string {
  return [document, ...path].join("/");
}

/** Remember the node that led to a path of blocks. */
export function rememberEntered(document: string, path: readonly string[], node: string): void {
  entered.set(keyOf(document, path), node);
}

/** What stands before the names of a graph's nodes in a run: "" or "block/". */
export function runPrefix(
  document: string,
  workflow: Workflow,
  types: NodeTypes | null,
  path: readonly string[],
): string {
  const prefixes = prefixesOf(workflow, types, path.at(-1) ?? null);
  const names = path.map(
    (_, index) => entered.get(keyOf(document, path.slice(0, index + 1))) ?? "",
  );
  const wanted = names.map((name) => `${name}/`).join("");
  return prefixes.includes(wanted) ? wanted : (prefixes[0] ?? "");
}
