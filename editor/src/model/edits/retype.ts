/** Another type for a node: what fits it stays, each link on the port that takes it. */
import { fit } from "../compat";
import { type Link, linkOf } from "../links";
import { nodeOf, nodesOf, type Scope, withNode, withNodes } from "../scope";
import { type InputSpec, inputOf, type NodeSpec, type NodeTypes, outputOf, typeOf } from "../spec";
import type { NodeEntry, Workflow } from "../workflow";
import { setInput } from "./inputs";
import { shortLink } from "./links";
import { mapLinks, mapOutputs, mapTargets } from "./references";

/**
 * Change a node's type. Values and links stay on ports of the same name; a link whose port is gone
 * goes to a free one that takes it. What the new type has no port for is taken away, except from a
 * node of an unknown type: nobody knows what its inputs meant.
 */
export function retype(
  workflow: Workflow,
  scope: Scope,
  node: string,
  spec: NodeSpec,
  types: NodeTypes,
): Workflow {
  const entry = nodeOf(workflow, scope, node);
  if (entry === null || entry.type === spec.type) return workflow;
  const before = typeOf(types, workflow, entry);
  const ways = { workflow, scope, types };
  const inputs = inputsFor(entry, before, spec, ways);
  const outputs = outputsFor(node, before, spec, ways);
  const changeLink = (link: Link): Link | null => {
    if (link.node !== node) return link;
    const name = outputs.get(link.port);
    return name === undefined ? null : name === link.port ? link : { node, port: name };
  };
  const linked = withNodes(workflow, scope, mapLinks(nodesOf(workflow, scope), changeLink));
  let found = withNode(mapOutputs(linked, scope, changeLink), scope, node, (old) => ({
    ...old,
    type: spec.type,
    version: null,
  }));
  for (const [port, to] of inputs) {
    if (to !== port) found = setInput(found, scope, node, port, undefined);
  }
  for (const [port, to] of inputs) {
    if (to !== null && to !== port)
      found = setInput(found, scope, node, to, entry.inputs.get(port));
  }
  return mapTargets(found, scope, (target) => {
    const to = target.node === node ? inputs.get(target.port) : target.port;
    if (to === undefined) return inputOf(spec, target.port) === null ? null : target;
    if (to === target.port) return target;
    return to === null ? null : { node, port: to };
  });
}

interface Ways {
  readonly workflow: Workflow;
  readonly scope: Scope;
  readonly types: NodeTypes;
}

/** Where each input that is given goes; null for what is taken away. */
function inputsFor(
  entry: NodeEntry,
  before: NodeSpec | null,
  spec: NodeSpec,
  ways: Ways,
): ReadonlyMap<string, string | null> {
  const found = new Map<string, string | null>();
  const homeless: string[] = [];
  for (const [port, value] of entry.inputs) {
    const input = inputOf(spec, port);
    const link = linkOf(value);
    if (input === null) homeless.push(port);
    else if (link !== null) {
      if (takes(input, link, ways)) found.set(port, port);
      else homeless.push(port);
    } else {
      const old = before && inputOf(before, port);
      found.set(port, old === null || old.type === input.type ? port : null);
    }
  }
  for (const port of homeless) {
    const link = linkOf(entry.inputs.get(port));
    const isTaken = new Set(found.values());
    const free = spec.inputs.filter(({ name, body }) => !isTaken.has(name) && body === null);
    const to = link && free.find((input) => takes(input, link, ways));
    found.set(port, to?.name ?? (before === null ? port : null));
  }
  return found;
}

function takes(input: InputSpec, link: Link, { workflow, scope, types }: Ways): boolean {
  const source = nodeOf(workflow, scope, link.node);
  const spec = source && typeOf(types, workflow, source);
  const output = spec && outputOf(spec, link.port);
  // Of what isn't known, nothing speaks against it.
  return !output || fit(types, output, input).fits;
}

/** The new output for each that links name; those that nothing fits are left out. */
function outputsFor(
  node: string,
  before: NodeSpec | null,
  spec: NodeSpec,
  { workflow, scope, types }: Ways,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [name, { inputs }] of nodesOf(workflow, scope)) {
    for (const [port, value] of inputs) {
      const link = linkOf(value);
      if (link?.node !== node || found.has(link.port)) continue;
      const entry = nodeOf(workflow, scope, name);
      const target = entry && typeOf(types, workflow, entry);
      const to = target && inputOf(target, port);
      const old = before && outputOf(before, link.port);
      const same = outputOf(spec, old?.name ?? link.port);
      const fits = ({ type }: { readonly type: string }) => !to || fit(types, { type }, to).fits;
      const output = same && fits(same) ? same : spec.outputs.find(fits);
      if (output) found.set(link.port, shortLink(spec, { node, port: output.name }).port);
    }
  }
  return found;
}
