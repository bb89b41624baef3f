import { type RefObject, useEffect, useMemo, useRef, useState } from "react";
import { t } from "@/i18n";
import type { Placement } from "@/model/painting/types";
import { isLayer } from "@/model/painting/types";
import { MovedSelections } from "./movedSelections";
import { Floating } from "./pixels/floating";
import type { Painter } from "./pixels/painter";
import { isNone, NO_SELECTION, type Selection } from "./pixels/selection";
import type { StageProps } from "./stageProps";

/** What gestures and keys do with selected pixels that were lifted from their layer. */
export interface FloatingPixels {
  readonly current: () => Floating | null;
  place(placement: Placement): void;
  /** Put them down where they are: one step to undo. False if there are none, or they never moved. */
  apply(): boolean;
  /** Put them back where they were; false if there are none, or they never moved. */
  drop(): boolean;
}

interface Lifting {
  /** Of the pixels of all layers. */
  readonly version: number;
  readonly selection: Selection;
  readonly node: string | null;
}

interface Selecting {
  current(): Selection;
  select(selection: Selection): void;
}

/**
 * Selected pixels of the active layer while the move tool is chosen: they are lifted, and put down
 * once another tool or layer is chosen.
 */
export function useFloating(
  painter: Painter | null,
  latest: RefObject<StageProps>,
  selecting: Selecting,
): FloatingPixels {
  const [, setShown] = useState<Floating | null>(null);
  const held = useRef<Floating | null>(null);
  /** What was lifted last, or tried to be. */
  const from = useRef<Lifting>({ version: 0, selection: NO_SELECTION, node: null });
  const moves = useState(() => new MovedSelections())[0];
  const pixels = useMemo(() => {
    const hold = (next: Floating | null) => {
      held.current = next;
      setShown(next);
    };
    return {
      current: () => held.current,
      lift() {
        const { active } = latest.current;
        const layer = painter?.paintable(active) ?? null;
        const selection = selecting.current();
        from.current = { version: painter?.pixels.version ?? 0, selection, node: active };
        if (painter === null || layer === null || layer.alphaLocked || isNone(selection)) return;
        const draw = (context: OffscreenCanvasRenderingContext2D) =>
          painter.pixels.draw(layer.node, context);
        const extent = painter.extentOf([layer]);
        hold(Floating.lift(layer.node, extent, draw, selection));
      },
      place(placement: Placement) {
        const now = held.current;
        if (now === null || painter === null) return;
        const next = now.at(placement);
        hold(next);
        painter.show(now.node, next, next.bounds);
      },
      apply() {
        const now = held.current;
        if (now === null || painter === null || !now.isMoved) return false;
        const before = selecting.current();
        // Something else may be selected by now.
        const after = before === from.current.selection ? now.selection : before;
        hold(null);
        const named = moves.add(now.node, before, after);
        painter.commit(now.node, now, t("stage.did.move"), { named });
        if (after !== before) selecting.select(after);
        return true;
      },
      drop() {
        if (held.current === null || !held.current.isMoved) return false;
        this.release();
        return true;
      },
      release() {
        if (held.current === null) return;
        if (held.current.isMoved) painter?.cancel();
        from.current = { ...from.current, node: null };
        hold(null);
      },
    };
  }, [painter, latest, selecting, moves]);

  // After each drawing, as what was lifted is out of date once something else is shown or selected.
  useEffect(() => {
    const { tool, active } = latest.current;
    const now = held.current;
    const isWanted = tool.name === "move" && painter !== null;
    const { version, selection, node } = from.current;
    const isOld = painter?.pixels.version !== version;
    const isOther = node !== active || selection !== selecting.current();
    if (now !== null && (isOld || isOther || !isWanted)) {
      if (!isOld) pixels.apply();
      pixels.release();
    }
    const isNew = from.current.node !== active || isOld || isOther;
    if (isWanted && isNew && !isNone(selecting.current())) pixels.lift();
  });
  useEffect(() => {
    const layers = latest.current.canvas.entries.filter(isLayer);
    const values = layers.flatMap(({ node, picture }) =>
      picture ? [[node, picture.value] as const] : [],
    );
    const selection = moves.show(values, selecting.current());
    if (selection !== null) selecting.select(selection);
  });
  useEffect(() => () => void pixels.apply(), [pixels]);
  return pixels;
}
