import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import { type Area, MaskLayer } from "./maskLayer";
import { colorOf, drawMask, drawPicture } from "./overlay";
import { maskOf, PictureFault, readPicture } from "./picture";
import type { Pixels } from "./png";

export interface OpenPicture {
  readonly pixels: Pixels;
  readonly layer: MaskLayer;
}

export type Opening =
  | { readonly state: "loading" }
  | { readonly state: "failed"; readonly reason: PictureFault["reason"] }
  | ({ readonly state: "open" } & OpenPicture);

/** A picture and its mask, read once. */
export function useOpenPicture(address: string): Opening {
  const [opening, setOpening] = useState<Opening>({ state: "loading" });
  useEffect(() => {
    const stop = new AbortController();
    setOpening({ state: "loading" });
    readPicture(address, stop.signal).then(
      (pixels) => {
        if (stop.signal.aborted) return;
        const layer = new MaskLayer(pixels.width, pixels.height, maskOf(pixels));
        setOpening({ state: "open", pixels, layer });
      },
      (fault: unknown) => {
        if (stop.signal.aborted) return;
        const reason = fault instanceof PictureFault ? fault.reason : "missing";
        setOpening({ state: "failed", reason });
      },
    );
    return () => stop.abort();
  }, [address]);
  return opening;
}

export type MaskCanvases = ReturnType<typeof useMaskCanvases>;

/** The two canvases: the picture, and the mask over it, which is drawn anew where it changes. */
export function useMaskCanvases({ pixels, layer }: OpenPicture) {
  const picture = useRef<HTMLCanvasElement>(null);
  const mask = useRef<HTMLCanvasElement>(null);
  const [, changed] = useReducer((count: number) => count + 1, 0);

  const redraw = useCallback(
    (area?: Area | null) => {
      const canvas = mask.current;
      const whole = { x: 0, y: 0, width: layer.width, height: layer.height };
      if (canvas !== null) drawMask(canvas, layer, area ?? whole, colorOf(canvas));
    },
    [layer],
  );

  useEffect(() => {
    if (picture.current !== null) drawPicture(picture.current, pixels);
    redraw();
  }, [pixels, redraw]);

  /** Tell React too: what can be undone, and how much is masked. */
  const settle = useCallback(
    (area?: Area | null) => {
      redraw(area);
      changed();
    },
    [redraw],
  );

  return { picture, mask, redraw, settle };
}
