import { type KeyboardEvent as ReactKeyboardEvent, useRef, useState } from "react";
import { isLayer } from "@/model/painting/types";
import type { Gesture, HeldKeys } from "./gestures";
import { middleOf, type Point, type Size } from "./pixels/geometry";
import { layersIn, movedBy } from "./pixels/layerTree";
import { fitted, seenRect, toScreen, zoomedAbout } from "./pixels/stageView";
import type { Sample } from "./pixels/strokePath";
import { moved } from "./pixels/transform";
import { hardened, resizedBrush, type StageKey, stageKey } from "./stageKeys";
import type { StageHandle, StageProps, StageView } from "./stageProps";
import type { FloatingPixels } from "./useFloating";

interface Options {
  readonly props: StageProps;
  readonly size: Size;
  readonly handle: StageHandle;
  /** Where the brush is shown now. */
  spot(): Point | null;
  onSpot(spot: Point): void;
  readonly floating: FloatingPixels;
  begin(start: Sample, keys: HeldKeys): Gesture | null;
  /** Take back the drag of a pointer; false if there is none. */
  cancelPointer(): boolean;
}

const ZOOM_STEP = 1.25;
/** Keys of the browser and of text fields are theirs. */
const NO_KEYS: HeldKeys = { shift: false, alt: false };

/**
 * The stage by keys: tools and their settings, the view, and drawing with the arrow keys, where Enter
 * puts the tool down and lifts it.
 */
export function useStageKeyboard(options: Options) {
  const { props, size, handle } = options;
  const { tool, view, canvas } = props;
  const held = useRef(false);
  const [isHolding, setHolding] = useState(false);
  const pen = useRef<Gesture | null>(null);
  const [isDown, setDown] = useState(false);

  function hold(next: boolean) {
    held.current = next;
    setHolding(next);
  }

  function lift(work: (gesture: Gesture) => void): boolean {
    const gesture = pen.current;
    pen.current = null;
    setDown(false);
    if (gesture !== null) work(gesture);
    return gesture !== null;
  }

  const stopDrag = (): boolean => {
    const hadPen = lift((gesture) => gesture.cancel());
    return options.cancelPointer() || hadPen;
  };

  const cancel = (): boolean => stopDrag() || options.floating.drop();

  const here = (): Point => options.spot() ?? middleOf(seenRect(view, size));

  function togglePen() {
    if (options.floating.apply()) return;
    if (lift((gesture) => gesture.end())) return;
    const at = here();
    options.onSpot(at);
    pen.current = options.begin({ ...at, pressure: 1 }, NO_KEYS);
    setDown(pen.current !== null);
  }

  function moveBy(key: Extract<StageKey, { kind: "move" }>) {
    if (pen.current === null && tool.name === "move") return nudgeLayer(key);
    if (pen.current === null && tool.name === "box") {
      const { box } = canvas;
      const [x, y] = [box.x + key.x * tool.snap, box.y + key.y * tool.snap];
      return props.onBox({ ...box, x, y }, true);
    }
    const step = key.shift ? 1 : Math.max(1, Math.round(tool.size / 4));
    const from = here();
    const to = { x: from.x + key.x * step, y: from.y + key.y * step };
    options.onSpot(to);
    pen.current?.move([{ ...to, pressure: 1 }], [], NO_KEYS);
    keepInView(to);
  }

  function nudgeLayer(key: Extract<StageKey, { kind: "move" }>) {
    const lifted = options.floating.current();
    if (lifted !== null) {
      const by = key.shift ? 10 : 1;
      options.floating.place(moved(lifted.placement, key.x * by, key.y * by));
      return;
    }
    const entry = canvas.entries.find(({ node }) => node === props.active);
    if (entry === undefined) return;
    const layers = isLayer(entry) ? [entry] : layersIn(canvas.entries, entry.node);
    if (layers.length === 0 || layers.some(({ locked }) => locked)) return;
    const step = key.shift ? 10 : 1;
    props.onPlacements(movedBy(layers, { x: key.x * step, y: key.y * step }), true);
  }

  function keepInView(to: Point) {
    const { x, y } = toScreen(view, to);
    if (x >= 0 && y >= 0 && x <= size.width && y <= size.height) return;
    const { width, height } = seenRect(view, size);
    props.onView({ ...view, x: to.x - width / 2, y: to.y - height / 2 });
  }

  function zoomed(by: "in" | "out" | "fit" | "actual"): StageView {
    if (by === "fit") return fitted(canvas.box, size);
    const middle = { x: size.width / 2, y: size.height / 2 };
    const factors = { in: ZOOM_STEP, out: 1 / ZOOM_STEP, actual: 1 / view.zoom };
    return zoomedAbout(view, middle, factors[by]);
  }

  function lockAlpha(): boolean {
    const layer = canvas.entries.filter(isLayer).find(({ node }) => node === props.active);
    if (layer === undefined || layer.picture === null || layer.kind === "reference") return false;
    props.onAlphaLock?.(layer.node, !layer.alphaLocked);
    return true;
  }

  /** Whether the key was for the stage. */
  function act(key: StageKey): boolean {
    switch (key.kind) {
      case "tool":
        stopDrag();
        props.onTool({ name: key.name });
        return true;
      case "size":
        props.onTool({ size: resizedBrush(tool.size, key.by) });
        return true;
      case "hardness":
        props.onTool({ hardness: hardened(tool.hardness, key.by) });
        return true;
      case "swap":
        props.onTool({ color: tool.background, background: tool.color });
        return true;
      case "zoom":
        props.onView(zoomed(key.by));
        return true;
      case "move":
        moveBy(key);
        return true;
      case "pen":
        togglePen();
        return true;
      case "hold":
        hold(true);
        return true;
      case "cancel":
        return cancel();
      case "peek":
        props.onPeek?.(true);
        return true;
      case "lockAlpha":
        return lockAlpha();
      case "fill":
        handle.fillSelection();
        return true;
      case "erase":
        // Without a selection the key does nothing: around the stage it would delete nodes.
        if (handle.hasSelection) handle.eraseSelection();
        return true;
      case "selectAll":
        handle.selectAll();
        return true;
      case "deselect":
        handle.clearSelection();
        return true;
      case "invert":
        handle.invertSelection();
        return true;
    }
  }

  return {
    isDown,
    /** Space is held: drags move the view. */
    isHolding,
    isHeld: () => held.current,
    cancel,
    handlers: {
      onKeyDown(event: ReactKeyboardEvent<HTMLElement>) {
        if (event.target !== event.currentTarget) return;
        const key = stageKey(event);
        if (key === null || !act(key)) return;
        event.preventDefault();
        event.stopPropagation();
      },
      onKeyUp(event: ReactKeyboardEvent<HTMLElement>) {
        if (event.key === " ") hold(false);
        if (event.key.toLowerCase() === "p") props.onPeek?.(false);
      },
      onBlur() {
        hold(false);
        props.onPeek?.(false);
        lift((gesture) => gesture.end());
      },
    },
  };
}
