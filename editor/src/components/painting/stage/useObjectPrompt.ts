import { type RefObject, useMemo, useRef, useState } from "react";
import { t } from "@/i18n";
import type { ObjectPrompt } from "@/model/painting/objects";
import type { PaintCanvas } from "@/model/painting/types";
import { contains, outward, type Point, type Rect } from "./pixels/geometry";
import { itemsOf } from "./pixels/layerTree";
import type { Painter } from "./pixels/painter";
import { combined, isNone, NO_SELECTION, type Selection } from "./pixels/selection";
import { contextOf, encoded, newCanvas } from "./pixels/surface";
import type { StageProps } from "./stageProps";

/** What points at an object on the canvas, in pixels of the canvas. */
export interface Pointing {
  readonly points: readonly Point[];
  /** Points that don't belong to it. */
  readonly excluded: readonly Point[];
  readonly box: Rect | null;
}

export interface ObjectSelecting {
  /** One more point of the same object, or of another one. */
  point(at: Point, how: { readonly isOut: boolean; readonly isMore: boolean }): void;
  /** What lies in a rectangle. */
  frame(box: Rect): void;
  words(text: string): void;
}

interface Selecting {
  current(): Selection;
  select(selection: Selection): void;
}

/** What is looked at. */
interface Seen {
  readonly painter: Painter;
  readonly canvas: PaintCanvas;
}

const NOTHING_YET: Pointing = { points: [], excluded: [], box: null };

/** Selects the object that points, a box or words name, by what the page around the stage runs. */
export function useObjectPrompt(
  latest: RefObject<StageProps>,
  ground: () => Seen | null,
  selecting: Selecting,
  say: (note: string) => void,
) {
  const [pointing, setPointing] = useState<Pointing | null>(null);
  const [isBusy, setBusy] = useState(false);
  const now = useRef<{ pointing: Pointing; base: Selection; result: Selection } | null>(null);
  const asked = useRef(0);
  const actions = useMemo<ObjectSelecting & { clear(): void }>(() => {
    /** What was selected before the object was: an object of other points takes its place. */
    const begun = (isMore: boolean) => {
      const before = now.current;
      const isSame = before !== null && before.result === selecting.current();
      if (isMore && isSame) return before;
      const base = selecting.current();
      return { pointing: NOTHING_YET, base, result: base };
    };
    const clear = () => {
      asked.current += 1;
      now.current = null;
      setPointing(null);
      setBusy(false);
    };
    async function ask(next: Pointing, base: Selection, words = "") {
      const { canvas, tool, onObject } = latest.current;
      const rect = outward(canvas.box);
      const picture = pictureOf(ground(), rect);
      if (picture === null || onObject === undefined) return;
      const mine = ++asked.current;
      now.current = { pointing: next, base, result: selecting.current() };
      setPointing(next);
      setBusy(true);
      const prompt = within(next, rect, words);
      const address = await onObject(picture, prompt).catch(() => null);
      const mask = address === null ? null : await maskOf(address, rect).catch(() => null);
      if (mine !== asked.current) return;
      setBusy(false);
      if (address === null || mask === null) return;
      if (isNone(mask)) say(t("stage.noObject"));
      const result = combined(base, mask, tool.selecting);
      selecting.select(isNone(result) ? NO_SELECTION : result);
      now.current = { pointing: next, base, result: selecting.current() };
    }
    return {
      clear,
      point(at, { isOut, isMore }) {
        if (!contains(latest.current.canvas.box, at)) return say(t("stage.outsideBox"));
        const { pointing: before, base } = begun(isMore || isOut);
        const list = isOut ? "excluded" : "points";
        const next = { ...before, [list]: [...before[list], at] };
        // A point outside says nothing while none is inside.
        if (next.points.length === 0 && next.box === null) return say(t("stage.pointFirst"));
        void ask(next, base);
      },
      frame(box) {
        const { base } = begun(false);
        void ask({ ...NOTHING_YET, box }, base);
      },
      words(text) {
        const { base } = begun(false);
        void ask(NOTHING_YET, base, text);
      },
    };
  }, [latest, ground, selecting, say]);
  return { pointing, isBusy, ...actions };
}

/** The prompt in pixels of the box's picture. */
function within({ points, excluded, box }: Pointing, rect: Rect, words: string): ObjectPrompt {
  const moved = ({ x, y }: Point) => ({
    x: Math.min(rect.width - 1, Math.max(0, Math.floor(x) - rect.x)),
    y: Math.min(rect.height - 1, Math.max(0, Math.floor(y) - rect.y)),
  });
  return {
    points: points.map(moved),
    excluded: excluded.map(moved),
    box: box && clipped(box, rect),
    words,
    size: { width: rect.width, height: rect.height },
  };
}

function clipped(box: Rect, rect: Rect): Rect | null {
  const left = Math.max(0, Math.floor(box.x - rect.x));
  const top = Math.max(0, Math.floor(box.y - rect.y));
  const right = Math.min(rect.width, Math.ceil(box.x - rect.x + box.width));
  const bottom = Math.min(rect.height, Math.ceil(box.y - rect.y + box.height));
  if (right - left < 2 || bottom - top < 2) return null;
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** All visible raster layers on white, as the model that samples the box sees them. */
function pictureOf(ground: Seen | null, rect: Rect): Promise<Blob> | null {
  if (ground === null) return null;
  const image = newCanvas(rect.width, rect.height);
  const context = contextOf(image, true);
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, rect.width, rect.height);
  const items = itemsOf(ground.canvas, "raster", null);
  context.drawImage(ground.painter.composited(items, rect), 0, 0);
  return encoded({ ...rect, image });
}

/** A picture of a mask, white where it counts, as a selection of the box. */
async function maskOf(address: string, rect: Rect): Promise<Selection> {
  const element = new Image();
  element.src = address;
  await element.decode();
  const canvas = newCanvas(rect.width, rect.height);
  const context = contextOf(canvas, true);
  context.drawImage(element, 0, 0, rect.width, rect.height);
  const { data } = context.getImageData(0, 0, rect.width, rect.height);
  const mask = new Uint8Array(rect.width * rect.height);
  for (let at = 0; at < mask.length; at++) mask[at] = data[at * 4] ?? 0;
  return { rect, mask, outside: 0 };
}
