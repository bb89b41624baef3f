/**
 * A graph as the canvas library's nodes and edges. What didn't change keeps its identity, so that an
 * edit renders the cards it touches and no others.
 */
import type { Edge as FlowEdgeOf, Node as FlowNodeOf } from "@xyflow/react";
import { t } from "@/i18n";
import { colorOf, type Fit } from "@/model/compat";
import { fitsOf } from "@/model/flow";
import { type Edge, edgesOf } from "@/model/graph";
import {
  type End,
  edgeItem,
  endItem,
  endLinkItem,
  groupItem,
  noteItem,
  rerouteItem,
} from "@/model/items";
import {
  type Box,
  type Group,
  type Layout,
  layoutOf,
  type Note,
  type Point,
  type Size,
} from "@/model/layout";
import { parseLink, targetOf, targetText } from "@/model/links";
import { nodesOf, type Scope } from "@/model/scope";
import { type NodeTypes, portLabel, subgraphType } from "@/model/spec";
import type { Nodes, Subgraph, Workflow } from "@/model/workflow";
import { type CardModel, cardOf, type PortView } from "./card/card";
import {
  CARD_WIDTH,
  END_WIDTH,
  estimatedSize,
  HEADER_HEIGHT,
  PORT_ROW,
  PORTS_TOP,
  portY,
  REROUTE_SIZE,
} from "./card/geometry";
import { handleAt, handlesOf } from "./card/handles";
import { linkWords } from "./card/linkWords";

export type CardNode = FlowNodeOf<
  {
    readonly card: CardModel;
    readonly collapsed: boolean;
    readonly color: string;
    readonly size: Size | null;
  },
  "card"
>;
export type FrameNode = FlowNodeOf<{ readonly group: Group }, "frame">;
export type NoteNode = FlowNodeOf<{ readonly note: Note }, "note">;
export type RerouteNode = FlowNodeOf<
  { readonly edge: string; readonly index: number; readonly color: string },
  "reroute"
>;
export type EndNode = FlowNodeOf<{ readonly end: End; readonly ports: readonly PortView[] }, "end">;
export type CanvasNode = CardNode | FrameNode | NoteNode | RerouteNode | EndNode;

export interface LinkData extends Record<string, unknown> {
  readonly color: string;
  /** What happens to the value on its way, in words; "" if nothing does. */
  readonly note: string;
  readonly mark: "" | "converts" | "maps" | "wrong";
  readonly points: readonly Point[];
  /** One of its ends is selected. */
  readonly touched: boolean;
  /** Leads to something that is muted or bypassed. */
  readonly off: boolean;
  /** Of a block's own inputs and outputs: which one, instead of an edge of the graph. */
  readonly end: { readonly end: End; readonly port: string; readonly target: string } | null;
}
export type CanvasEdge = FlowEdgeOf<LinkData, "link">;

export interface Scene {
  readonly workflow: Workflow;
  readonly scope: Scope;
  readonly types: NodeTypes | null;
}

/** Where it is drawn, guessed before it was. */
export function boxOf(node: CanvasNode): Box {
  return {
    ...node.position,
    width: node.measured?.width ?? node.width ?? CARD_WIDTH,
    height: node.measured?.height ?? node.height ?? node.initialHeight ?? 60,
  };
}

/** Remembers what was made of what, from one scene to the next. */
export class Adapter {
  private readonly made = new Map<
    string,
    { readonly deps: readonly unknown[]; readonly value: unknown }
  >();
  private generation = new Set<string>();

  /** All nodes of the scene: frames first, as they lie below. */
  nodes(scene: Scene): readonly CanvasNode[] {
    const { workflow, scope } = scene;
    const layout = layoutOf(workflow, scope);
    const nodes = nodesOf(workflow, scope);
    const words = this.keep("w", [nodes, scene.types], () =>
      linkWords(edgesOf(nodes), (name) => this.card(name, scene)),
    );
    const found = this.listed("nodes", [
      ...layout.groups.map((group) => this.keep(`g/${group.id}`, [group], () => frameNode(group))),
      ...this.ends(scene, layout),
      ...[...nodes].map(([name, entry]) =>
        this.cardNode(name, scene, nodes, layout, entry, words.get(name)),
      ),
      ...layout.notes.map((note) => this.keep(`n/${note.id}`, [note], () => noteNode(note))),
      ...this.reroutes(scene, nodes, layout),
    ]);
    return found;
  }

  edges(scene: Scene, selection: ReadonlySet<string>): readonly CanvasEdge[] {
    const { workflow, scope } = scene;
    const nodes = nodesOf(workflow, scope);
    const layout = layoutOf(workflow, scope);
    const inner = edgesOf(nodes).map((edge) => this.edge(edge, scene, nodes, layout, selection));
    const found = this.listed("edges", [...inner, ...this.endEdges(scene, nodes, selection)]);
    this.forget();
    return found;
  }

  /** The card of a node as it is shown now. */
  card(name: string, scene: Scene): CardModel | null {
    const nodes = nodesOf(scene.workflow, scene.scope);
    const entry = nodes.get(name);
    if (!entry) return null;
    const layout = layoutOf(scene.workflow, scene.scope);
    return this.cardModel(name, scene, nodes, layout, entry);
  }

  private cardModel(
    name: string,
    scene: Scene,
    nodes: Nodes,
    layout: Layout,
    entry: CardModel["entry"],
  ): CardModel {
    const { types, workflow } = scene;
    const shown = layout.shown.get(name);
    const fed = this.fed(scene).get(name);
    const isKnown = isKnownType(entry.type, scene);
    // Ports of an unknown type are those that other nodes use.
    const others = isKnown ? null : nodes;
    const deps = [entry, types, workflow.subgraphs, textOfSet(shown), textOfSet(fed), others];
    return this.keep(`c/${name}`, deps, () =>
      cardOf(name, entry, { types, workflow, nodes, shown, fed }),
    );
  }

  private cardNode(
    name: string,
    scene: Scene,
    nodes: Nodes,
    layout: Layout,
    entry: CardModel["entry"],
    links: string | undefined,
  ): CardNode {
    const card = this.cardModel(name, scene, nodes, layout, entry);
    const at = layout.positions.get(name);
    const size = layout.sizes.get(name);
    const collapsed = layout.collapsed.has(name);
    const color = layout.colors.get(name) ?? "";
    const deps = [card, at?.x, at?.y, size?.width, size?.height, collapsed, color, links];
    return this.keep(`k/${name}`, deps, () => {
      const estimate = estimatedSize(card, size, collapsed);
      return {
        id: name,
        type: "card",
        position: at ?? { x: 0, y: 0 },
        data: { card, collapsed, color, size: size ?? null },
        width: estimate.width,
        initialHeight: estimate.height,
        handles: handlesOf(card, estimate.width, collapsed),
        ariaLabel: card.subtitle ? `${card.title}, ${card.subtitle}` : card.title,
        domAttributes: { "aria-description": links },
      };
    });
  }

  private ends(scene: Scene, layout: Layout): readonly EndNode[] {
    const { types, workflow, scope } = scene;
    if (scope === null) return [];
    const block = workflow.subgraphs.get(scope);
    const spec = types && subgraphType(types, workflow, scope);
    const end = (side: End): EndNode => {
      const names = [
        ...(side === "inputs" ? (block?.inputs.keys() ?? []) : (block?.outputs.keys() ?? [])),
      ];
      const specs = side === "inputs" ? spec?.inputs : spec?.outputs;
      const ports = names.map((name): PortView => {
        const found = specs?.find((port) => port.name === name);
        const type = found?.type ?? "Any";
        return {
          name,
          label: portLabel({ name }),
          type,
          color: types ? colorOf(types, type) : "var(--text-faint)",
          help: found?.help ?? "",
          required: false,
          linked: true,
          hasWidget: false,
          unknown: false,
        };
      });
      const at = layout.ends.get(side) ?? defaultEnd(side, layout);
      const key = ports.map((port) => `${port.name}\n${port.type}\n${port.help}`).join("\n\n");
      return this.keep(`e/${side}`, [key, at.x, at.y], () => endNode(side, ports, at));
    };
    return [end("inputs"), end("outputs")];
  }

  private reroutes(scene: Scene, nodes: Nodes, layout: Layout): readonly RerouteNode[] {
    if (layout.reroutes.size === 0) return [];
    return edgesOf(nodes).flatMap((edge) => {
      const points = layout.reroutes.get(edge.id) ?? [];
      const color = points.length > 0 ? this.colorOfEdge(edge, scene, nodes, layout) : "";
      return points.map((at, index) =>
        this.keep(`r/${edge.id}/${index}`, [at.x, at.y, color], () =>
          rerouteNode(edge.id, index, at, color),
        ),
      );
    });
  }

  private colorOfEdge(edge: Edge, scene: Scene, nodes: Nodes, layout: Layout): string {
    const entry = nodes.get(edge.from.node);
    const card = entry && this.cardModel(edge.from.node, scene, nodes, layout, entry);
    return outputPort(card, edge.from.port)?.color ?? "var(--text-faint)";
  }

  /** The inputs that the block's own inputs feed, by node. */
  private fed({ workflow, scope }: Scene): ReadonlyMap<string, ReadonlySet<string>> {
    const block = scope === null ? undefined : workflow.subgraphs.get(scope);
    return this.keep("fed", [block?.inputs], () => {
      const found = new Map<string, Set<string>>();
      if (!block) return found;
      for (const [, { node, port }] of inputEnds(block, block.nodes)) {
        found.set(node, (found.get(node) ?? new Set()).add(port));
      }
      return found;
    });
  }

  private fits(name: string, scene: Scene): ReadonlyMap<string, Fit> {
    const { types, workflow, scope } = scene;
    return types ? fitsOf(types, workflow, scope, name) : new Map();
  }

  private edge(
    edge: Edge,
    scene: Scene,
    nodes: Nodes,
    layout: Layout,
    selection: ReadonlySet<string>,
  ): CanvasEdge {
    const { types, workflow } = scene;
    const { from, to } = edge;
    const source = nodes.get(from.node);
    const target = nodes.get(to.node);
    const card = source && this.cardModel(from.node, scene, nodes, layout, source);
    const port = outputPort(card, from.port);
    const targetCard = target && this.cardModel(to.node, scene, nodes, layout, target);
    const hasPort =
      targetCard?.inputs.some((input) => input.name === to.port && !input.unknown) === true;
    const fits = this.keep(`f/${to.node}`, [nodes, types, workflow.subgraphs], () =>
      this.fits(to.node, scene),
    );
    const fit = fits.get(to.port);
    const isKnown = types === null || (hasPort && port !== undefined && !port.unknown);
    const mark = markOf(fit, isKnown);
    const note = noteOf(fit) || (isKnown ? "" : lackingPort(edge, scene, nodes, hasPort));
    const points = layout.reroutes.get(edge.id) ?? NO_POINTS;
    const item = edgeItem(edge.id);
    const selected = selection.has(item);
    const touched = selection.has(from.node) || selection.has(to.node);
    const off = source?.mode === "mute" || target?.mode === "mute";
    const handle = port?.name ?? from.port;
    const color = port?.color ?? "var(--text-faint)";
    const deps = [
      from.node,
      handle,
      to.node,
      to.port,
      color,
      mark,
      note,
      points,
      selected,
      touched,
      off,
    ];
    return this.keep(`l/${edge.id}`, deps, () => ({
      id: item,
      type: "link",
      source: from.node,
      sourceHandle: handle,
      target: to.node,
      targetHandle: to.port,
      ariaLabel: edgeLabel(from.node, to.node),
      selected,
      data: { color, mark, note, points, touched, off, end: null },
    }));
  }

  private endEdges(
    scene: Scene,
    nodes: Nodes,
    selection: ReadonlySet<string>,
  ): readonly CanvasEdge[] {
    const block = scene.scope === null ? undefined : scene.workflow.subgraphs.get(scene.scope);
    if (!block) return [];
    const spec =
      scene.types && scene.scope !== null
        ? subgraphType(scene.types, scene.workflow, scene.scope)
        : null;
    return [
      ...inputEnds(block, nodes).map(([port, target]) => {
        const type = spec?.inputs.find((item) => item.name === port)?.type ?? "Any";
        const color = scene.types ? colorOf(scene.types, type) : "var(--text-faint)";
        const text = targetText(target);
        const { selected, touched } = picked(selection, "inputs", port, text, target.node);
        return this.keep(`i/${port}/${text}`, [color, selected, touched], () =>
          endEdge("inputs", port, text, {
            source: endItem("inputs"),
            sourceHandle: port,
            target: target.node,
            targetHandle: target.port,
            color,
            selected,
            touched,
          }),
        );
      }),
      ...this.outputEnds(block, scene, nodes, selection),
    ];
  }

  private outputEnds(
    block: Subgraph,
    scene: Scene,
    nodes: Nodes,
    selection: ReadonlySet<string>,
  ): readonly CanvasEdge[] {
    return [...block.outputs].flatMap(([port, text]) => {
      const link = parseLink(text);
      const card = link && this.card(link.node, scene);
      if (!link || !card || !nodes.has(link.node)) return [];
      const from = outputPort(card, link.port);
      const color = from?.color ?? "var(--text-faint)";
      const handle = from?.name ?? link.port;
      const { selected, touched } = picked(selection, "outputs", port, text, link.node);
      return [
        this.keep(`o/${port}`, [text, handle, color, selected, touched], () =>
          endEdge("outputs", port, text, {
            source: link.node,
            sourceHandle: handle,
            target: endItem("outputs"),
            targetHandle: port,
            color,
            selected,
            touched,
          }),
        ),
      ];
    });
  }

  private keep<T>(key: string, deps: readonly unknown[], make: () => T): T {
    this.generation.add(key);
    const known = this.made.get(key);
    if (known && sameList(known.deps, deps)) return known.value as T;
    const value = make();
    this.made.set(key, { deps, value });
    return value;
  }

  /** The same array as before if its items are the same. */
  private listed<T>(key: string, items: readonly T[]): readonly T[] {
    return this.keep(`list/${key}`, items, () => items);
  }

  private forget(): void {
    if (this.made.size > 2 * this.generation.size + 64) {
      for (const key of this.made.keys()) if (!this.generation.has(key)) this.made.delete(key);
    }
    this.generation = new Set();
  }
}

const NO_POINTS: readonly Point[] = [];

function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => Object.is(item, b[index]));
}

function textOfSet(set: ReadonlySet<string> | undefined): string {
  return set ? [...set].join("\n") : "";
}

/** The output that a link means; an empty port is the only one. */
export function outputPort(card: CardModel | null | undefined, port: string): PortView | undefined {
  return port === "" ? card?.outputs[0] : card?.outputs.find((output) => output.name === port);
}

function markOf(fit: Fit | undefined, isKnown: boolean): LinkData["mark"] {
  if (fit?.fits === false || !isKnown) return "wrong";
  if (!fit) return "";
  if (fit.maps) return "maps";
  return fit.conversion === null ? "" : "converts";
}

function noteOf(fit: Fit | undefined): string {
  if (!fit) return "";
  return fit.fits ? (fit.note ?? "") : fit.reason;
}

/** What a link lacks one of whose ports isn't there. */
function lackingPort(edge: Edge, scene: Scene, nodes: Nodes, hasInput: boolean): string {
  const { node, port } = hasInput ? edge.from : edge.to;
  const type = nodes.get(node)?.type ?? "";
  if (!isKnownType(type, scene)) return t("fit.unknownNode", { node });
  return t(hasInput ? "fit.noOutput" : "fit.noInput", { node, port });
}

function isKnownType(type: string, { types, workflow }: Scene): boolean {
  return types?.byName.has(type) === true || workflow.subgraphs.has(type);
}

function frameNode(group: Group): FrameNode {
  const { x, y, width, height } = group.box;
  return {
    id: groupItem(group.id),
    type: "frame",
    position: { x, y },
    width,
    height,
    zIndex: -10,
    data: { group },
    handles: [],
    dragHandle: "[data-grip]",
    style: { pointerEvents: "none" },
    ariaLabel: group.title,
  };
}

function noteNode(note: Note): NoteNode {
  const { x, y, width, height } = note.box;
  return {
    id: noteItem(note.id),
    type: "note",
    position: { x, y },
    width,
    height,
    data: { note },
    handles: [],
    ariaLabel: note.text.slice(0, 80),
  };
}

function edgeLabel(from: string, to: string): string {
  return t("canvas.link.label", { from, to });
}

function rerouteNode(edge: string, index: number, at: Point, color: string): RerouteNode {
  return {
    id: rerouteItem(edge, index),
    type: "reroute",
    position: { x: at.x - REROUTE_SIZE / 2, y: at.y - REROUTE_SIZE / 2 },
    width: REROUTE_SIZE,
    height: REROUTE_SIZE,
    data: { edge, index, color },
    handles: [],
  };
}

/** Height of a block's end with its ports and the place for one more. */
export function endHeight(count: number): number {
  return HEADER_HEIGHT + 2 * PORTS_TOP + (count + 1) * PORT_ROW;
}

/** The id of the place where a new port of a block begins. */
export const NEW_PORT = "+";

function endNode(end: End, ports: readonly PortView[], at: Point): EndNode {
  const type = end === "inputs" ? "source" : "target";
  const x = end === "inputs" ? END_WIDTH : 0;
  const names = [...ports.map((port) => port.name), NEW_PORT];
  return {
    id: endItem(end),
    type: "end",
    position: at,
    width: END_WIDTH,
    height: endHeight(ports.length),
    data: { end, ports },
    handles: names.map((name, row) => handleAt(name, type, x, portY(row, false))),
    deletable: false,
  };
}

/** Left and right of everything. */
function defaultEnd(end: End, layout: Layout): Point {
  const places = [...layout.positions.values()];
  const xs = places.map((place) => place.x);
  const y = places.length > 0 ? Math.min(...places.map((place) => place.y)) : 0;
  if (end === "inputs") return { x: Math.min(0, ...xs) - END_WIDTH - 120, y };
  return { x: Math.max(0, ...xs) + 380, y };
}

function inputEnds(
  block: Subgraph,
  nodes: Nodes,
): readonly (readonly [string, { node: string; port: string }])[] {
  return [...block.inputs].flatMap(([port, input]) =>
    input.to.flatMap((text) => {
      const target = targetOf(text);
      return target && nodes.has(target.node) ? [[port, target] as const] : [];
    }),
  );
}

/** Whether a link at a block's end is selected, or one of its ends is. */
function picked(
  selection: ReadonlySet<string>,
  end: End,
  port: string,
  target: string,
  node: string,
): { selected: boolean; touched: boolean } {
  return {
    selected: selection.has(endLinkItem(end, port, target)),
    touched: selection.has(node) || selection.has(endItem(end)),
  };
}

function endEdge(
  end: End,
  port: string,
  target: string,
  ends: {
    source: string;
    sourceHandle: string;
    target: string;
    targetHandle: string;
    color: string;
    selected: boolean;
    touched: boolean;
  },
): CanvasEdge {
  const { color, touched, ...rest } = ends;
  return {
    id: endLinkItem(end, port, target),
    type: "link",
    ...rest,
    ariaLabel: edgeLabel(rest.source, rest.target),
    data: {
      color,
      mark: "",
      note: "",
      points: NO_POINTS,
      touched,
      off: false,
      end: { end, port, target },
    },
  };
}
