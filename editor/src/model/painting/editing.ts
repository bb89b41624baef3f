/** Values of a canvas changed: looks and places of layers, their pictures, prompts, and the box. */
import { setAlphaLocked, setInput, setLabel, setLocked, setMode } from "../edits";
import { literalJson } from "../links";
import type { Workflow } from "../workflow";
import { settled } from "./encoding";
import { added } from "./framing";
import { chains, on, type PaintGround, relinked, wiring, withValues } from "./ground";
import { LAYER, LOAD, loadingInputs, written } from "./nodes";
import { weightPort } from "./references";
import { chainWith, nodesIn } from "./stacks";
import {
  type CanvasBox,
  isLayer,
  type PaintCanvas,
  type PaintEntry,
  type PaintLayer,
  type Placement,
} from "./types";

export type LayerChanges = Partial<
  Pick<PaintLayer, "title" | "opacity" | "mode" | "visible" | "locked" | "alphaLocked"> & Placement
>;

const PLACES = ["x", "y", "width", "height", "rotation"] as const;

/** A layer or group with another look or place; the same workflow if there is none of that node. */
export function setLayer(
  ground: PaintGround,
  canvas: PaintCanvas,
  node: string,
  changes: LayerChanges,
): Workflow {
  const entry = canvas.entries.find((each) => each.node === node);
  if (entry === undefined) return ground.workflow;
  if (entry.kind === "reference") return ofReference(ground, entry, changes);
  if (!isOwn(ground, canvas, node)) return ground.workflow;
  let found = ground;
  const { title, opacity, mode, visible, locked, alphaLocked } = changes;
  found = on(found, withValues(found, node, { name: title, opacity, mode }));
  if (visible !== undefined) found = shown(found, canvas, node, visible);
  if (locked !== undefined)
    found = on(found, setLocked(found.workflow, found.scope, [node], locked));
  if (alphaLocked !== undefined)
    found = on(found, setAlphaLocked(found.workflow, found.scope, [node], alphaLocked));
  const isMoved = PLACES.some((port) => changes[port] !== undefined);
  if (isMoved && isLayer(entry)) found = placed(found, entry, { ...entry.placement, ...changes });
  const isElsewhere = isMoved || visible !== undefined;
  const isSampled = entry.kind === "raster" && isElsewhere && found !== ground;
  return isSampled ? settled(found, canvas.box.node, ground).workflow : found.workflow;
}

/** Layers in other places, as those of a group that is moved. */
export function placeLayers(
  ground: PaintGround,
  canvas: PaintCanvas,
  places: ReadonlyMap<string, Placement>,
): Workflow {
  let found = ground;
  for (const [node, placement] of places)
    found = on(found, setLayer(found, canvas, node, placement));
  return found.workflow;
}

/** Whether it is a layer or group of a chain, and not what other nodes give. */
function isOwn(ground: PaintGround, canvas: PaintCanvas, node: string): boolean {
  return chainWith(chains(ground, canvas.box.node), node) !== null;
}

function ofReference(
  ground: PaintGround,
  { node, control }: PaintEntry & Partial<Pick<PaintLayer, "control">>,
  { title, visible, locked }: LayerChanges,
): Workflow {
  let { workflow } = ground;
  const { scope } = ground;
  if (title !== undefined) workflow = setLabel(workflow, scope, node, title);
  if (visible !== undefined && control)
    workflow = setMode(workflow, scope, [control.apply], visible ? null : "bypass");
  if (locked !== undefined) workflow = setLocked(workflow, scope, [node], locked);
  return workflow;
}

/** A layer that is bypassed is shown by running again; a control net without any layer is bypassed. */
function shown(ground: PaintGround, canvas: PaintCanvas, node: string, visible: boolean) {
  let found = on(ground, withValues(ground, node, { visible }));
  const isOff = wiring(found).entry(node)?.mode !== null;
  if (visible && isOff) found = on(found, setMode(found.workflow, found.scope, [node], null));
  const chain = chainWith(chains(ground, canvas.box.node), node);
  if (chain?.kind !== "control" || chain.apply === null) return found;
  const own = wiring(found);
  const some = nodesIn(chain.stack).some((name) => {
    const entry = own.entry(name);
    return entry?.type === LAYER && entry.mode === null && entry.inputs.get("visible") !== false;
  });
  const mode = visible || some ? null : "bypass";
  return on(found, setMode(found.workflow, found.scope, [chain.apply], mode));
}

/** A layer that stood where a box is stands by itself once it is moved. */
function placed(ground: PaintGround, { node, placement }: PaintLayer, to: Placement): PaintGround {
  const isLinked = wiring(ground).source({ node, port: "box" }) !== null;
  const values = PLACES.flatMap((port) =>
    isLinked || to[port] !== placement[port] ? [[port, to[port]] as const] : [],
  );
  const moved = on(ground, withValues(ground, node, Object.fromEntries(values)));
  return isLinked ? on(moved, relinked(moved, { node, port: "box" }, null)) : moved;
}

/**
 * A layer with another picture, as after a stroke, perhaps in another place. Other users of the
 * picture before keep that. A layer whose picture another node makes stays as it is.
 */
export function setPicture(
  ground: PaintGround,
  canvas: PaintCanvas,
  node: string,
  value: string,
  placement: Placement | null = null,
): Workflow {
  const entry = canvas.entries.find((each) => each.node === node);
  if (entry === undefined || !isLayer(entry) || entry.source !== null) return ground.workflow;
  const painted = withPicture(ground, entry, value);
  if (placement === null || entry.kind === "reference") return painted.workflow;
  const moved = placed(painted, entry, placement);
  // Strokes that stay within the picture change nothing of what is covered.
  const isElsewhere = entry.kind === "raster" && moved !== painted;
  return isElsewhere ? settled(moved, canvas.box.node, ground).workflow : moved.workflow;
}

function withPicture(ground: PaintGround, entry: PaintLayer, value: string): PaintGround {
  const { workflow, scope } = ground;
  const own = wiring(ground);
  const { picture, node } = entry;
  const outputs = picture ? (own.spec(picture.node)?.outputs ?? []) : [];
  const users = outputs.flatMap(({ name }) =>
    picture ? own.targets({ node: picture.node, port: name }) : [],
  );
  // Nothing else may show what is painted here.
  const isShared = users.some((to) => to.node !== node);
  const inputs = loadingInputs(ground.types, value);
  if (picture !== null && entry.kind === "reference")
    return on(ground, setInput(workflow, scope, picture.node, "path", literalJson(value)));
  if (picture !== null && !isShared) {
    const painted = Object.entries(inputs).reduce(
      (found, [port, each]) => setInput(found, scope, picture.node, port, literalJson(each)),
      workflow,
    );
    return on(ground, painted);
  }
  const load = { key: "load", type: LOAD, inputs };
  const { ground: found, names } = added(ground, [load], node);
  const link = { node: names.get("load") ?? "", port: "image" };
  return on(found, relinked(found, { node, port: "image" }, link));
}

export interface ControlChanges {
  readonly strength?: number;
  /** Shares of the steps, 0 to 1. */
  readonly start?: number;
  readonly end?: number;
}

/** The strength of a control layer or a reference, and the steps in which it is applied. */
export function setControl(
  ground: PaintGround,
  canvas: PaintCanvas,
  node: string,
  { strength, start, end }: ControlChanges,
): Workflow {
  const layer = canvas.entries.filter(isLayer).find((each) => each.node === node);
  if (!layer?.control) return ground.workflow;
  const { apply } = layer.control;
  if (layer.kind === "control") return withValues(ground, apply, { strength, start, end });
  const weight = weightPort(wiring(ground).entry(apply)?.type ?? "");
  return weight === null ? ground.workflow : withValues(ground, apply, { [weight]: strength });
}

/** The prompt of a region. */
export function setRegion(
  ground: PaintGround,
  canvas: PaintCanvas,
  node: string,
  text: string,
): Workflow {
  const layer = canvas.entries.filter(isLayer).find((each) => each.node === node);
  if (!layer?.region) return ground.workflow;
  const { prompt, port = "text" } = layer.region;
  return withText(ground, { node: prompt, port }, text);
}

/** The prompt of the whole box. */
export function setPrompt(ground: PaintGround, canvas: PaintCanvas, text: string): Workflow {
  return canvas.prompt ? withText(ground, canvas.prompt, text) : ground.workflow;
}

function withText(
  { workflow, scope }: PaintGround,
  { node, port }: { readonly node: string; readonly port: string },
  text: string,
): Workflow {
  return setInput(workflow, scope, node, port, literalJson(text));
}

export interface SamplerChanges {
  readonly denoise?: number;
  readonly steps?: number;
  readonly seed?: number;
}

export function setSampler(
  ground: PaintGround,
  canvas: PaintCanvas,
  changes: SamplerChanges,
): Workflow {
  const { denoise, steps, seed } = changes;
  const { sampler } = canvas;
  return sampler ? withValues(ground, sampler.node, { denoise, steps, seed }) : ground.workflow;
}

/**
 * The box moved or given other sizes. Where it reaches beyond the raster layers, what is empty of
 * it is painted anew whole; where it doesn't any more, that ends.
 */
export function setBox(
  ground: PaintGround,
  canvas: PaintCanvas,
  box: Partial<Omit<CanvasBox, "node">>,
): Workflow {
  const { x, y, width, height, sampledWidth, sampledHeight } = box;
  const { node } = canvas.box;
  const values = {
    x,
    y,
    width,
    height,
    sampled_width: sampledWidth,
    sampled_height: sampledHeight,
  };
  const before = wiring(ground).entry(node);
  const changed = Object.fromEntries(
    Object.entries(values).filter(
      ([port, value]) => value !== undefined && before?.inputs.get(port) !== written(port, value),
    ),
  );
  const moved = on(ground, withValues(ground, node, changed));
  return settled(moved, node, ground).workflow;
}
