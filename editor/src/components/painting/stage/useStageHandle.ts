import type { Ref } from "react";
import { useImperativeHandle, useMemo } from "react";
import { type Ground, optionsFor, targetArea } from "./gestures";
import { FillEdit } from "./pixels/edits";
import { maskPicture } from "./pixels/floating";
import { intersection, isEmpty, outward, type Rect, type Size, union } from "./pixels/geometry";
import { itemsFor, itemsOf, layersOf } from "./pixels/layerTree";
import {
  inverted,
  isNone,
  NO_SELECTION,
  type Selection,
  selectRectangle,
} from "./pixels/selection";
import { shelf } from "./pixels/shelf";
import { fitted } from "./pixels/stageView";
import { encoded, isTooLarge, type Picture, Surface } from "./pixels/surface";
import type { StageHandle, StageProps } from "./stageProps";

interface Options {
  /** Null while there is no canvas to draw on. */
  ground(): Ground | null;
  readonly size: Size;
  readonly element: () => HTMLElement | null;
  select(selection: Selection): void;
  selection(): Selection;
  cancel(): void;
  props(): StageProps;
}

/** Pictures that were handed out, by the file that is made of them. */
const handedOut = new WeakMap<Promise<Blob>, Picture>();

/** What buttons around the stage do with its pixels. */
export function useStageHandle(ref: Ref<StageHandle> | undefined, options: Options): StageHandle {
  const handle = useMemo(() => handleOf(options), [options]);
  useImperativeHandle(ref, () => handle, [handle]);
  return handle;
}

function handleOf({
  ground,
  size,
  element,
  select,
  selection,
  cancel,
  props,
}: Options): StageHandle {
  function fillWith(erases: boolean, merge?: string) {
    const now = ground();
    if (now === null) return;
    const layer = now.painter.paintable(now.active);
    if (layer === null) return now.onRefused();
    if (erases && layer.alphaLocked) return now.onRefused("alpha");
    const area = erases
      ? outward(union(now.painter.extentOf([layer]), now.selection.rect))
      : targetArea(now.selection, now.canvas.box);
    if (isTooLarge(area)) return now.onRefused();
    now.painting();
    const mask = new Uint8Array(area.width * area.height).fill(255);
    const options = optionsFor(now, layer, erases);
    // The opacity is that of paint: what is erased by a key is gone.
    const edit = new FillEdit(erases ? { ...options, opacity: 1 } : options, area, mask);
    const label = now.label(erases ? "erase" : "fill");
    if (!now.painter.commit(layer.node, edit, label, { merge })) now.onRefused();
  }

  function handedPicture(picture: Picture, rect: Rect) {
    const blob = encoded(picture);
    handedOut.set(blob, picture);
    return { blob, placement: { ...rect, rotation: 0 } };
  }

  return {
    get hasSelection() {
      return !isNone(selection());
    },
    selectAll: () => select(selectRectangle(props().canvas.box)),
    invertSelection() {
      const next = inverted(selection());
      select(isNone(next) ? NO_SELECTION : next);
    },
    clearSelection: () => select(NO_SELECTION),
    fillSelection: () => fillWith(false),
    eraseSelection: (merge) => fillWith(true, merge),
    selectObject(words) {
      ground()?.object.words(words);
    },
    draw(node, edit, label) {
      const painter = ground()?.painter;
      return painter?.paintable(node) ? painter.commit(node, edit, label) : false;
    },
    applyMove() {
      ground()?.floating.apply();
    },
    selectedPicture() {
      const now = ground();
      if (now === null || isNone(now.selection)) return null;
      const own = itemsFor(now.canvas, now.active === null ? [] : [now.active]);
      const isOwn = layersOf(own).some(({ kind }) => kind === "raster");
      const items = isOwn ? own : itemsOf(now.canvas, "raster", null);
      const extent = outward(now.painter.extentOf(layersOf(items)));
      const area = intersection(targetArea(now.selection, now.canvas.box), extent);
      if (isEmpty(area) || isTooLarge(area)) return null;
      const surface = new Surface(area);
      // The layer's own look is the new layer's, and not drawn into its pixels.
      const plain = items.map((item) => (isOwn ? { ...item, opacity: 1, mode: "normal" } : item));
      surface.draw((context) => {
        context.drawImage(now.painter.composited(plain, area), area.x, area.y);
        context.globalCompositeOperation = "destination-in";
        context.drawImage(maskPicture(now.selection, area), area.x, area.y);
      });
      const { picture, rect, isBlank } = surface.cropped();
      return isBlank ? null : handedPicture(picture, rect);
    },
    selectionPicture() {
      const now = selection();
      if (isNone(now)) return null;
      const area = targetArea(now, props().canvas.box);
      return handedPicture({ ...area, image: maskPicture(now, area) }, area);
    },
    mergedPicture(nodes) {
      const now = ground();
      if (now === null) return null;
      const items = itemsFor(now.canvas, nodes);
      const layers = layersOf(items);
      // What isn't here would be missing in what counts instead of it.
      if (!layers.every(({ node }) => now.painter.pixels.isReady(node))) return null;
      const extent = outward(now.painter.extentOf(layers));
      if (isEmpty(extent) || isTooLarge(extent)) return null;
      const surface = new Surface(extent);
      const merged = now.painter.composited(items, extent);
      surface.draw((context) => context.drawImage(merged, extent.x, extent.y));
      const { picture, rect } = surface.cropped();
      return handedPicture(picture, rect);
    },
    keep(value, blob) {
      const picture = handedOut.get(blob);
      if (picture !== undefined) shelf.keep(value, picture);
    },
    async flattened(area) {
      const now = ground();
      if (now === null) throw new Error("There is no canvas to draw on.");
      const rect = outward(area ?? now.canvas.box);
      const image = now.painter.composited(itemsOf(now.canvas, "raster", null), rect);
      return encoded({ ...rect, image });
    },
    fit(what) {
      const { canvas, onView } = props();
      const now = ground();
      const layers = now?.painter.extentOf(now.painter.layers) ?? canvas.box;
      onView(fitted(what === "box" || isEmpty(layers) ? canvas.box : layers, size));
    },
    cancel,
    focus: () => element()?.focus({ preventScroll: true }),
  };
}
