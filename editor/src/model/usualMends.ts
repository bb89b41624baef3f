/** What can be done about any problem of a node or of a whole graph, where nothing more is known of it. */
import { fit } from "./compat";
import { addNode, connect, disconnect, setInput, setMode, shortLink } from "./edits";
import { downstream, edgeId, edgesOf } from "./graph";
import { layoutOf, type Point } from "./layout";
import { linkOf } from "./links";
import type { Finding, Mend, Situation } from "./mendTypes";
import { nodeOf, nodesOf, type Scope } from "./scope";
import { inputOf, labelOf, type NodeSpec, type NodeTypes, typeOf } from "./spec";
import { widgetOf } from "./widgets";
import type { Workflow } from "./workflow";

const otherType: Mend = { label: "panels.mend.replace", values: {}, opens: "types" };
/** Problems of the node itself; a run that fails says nothing of its type. */
const NODE_WIDE: ReadonlySet<string> = new Set(["invalid-input", "cycle"]);

/** The link away, the value away, the field to write in; or another type for the whole node. */
export function usualMends(finding: Finding, situation: Situation): readonly Mend[] {
  const { workflow, scope, node, types } = situation;
  const entry = nodeOf(workflow, scope, node);
  const { port } = finding;
  if (!entry) return [];
  if (!port) return NODE_WIDE.has(finding.code) ? [otherType] : [];
  const value = entry.inputs.get(port);
  if (linkOf(value) !== null) return [unlinking(scope, node, port)];
  const spec = typeOf(types, workflow, entry);
  const input = spec && inputOf(spec, port);
  const values = { port: port.replaceAll("_", " ") };
  const field: Mend = { label: "panels.mend.fillIn", values, opens: "field" };
  const drop: Mend = {
    label: "panels.mend.dropInput",
    values: { port },
    edit: (w) => setInput(w, scope, node, port, undefined),
  };
  const hasField = input !== null && input !== undefined && widgetOf(input) !== null;
  const mends = [...(hasField ? [field] : []), ...(value === undefined ? [] : [drop])];
  return mends.length > 0 ? mends : [otherType];
}

export function unlinking(scope: Scope, node: string, port: string): Mend {
  return {
    label: "panels.mend.unlink",
    values: { port },
    edit: (w) => disconnect(w, scope, [edgeId(node, port)]),
  };
}

/** One of the outputs of the node that is linked to, where the link names none of several. */
export function chooseOutput(finding: Finding, situation: Situation): readonly Mend[] {
  const { workflow, scope, node, types } = situation;
  const { port } = finding;
  const entry = nodeOf(workflow, scope, node);
  const link = port ? linkOf(entry?.inputs.get(port)) : null;
  if (!port || !entry || link === null) return [];
  const source = nodeOf(workflow, scope, link.node);
  const spec = source && typeOf(types, workflow, source);
  const own = typeOf(types, workflow, entry);
  const input = own && inputOf(own, port);
  const fitting = (spec?.outputs ?? []).filter(
    (output) => !input || fit(types, output, input).fits,
  );
  return fitting.slice(0, 3).map((output) => ({
    label: "panels.mend.output",
    values: { name: `${link.node}.${output.name}` },
    edit: (w) => connect(w, scope, { node: link.node, port: output.name }, { node, port }),
  }));
}

/** A node that is bypassed and can't be passed by runs again. */
export function runAgain(finding: Finding, { workflow, scope, node }: Situation): readonly Mend[] {
  const { port } = finding;
  const link = port ? linkOf(nodeOf(workflow, scope, node)?.inputs.get(port)) : null;
  if (!port || link === null) return [];
  const values = { node: link.node };
  const edit = (w: Workflow) => setMode(w, scope, [link.node], null);
  return [{ label: "panels.mend.runNode", values, edit }, unlinking(scope, node, port)];
}

/** The links of a node by which it takes from itself. */
export function openCircle(_: Finding, { workflow, scope, node }: Situation): readonly Mend[] {
  const nodes = nodesOf(workflow, scope);
  const after = downstream(nodes, [node]);
  return edgesOf(nodes)
    .filter(({ from, to }) => to.node === node && (after.has(from.node) || from.node === node))
    .map(({ from, to }) => ({
      ...unlinking(scope, node, to.port),
      label: "panels.mend.unlinkFrom",
      values: { node: from.node },
    }));
}

const RIGHT = 360;

/** Of a graph that shows and saves nothing: what does it with the last thing that it makes. */
export function addOutput(workflow: Workflow, scope: Scope, types: NodeTypes): readonly Mend[] {
  const nodes = nodesOf(workflow, scope);
  const taken = new Set(edgesOf(nodes).map(({ from }) => from.node));
  const showing = [...types.byName.values()]
    .filter(({ output }) => output)
    .toSorted((a, b) => uses(types, b) - uses(types, a));
  for (const [name, entry] of [...nodes].toReversed()) {
    const spec = taken.has(name) ? null : typeOf(types, workflow, entry);
    for (const output of spec?.outputs ?? [])
      for (const show of showing) {
        const input = show.inputs.find(
          (each) => each.required && widgetOf(each) === null && fit(types, output, each).fits,
        );
        if (!spec || !input) continue;
        const edit = (w: Workflow, at?: Point) => {
          const { x, y } = layoutOf(w, scope).positions.get(name) ?? { x: 0, y: 0 };
          const added = addNode(w, scope, { type: show.type, at: at ?? { x: x + RIGHT, y } });
          const from = shortLink(spec, { node: name, port: output.name });
          return connect(added.workflow, scope, from, { node: added.name, port: input.name });
        };
        return [{ label: "panels.mend.add", values: { type: labelOf(show) }, edit }];
      }
  }
  return [];
}

function uses(types: NodeTypes, { type }: NodeSpec): number {
  return types.usage.types[type] ?? 0;
}
