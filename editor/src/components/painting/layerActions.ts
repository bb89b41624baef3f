/** What is done to the layers of the canvas: each is one edit of the open workflow, one step to undo. */
import { t } from "@/i18n";
import {
  addLayer,
  type Beside,
  duplicateLayer,
  type Edited,
  groupLayers,
  isLayer,
  type LayerChanges,
  type LayerKind,
  moveLayer,
  type NewLayer,
  type PaintCanvas,
  type PaintEntry,
  type PaintGround,
  type Placement,
  placeBeside,
  placeLayers,
  readCanvas,
  removeLayer,
  setLayer,
  stepOf,
  ungroup,
} from "@/model/painting";
import type { Scope } from "@/model/scope";
import { familyAt } from "@/model/search";
import type { Workflow } from "@/model/workflow";
import { modelFamilies, useCatalogue } from "@/store/catalogue";
import {
  activeDocument,
  currentScope,
  currentWorkflow,
  documentById,
  useDocuments,
} from "@/store/documents";
import { knownSize } from "@/store/pictureSizes";
import { useCanvasUi } from "./canvasUi";

/** The graph that is shown; null until the node types are there. */
export function groundNow(): PaintGround | null {
  const { types } = useCatalogue.getState();
  const document = activeDocument();
  return (
    types && {
      workflow: currentWorkflow(document),
      scope: currentScope(document),
      types,
      sizeOf: knownSize,
    }
  );
}

export interface Here {
  readonly ground: PaintGround;
  readonly canvas: PaintCanvas;
}

/** The canvas of the graph that is shown, as it is at this moment. */
export function here(): Here | null {
  return canvasOn(groundNow());
}

function canvasOn(ground: PaintGround | null): Here | null {
  const canvas = ground && readCanvas(ground.workflow, ground.scope, ground.types);
  return ground && canvas && { ground, canvas };
}

/** The family of the model that samples a canvas; null where it is not known. */
export function canvasFamily({ ground, canvas }: Here): string | null {
  const { sampler, box } = canvas;
  return familyAt(ground.workflow, ground.scope, sampler?.node ?? box.node, modelFamilies());
}

type Make = (at: Here) => Workflow | Edited | null;

/** Change the graph; `merge` makes one step of changes in a row, as a slider makes them. */
export function edit(label: string, make: Make, merge?: string): void {
  const at = here();
  const made = at && make(at);
  if (!made) return;
  const isAdded = "node" in made;
  const workflow = isAdded ? made.workflow : made;
  useDocuments.getState().change(label, () => workflow, { merge });
  if (isAdded && made.node !== null) useCanvasUi.getState().choose(made.node);
}

/** Change a graph that need not be shown any more. */
export function editOf(
  { document, scope }: { readonly document: string; readonly scope: Scope },
  label: string,
  make: (at: Here) => Workflow,
  merge?: string,
): void {
  const found = documentById(document);
  const { types } = useCatalogue.getState();
  if (found === null || types === null) return;
  const ground = { workflow: currentWorkflow(found), scope, types, sizeOf: knownSize };
  const at = canvasOn(ground);
  if (at) useDocuments.getState().change(label, () => make(at), { document, merge });
}

/** Where a layer is that has its own size and begins at the corner of the box. */
export function cornerOf({ box }: PaintCanvas): Placement {
  return { x: box.x, y: box.y, width: 0, height: 0, rotation: 0 };
}

/** A new layer, on the chosen one where that is of its kind. */
export function add(kind: LayerKind, layer: Omit<NewLayer, "placement" | "above">): void {
  const { active } = useCanvasUi.getState();
  edit("painting.edit.add", ({ ground, canvas }) => {
    const chosen = canvas.entries.find(({ node }) => node === active);
    const above = chosen?.kind === kind && kind !== "control" ? chosen.node : null;
    return addLayer(ground, canvas, kind, { ...layer, placement: cornerOf(canvas), above });
  });
}

/** What people call a layer: its name, or else its kind. */
export function titleOf(entry: PaintEntry): string {
  return entry.title || t(isLayer(entry) ? `painting.kind.${entry.kind}` : "painting.groupName");
}

/** Changes that are called by their own name; all others are of the place. */
const LOOKS = { title: 0, opacity: 0, mode: 0, visible: 0, locked: 0, alphaLocked: 0 } as const;

export function change(node: string, changes: LayerChanges, merge?: string): void {
  const [first = "title"] = Object.keys(changes);
  const name = first in LOOKS ? first : "transform";
  edit(
    `painting.edit.${name}`,
    ({ ground, canvas }) => setLayer(ground, canvas, node, changes),
    merge && `layer:${node}.${name}#${merge}`,
  );
}

/** Put layers elsewhere in one step, as those of a group. */
export function transform(places: ReadonlyMap<string, Placement>, merge: string): void {
  edit(
    "painting.edit.transform",
    ({ ground, canvas }) => placeLayers(ground, canvas, places),
    `layers:${[...places.keys()].join(",")}.transform#${merge}`,
  );
}

let drags = 0;

/** What merges the changes of one drag, its last one included, and none of the next. */
export function ofDrag(done: boolean): string {
  const own = `drag${drags}`;
  if (done) drags += 1;
  return own;
}

export function remove(node: string): void {
  const next = neighbour(node);
  edit("painting.edit.remove", ({ ground, canvas }) => removeLayer(ground, canvas, node));
  useCanvasUi.getState().choose(next);
}

/** The one below, or else the one above: what is chosen once a layer is gone. */
function neighbour(node: string): string | null {
  const entries = here()?.canvas.entries ?? [];
  const at = entries.findIndex((entry) => entry.node === node);
  return entries[at - 1]?.node ?? entries[at + 1]?.node ?? null;
}

export function move(node: string, by: 1 | -1): void {
  edit("painting.edit.move", ({ ground, canvas }) => {
    const place = stepOf(canvas, node, by);
    return place && moveLayer(ground, canvas, node, place);
  });
}

/** As `move`, to where another layer or group is. */
export function moveBeside(node: string, other: string, where: Beside): void {
  edit("painting.edit.move", ({ ground, canvas }) => {
    const place = placeBeside(canvas, node, other, where);
    return place && moveLayer(ground, canvas, node, place);
  });
}

export function duplicate(node: string): void {
  edit("painting.edit.duplicate", ({ ground, canvas }) => duplicateLayer(ground, canvas, node));
}

export function group(nodes: readonly string[]): void {
  edit("painting.edit.group", ({ ground, canvas }) => groupLayers(ground, canvas, nodes));
}

export function dissolve(node: string): void {
  edit("painting.edit.ungroup", ({ ground, canvas }) => ungroup(ground, canvas, node));
}
