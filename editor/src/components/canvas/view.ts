/** How the canvas is seen just now, as far as cards have to know. */
import { createContext, useContext } from "react";
import { create } from "zustand";
import type { RunPlace } from "@/hooks/useNodeRun";

/** Below this zoom texts can't be read: cards are drawn as outlines, links as lines only. */
export const FAR_ZOOM = 0.42;
/** Below this one not even large titles. */
const TINY_ZOOM = 0.2;

interface CanvasView {
  readonly far: boolean;
  /** Even large titles can't be read. */
  readonly tiny: boolean;
  /** The node that was asked to be shown, for a short flash; with a number that differs each time. */
  readonly flash: {
    readonly node: string;
    readonly port: string | null;
    readonly nonce: number;
  } | null;
}

export const useCanvasView = create<CanvasView>()(() => ({ far: false, tiny: false, flash: null }));

export function setZoom(zoom: number): void {
  const [far, tiny] = [zoom < FAR_ZOOM, zoom < TINY_ZOOM];
  const known = useCanvasView.getState();
  if (known.far !== far || known.tiny !== tiny) useCanvasView.setState({ far, tiny });
}

/** The graph that a card is in. */
export const PlaceContext = createContext<RunPlace>({ document: "", prefix: "" });

export function usePlace(): RunPlace {
  return useContext(PlaceContext);
}
