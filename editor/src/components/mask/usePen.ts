/** Painting by keys: a pen that is moved over the picture, and put down to paint. */
import { useState } from "react";
import type { Spot } from "./spots";
import type { Painting } from "./usePointer";

interface Options {
  readonly painting: Painting;
  readonly spot: Spot | null;
  readonly onMove: (to: Spot) => void;
  /** Of the picture, in pixels. */
  readonly size: { readonly width: number; readonly height: number };
  /** Pixels that a key goes. */
  readonly step: number;
}

export function usePen({ painting, spot, onMove, size, step }: Options) {
  const [isDown, setDown] = useState(false);
  const at = spot ?? { x: size.width / 2, y: size.height / 2 };

  function lift() {
    if (isDown) painting.end();
    setDown(false);
  }

  function drop() {
    if (isDown) return;
    onMove(at);
    painting.begin(at, { line: false, erases: false });
    setDown(true);
  }

  function moveBy(x: number, y: number, fine: boolean) {
    const far = fine ? 1 : step;
    const next = {
      x: Math.min(size.width, Math.max(0, at.x + x * far)),
      y: Math.min(size.height, Math.max(0, at.y + y * far)),
    };
    onMove(next);
    if (isDown) painting.go([next]);
  }

  return { isDown, lift, drop, moveBy };
}
