/** The inputs that a model can be named in: of loaders that are there, or of one that is added. */
import { addNode } from "../edits";
import type { Json } from "../json";
import type { Point } from "../layout";
import { isLink, type Target } from "../links";
import { nodeOf, nodesOf, type Scope } from "../scope";
import { inputOf, type NodeSpec, type NodeTypes, packOf, typeOf } from "../spec";
import { widgetOf } from "../widgets";
import type { Workflow } from "../workflow";

interface Ground {
  readonly workflow: Workflow;
  readonly scope: Scope;
  readonly types: NodeTypes;
}

export interface Loadable {
  readonly name: string;
  readonly node: string | null;
  readonly use: string;
  readonly family: string | null;
}

/** The input of a node that takes a model, the one that is pointed at before others; null for none. */
export function modelInput(
  { workflow, scope, types }: Ground,
  node: string,
  model: Loadable,
  pointed = "",
): Target | null {
  const entry = nodeOf(workflow, scope, node);
  const spec = entry && typeOf(types, workflow, entry);
  if (!entry || !spec) return null;
  // Built-in loaders take files of their own kind only.
  if (entry.type !== model.node && packOf(entry.type) === "") return null;
  const ports = portsFor(spec, model.use).filter((port) => !isLink(entry.inputs.get(port)));
  const port = ports.includes(pointed) ? pointed : ports[0];
  return port === undefined ? null : { node, port };
}

/** The one loader of a graph that takes a model; null if there are none, or several. */
export function onlyLoader(ground: Ground, model: Loadable): Target | null {
  const [only, ...others] = [...nodesOf(ground.workflow, ground.scope)].flatMap(([name, entry]) =>
    entry.type === model.node ? (modelInput(ground, name, model) ?? []) : [],
  );
  return only !== undefined && others.length === 0 ? only : null;
}

function portsFor(spec: NodeSpec, use: string): readonly string[] {
  return spec.inputs.flatMap((input) => {
    const widget = widgetOf(input);
    return widget?.kind === "file" && widget.file === use ? [input.name] : [];
  });
}

/** Whether there is a node that loads a model. */
export function isLoadable(types: NodeTypes, { node, use }: Loadable): boolean {
  const spec = node === null ? undefined : types.byName.get(node);
  return spec !== undefined && portsFor(spec, use).length > 0;
}

/** Add the loader of a model, without naming the model in it yet; null if there is none. */
export function addLoader(
  { workflow, scope, types }: Ground,
  model: Loadable,
  at: Point,
): { readonly workflow: Workflow; readonly at: Target } | null {
  const spec = model.node === null ? undefined : types.byName.get(model.node);
  const [port] = spec ? portsFor(spec, model.use) : [];
  if (spec === undefined || port === undefined) return null;
  const inputs = new Map<string, Json>();
  const families = inputOf(spec, "family")?.json_schema?.enum;
  const isKnown = Array.isArray(families) && families.includes(model.family);
  if (isKnown && model.family !== null) inputs.set("family", model.family);
  const added = addNode(workflow, scope, { type: spec.type, at, inputs });
  return { workflow: added.workflow, at: { node: added.name, port } };
}
