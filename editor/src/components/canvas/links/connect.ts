/** What a drawn link means: whether it may be, why not, and the edit that makes it. */
import type { Connection } from "@xyflow/react";
import { type CanvasEdge, NEW_PORT, type Scene } from "@/components/canvas/adapt";
import { t } from "@/i18n";
import { fit } from "@/model/compat";
import { connect, disconnect, moveLink } from "@/model/edits";
import { linkFit, outputType } from "@/model/flow";
import { downstream, upstream } from "@/model/graph";
import { endItem, itemOf } from "@/model/items";
import type { Link, Target } from "@/model/links";
import { nodesOf } from "@/model/scope";
import { inputOf, subgraphType, typeOf } from "@/model/spec";
import { promoteInput, promoteOutput, unlinkEnd } from "@/model/subgraphs";
import type { Workflow } from "@/model/workflow";

/** A loose end that is being drawn: of an output or of an input. */
export interface Start {
  readonly node: string;
  readonly port: string;
  readonly side: "input" | "output";
}

export type Verdict =
  | { readonly fits: true; readonly note: string }
  | { readonly fits: false; readonly reason: string };

type Ends = Pick<Connection, "source" | "sourceHandle" | "target" | "targetHandle">;

/** Whether a link may be drawn between these two, and if not why. */
export function judge(scene: Scene, ends: Ends): Verdict {
  const source = itemOf(ends.source);
  const target = itemOf(ends.target);
  const [out, into] = [ends.sourceHandle ?? "", ends.targetHandle ?? ""];
  if (source.kind === "end" && target.kind === "end") return no(t("canvas.link.endToEnd"));
  if (source.kind === "end" && target.kind === "node") {
    return judgeInputEnd(scene, out, { node: target.name, port: into });
  }
  if (target.kind === "end" && source.kind === "node") return { fits: true, note: "" };
  if (source.kind !== "node" || target.kind !== "node") return no(t("canvas.link.nowhere"));
  // Types that aren't loaded yet can't be judged; the server's check will tell.
  if (scene.types === null) return { fits: true, note: "" };
  const found = linkFit(
    scene.types,
    scene.workflow,
    scene.scope,
    { node: source.name, port: out },
    { node: target.name, port: into },
  );
  if (found.fits) return { fits: true, note: found.note ?? "" };
  return no(found.hint ? `${found.reason} ${found.hint}` : found.reason);
}

function no(reason: string): Verdict {
  return { fits: false, reason };
}

function judgeInputEnd({ types, workflow, scope }: Scene, port: string, to: Target): Verdict {
  if (port === NEW_PORT || types === null || scope === null) return { fits: true, note: "" };
  const type = subgraphType(types, workflow, scope)?.inputs.find(
    (input) => input.name === port,
  )?.type;
  const entry = nodesOf(workflow, scope).get(to.node);
  const spec = entry && typeOf(types, workflow, entry);
  const input = spec && inputOf(spec, to.port);
  if (type === undefined || !input) return { fits: true, note: "" };
  const found = fit(types, { type }, input);
  return found.fits ? { fits: true, note: found.note ?? "" } : no(found.reason);
}

/** The ends of a link between a start and a port of the other side. */
export function endsOf(start: Start, other: Target): Ends {
  return start.side === "output"
    ? { source: start.node, sourceHandle: start.port, target: other.node, targetHandle: other.port }
    : {
        source: other.node,
        sourceHandle: other.port,
        target: start.node,
        targetHandle: start.port,
      };
}

/** The workflow with the link in it. */
export function link(workflow: Workflow, scene: Scene, ends: Ends): Workflow {
  const { scope, types } = scene;
  const source = itemOf(ends.source);
  const target = itemOf(ends.target);
  const [out, into] = [ends.sourceHandle ?? "", ends.targetHandle ?? ""];
  if (source.kind === "node" && target.kind === "node") {
    return connect(workflow, scope, shortLink(scene, { node: source.name, port: out }), {
      node: target.name,
      port: into,
    });
  }
  if (scope === null) return workflow;
  if (source.kind === "end" && target.kind === "node") {
    const to = { node: target.name, port: into };
    return promoteInput(workflow, scope, to, out === NEW_PORT ? undefined : out).workflow;
  }
  if (source.kind === "node" && target.kind === "end") {
    const from = shortLink({ ...scene, types }, { node: source.name, port: out });
    return promoteOutput(workflow, scope, from, into === NEW_PORT ? undefined : into).workflow;
  }
  return workflow;
}

/** A link as files write it: without the port of a node that has just one. */
function shortLink({ types, workflow, scope }: Scene, from: Link): Link {
  const entry = nodesOf(workflow, scope).get(from.node);
  const spec = entry && types ? typeOf(types, workflow, entry) : null;
  return spec?.outputs.length === 1 && spec.outputs[0]?.name === from.port
    ? { ...from, port: "" }
    : from;
}

/** The workflow with a drawn link's end somewhere else. */
export function relink(workflow: Workflow, scene: Scene, edge: CanvasEdge, ends: Ends): Workflow {
  const isPlain =
    !edge.data?.end && itemOf(ends.target).kind === "node" && itemOf(ends.source).kind === "node";
  const sameSource = ends.source === edge.source && ends.sourceHandle === edge.sourceHandle;
  const to = { node: ends.target, port: ends.targetHandle ?? "" };
  if (isPlain && sameSource) return moveLink(workflow, scene.scope, edgeIdOf(edge), to);
  const sameTarget = ends.target === edge.target && ends.targetHandle === edge.targetHandle;
  const loose = sameTarget && isPlain ? workflow : unlink(workflow, scene, edge);
  return link(loose, { ...scene, workflow: loose }, ends);
}

/** The workflow without the link. */
export function unlink(workflow: Workflow, scene: Scene, edge: CanvasEdge): Workflow {
  const end = edge.data?.end;
  if (!end) return disconnect(workflow, scene.scope, [edgeIdOf(edge)]);
  return scene.scope === null ? workflow : unlinkEnd(workflow, scene.scope, end);
}

export function edgeIdOf(edge: CanvasEdge): string {
  const item = itemOf(edge.id);
  return item.kind === "edge" ? item.id : edge.id;
}

/** The type at a loose end, for finding nodes that fit it. */
export function startType({ types, workflow, scope }: Scene, start: Start): string {
  if (types === null) return "Any";
  if (itemOf(start.node).kind === "end") {
    const spec = scope === null ? null : subgraphType(types, workflow, scope);
    const ports = start.side === "output" ? spec?.inputs : spec?.outputs;
    return ports?.find((port) => port.name === start.port)?.type ?? "Any";
  }
  if (start.side === "output") return outputType(types, workflow, scope, start) ?? "Any";
  const entry = nodesOf(workflow, scope).get(start.node);
  const spec = entry && typeOf(types, workflow, entry);
  return (spec && inputOf(spec, start.port)?.type) ?? "Any";
}

/** The ports of a node that a loose end can be linked to, the unlinked first. */
export function fittingPorts(scene: Scene, start: Start, node: string): readonly string[] {
  const entry = nodesOf(scene.workflow, scene.scope).get(node);
  const spec = entry && scene.types ? typeOf(scene.types, scene.workflow, entry) : null;
  if (!entry || !spec) return [];
  const ports = start.side === "output" ? spec.inputs : spec.outputs;
  const fitting = ports.filter(
    (port) => judge(scene, endsOf(start, { node, port: port.name })).fits,
  );
  const names = fitting.map((port) => port.name);
  if (start.side === "input") return names;
  const wanted = startType(scene, start);
  const rank = (port: string): number => {
    const input = inputOf(spec, port);
    const isExact = input?.type === wanted ? 0 : 2;
    return (entry.inputs.has(port) ? 4 : 0) + isExact + (input?.json_schema === null ? 0 : 1);
  };
  return names.toSorted((a, b) => rank(a) - rank(b));
}

/** All ports that a loose end can be linked to, by node; what would close a circle is left out. */
export function fitsFor(scene: Scene, start: Start): ReadonlyMap<string, ReadonlySet<string>> {
  const { types, workflow, scope } = scene;
  const found = new Map<string, ReadonlySet<string>>();
  if (types === null) return found;
  const nodes = nodesOf(workflow, scope);
  const isOutput = start.side === "output";
  const barred = isOutput ? upstream(nodes, [start.node]) : downstream(nodes, [start.node]);
  const type = startType(scene, start);
  const fitsPort = (other: string): boolean =>
    isOutput
      ? fit(types, { type }, { type: other }).fits
      : fit(types, { type: other }, { type }).fits;
  for (const [name, entry] of nodes) {
    const spec = barred.has(name) ? null : typeOf(types, workflow, entry);
    if (!spec) continue;
    const ports = isOutput
      ? spec.inputs.filter((input) => input.body === null && fitsPort(input.type))
      : spec.outputs.filter((output) =>
          fitsPort(
            outputType(types, workflow, scope, { node: name, port: output.name }) ?? output.type,
          ),
        );
    if (ports.length > 0) found.set(name, new Set(ports.map((port) => port.name)));
  }
  return withEnds(found, scene, start);
}

/** With the ends of the block that is shown: all its ports, and the place for a new one. */
function withEnds(
  found: Map<string, ReadonlySet<string>>,
  { workflow, scope }: Scene,
  start: Start,
): ReadonlyMap<string, ReadonlySet<string>> {
  const block = scope === null ? undefined : workflow.subgraphs.get(scope);
  if (!block || itemOf(start.node).kind === "end") return found;
  const end = start.side === "output" ? "outputs" : "inputs";
  return found.set(endItem(end), new Set([...block[end].keys(), NEW_PORT]));
}
