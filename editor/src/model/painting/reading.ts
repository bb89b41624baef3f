/** A graph read as a painting canvas, be it one that the canvas made or one made by hand. */
import { layoutOf } from "../layout";
import type { Scope } from "../scope";
import type { NodeTypes } from "../spec";
import type { Workflow } from "../workflow";
import { boxesOf, type Chain, type ChainItem, chainsOf, type Stack } from "./chains";
import { BOX, flagAt, LAYER, LOAD, numberAt, textAt, valueAt } from "./nodes";
import { referencesOf } from "./references";
import { promptOf, resultOf, samplerOf, textBehind } from "./sampling";
import {
  AT_ORIGIN,
  type CanvasBox,
  type ControlSettings,
  LAYER_KINDS,
  type PaintCanvas,
  type PaintEntry,
  type PaintLayer,
  type Placement,
  type RegionSettings,
} from "./types";
import { type Wiring, wiringOf } from "./wiring";

/**
 * The canvas of a graph; null for a graph that has no BoundingBox node.
 *
 * @param box Which one is read where there are several; the first one if it isn't there.
 */
export function readCanvas(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes,
  box: string | null = null,
): PaintCanvas | null {
  const wiring = wiringOf(workflow, scope, types);
  const boxes = boxesOf(wiring);
  const own = boxes.find((name) => name === box) ?? boxes[0];
  if (own === undefined) return null;
  const chains = chainsOf(wiring, own);
  const sampler = samplerOf(wiring, own, chains);
  const ofChains = chains.flatMap((chain) => entriesOf(wiring, chain));
  const taken = new Set(ofChains.flatMap((entry) => pictureNode(entry) ?? []));
  const all = [...ofChains, ...referencesOf(wiring, sampler?.node ?? null, taken)];
  return {
    box: boxIn(wiring, own),
    boxes,
    entries: LAYER_KINDS.flatMap((kind) => all.filter((entry) => entry.kind === kind)),
    sampler,
    prompt: sampler && promptOf(wiring, sampler.node),
    result: resultOf(wiring, sampler?.node ?? null, chains),
  };
}

function pictureNode(entry: PaintEntry): string | null {
  return "picture" in entry ? (entry.picture?.node ?? null) : null;
}

export function boxIn(wiring: Wiring, node: string): CanvasBox {
  const entry = wiring.entry(node);
  const number = (port: string) => (entry ? numberAt(entry, port) : 0);
  return {
    node,
    x: number("x"),
    y: number("y"),
    width: number("width"),
    height: number("height"),
    sampledWidth: number("sampled_width"),
    sampledHeight: number("sampled_height"),
  };
}

function entriesOf(wiring: Wiring, chain: Chain): readonly PaintEntry[] {
  const { kind } = chain;
  const settings = { ...controlOf(wiring, chain), ...regionOf(wiring, chain) };
  const ofStack = ({ base, items }: Stack, parent: string | null): readonly PaintEntry[] => [
    ...baseOf(wiring, kind, base, parent),
    ...items.flatMap((item) => ofItem(item, parent)),
  ];
  const ofItem = ({ node, members }: ChainItem, parent: string | null): readonly PaintEntry[] => {
    const look = { node, kind, ...lookOf(wiring, node, chain), parent };
    if (members !== null) return [...ofStack(members, node), look];
    const { placement, ...picture } = pictureOf(wiring, node);
    const layout = layoutOf(wiring.workflow, wiring.scope);
    const locks = { locked: layout.locked.has(node), alphaLocked: layout.alphaLocked.has(node) };
    return [{ ...look, ...picture, placement, ...locks, ...settings }];
  };
  return ofStack(chain.stack, null);
}

/** Layers that come from another node together: they are shown, and can't be edited. */
function baseOf(
  wiring: Wiring,
  kind: PaintLayer["kind"],
  base: Stack["base"],
  parent: string | null,
): readonly PaintLayer[] {
  const entry = base && wiring.entry(base.node);
  // A chain that others share is shown once.
  if (!base || !entry || entry.type === LAYER || entry.type === "GroupLayers") return [];
  const look = { opacity: 1, mode: "normal", visible: entry.mode === null };
  const locks = { locked: true, alphaLocked: false };
  const shown = { title: entry.label, picture: null, source: base.node, placement: AT_ORIGIN };
  return [{ node: base.node, kind, parent, ...look, ...locks, ...shown }];
}

function lookOf(wiring: Wiring, node: string, { kind, apply }: Chain) {
  const entry = wiring.entry(node);
  if (entry === null) return { title: "", opacity: 1, mode: "normal", visible: true };
  const isApplied = kind !== "control" || apply === null || wiring.entry(apply)?.mode === null;
  return {
    title: textAt(entry, "name") || entry.label,
    opacity: numberAt(entry, "opacity", 1),
    mode: textAt(entry, "mode") || "normal",
    visible: flagAt(entry, "visible") && entry.mode === null && isApplied,
  };
}

/** The picture of an AddLayer node, and where it stands. */
function pictureOf(
  wiring: Wiring,
  node: string,
): Pick<PaintLayer, "picture" | "source" | "placement"> {
  const placement = placementOf(wiring, node);
  const link = wiring.resolved({ node, port: "image" });
  const from = link && wiring.entry(link.node);
  if (!link || !from) return { picture: null, source: null, placement };
  const value = from.type === LOAD && link.port === "image" ? valueAt(from, "path") : undefined;
  if (from.type === LOAD && (typeof value === "string" || !from.inputs.has("path"))) {
    const path = typeof value === "string" ? value : "";
    return { picture: { node: link.node, value: path }, source: null, placement };
  }
  return { picture: null, source: link.node, placement };
}

function placementOf(wiring: Wiring, node: string): Placement {
  const entry = wiring.entry(node);
  if (entry === null) return AT_ORIGIN;
  const rotation = numberAt(entry, "rotation");
  const box = wiring.resolved({ node, port: "box" });
  if (box && wiring.entry(box.node)?.type === BOX) {
    const { x, y, width, height } = boxIn(wiring, box.node);
    return { x, y, width, height, rotation };
  }
  const number = (port: string) => numberAt(entry, port);
  return {
    x: number("x"),
    y: number("y"),
    width: number("width"),
    height: number("height"),
    rotation,
  };
}

function controlOf(
  wiring: Wiring,
  { kind, apply, preprocessor }: Chain,
): { readonly control?: ControlSettings } {
  const entry = apply === null ? null : wiring.entry(apply);
  if (kind !== "control" || apply === null || entry === null) return {};
  const [strength, start] = [numberAt(entry, "strength", 1), numberAt(entry, "start", 0)];
  return { control: { apply, preprocessor, strength, start, end: numberAt(entry, "end", 1) } };
}

function regionOf(wiring: Wiring, { kind, masked }: Chain): { readonly region?: RegionSettings } {
  if (kind !== "region" || masked === null) return {};
  const prompt = textBehind(wiring, { node: masked, port: "conditioning" });
  return prompt ? { region: { prompt: prompt.node, port: prompt.port, text: prompt.text } } : {};
}
