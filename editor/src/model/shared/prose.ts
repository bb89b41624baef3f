/** Which fields are texts that people type: those are merged when two of them write at once. */
import { nodeOf } from "../scope";
import { inputOf, type NodeTypes, subgraphType } from "../spec";
import { widgetOf } from "../widgets";
import type { Workflow } from "../workflow";
import { type IsProse, isUsualProse } from "./difference";
import { isKey, type Path } from "./patch";

/** Notes and the like, and inputs with a text widget. The words of a choice are none. */
export function proseWith(types: NodeTypes | null): IsProse {
  return (workflow, path) => isUsualProse(workflow, path) || isText(types, workflow, path);
}

function isText(types: NodeTypes | null, workflow: Workflow, path: Path): boolean {
  const inner = path[0] === "subgraphs" ? path.slice(2) : path;
  const scope = path[0] === "subgraphs" ? path[1] : null;
  const [top, name, part, port] = inner;
  if (types === null || top !== "nodes" || part !== "inputs" || inner.length !== 4) return false;
  if (!isKey(name) || !isKey(port) || (scope !== null && !isKey(scope))) return false;
  const type = nodeOf(workflow, scope, name)?.type ?? "";
  const spec = subgraphType(types, workflow, type) ?? types.byName.get(type);
  const input = spec && inputOf(spec, port);
  return (input && widgetOf(input)?.kind === "text") ?? false;
}
