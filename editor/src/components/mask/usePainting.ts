/** What is done to a mask: strokes of the brush, and changes of the whole. */
import { useCallback, useMemo, useRef } from "react";
import type { Brush, MaskLayer } from "./maskLayer";
import type { Spot } from "./spots";
import type { MaskCanvases } from "./useMaskLayer";
import type { Painting } from "./usePointer";

interface Options {
  readonly layer: MaskLayer;
  readonly brush: Brush;
  readonly canvases: MaskCanvases;
  readonly onHover: (at: Spot | null) => void;
  readonly onPaint: () => void;
}

export function usePainting({ layer, brush, canvases, onHover, onPaint }: Options) {
  const { redraw, settle } = canvases;
  const settled = useCallback(() => {
    settle();
    onPaint();
  }, [settle, onPaint]);

  const last = useRef<Spot | null>(null);
  const painting = useMemo<Painting>(() => {
    let tip = brush;
    return {
      begin(at, { line, erases }) {
        tip = erases ? { ...brush, erases: true } : brush;
        layer.begin();
        redraw(layer.stroke(line ? (last.current ?? at) : at, at, tip));
        last.current = at;
      },
      go(spots) {
        for (const at of spots) {
          redraw(layer.stroke(last.current ?? at, at, tip));
          last.current = at;
        }
      },
      end() {
        layer.end();
        settled();
      },
      cancel() {
        layer.cancel();
        settle();
      },
      hover: onHover,
    };
  }, [brush, layer, redraw, settle, settled, onHover]);

  const actions = useMemo(
    () => ({
      undo: () => layer.undo() !== null && settled(),
      redo: () => layer.redo() !== null && settled(),
      clear: () => {
        layer.clear();
        settled();
      },
      fill: () => {
        layer.fill();
        settled();
      },
      invert: () => {
        layer.invert();
        settled();
      },
    }),
    [layer, settled],
  );
  return { painting, actions };
}
