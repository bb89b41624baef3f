/** Layers of a file put onto a canvas as layers of its own. */
import { addLayer } from "./adding";
import { groupLayers } from "./arranging";
import { setLayer } from "./editing";
import { on, type PaintGround } from "./ground";
import { readCanvas } from "./reading";
import type { PaintCanvas, Placement } from "./types";

interface ImportedLook {
  readonly title: string;
  /** 0 to 1. */
  readonly opacity: number;
  readonly mode: string;
  readonly visible: boolean;
}

export interface ImportedLayer extends ImportedLook {
  /** What LoadImage is given. */
  readonly value: string;
  readonly placement: Placement;
}

export interface ImportedGroup extends ImportedLook {
  /** Bottom first. */
  readonly items: readonly ImportedItem[];
}

export type ImportedItem = ImportedLayer | ImportedGroup;

/** Layers and groups, bottom first, on top of the raster layers; groups that hold nothing are left out. */
export function importLayers(
  ground: PaintGround,
  canvas: PaintCanvas,
  items: readonly ImportedItem[],
): PaintGround["workflow"] {
  const { node } = canvas.box;
  return items.reduce((found, item) => put(found, node, item).ground, ground).workflow;
}

interface Put {
  readonly ground: PaintGround;
  /** Of the layer or group; null if there is none. */
  readonly node: string | null;
}

function put(ground: PaintGround, box: string, item: ImportedItem): Put {
  const made = "items" in item ? putGroup(ground, box, item) : putLayer(ground, box, item);
  const canvas = canvasOn(made.ground, box);
  if (made.node === null || canvas === null) return made;
  const { opacity, mode, visible, title } = item;
  const look = { opacity, mode, visible, title };
  return { ...made, ground: on(made.ground, setLayer(made.ground, canvas, made.node, look)) };
}

function putLayer(ground: PaintGround, box: string, layer: ImportedLayer): Put {
  const canvas = canvasOn(ground, box);
  if (canvas === null) return { ground, node: null };
  const { workflow, node } = addLayer(ground, canvas, "raster", layer);
  return { ground: on(ground, workflow), node };
}

function putGroup(ground: PaintGround, box: string, { items }: ImportedGroup): Put {
  let found = ground;
  const nodes: string[] = [];
  for (const item of items) {
    const made = put(found, box, item);
    found = made.ground;
    if (made.node !== null) nodes.push(made.node);
  }
  const canvas = canvasOn(found, box);
  if (canvas === null || nodes.length === 0) return { ground: found, node: null };
  const { workflow, node } = groupLayers(found, canvas, nodes);
  return { ground: on(found, workflow), node };
}

function canvasOn({ workflow, scope, types }: PaintGround, box: string): PaintCanvas | null {
  return readCanvas(workflow, scope, types, box);
}
