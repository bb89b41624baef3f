/** How the canvas is seen just now, as far as cards have to know. */
import { createContext, useContext } from "react";
import { create } from "zustand";
import type { RunPlace } from "@/hooks/useNodeRun";

/** Below this zoom texts can't be read: cards are coloured blocks with titles, links lines only. */
export const FAR_ZOOM = 0.42;
interface CanvasView {
  readonly far: boolean;
  /** The node that was asked to be shown, for a short flash; with a number that differs each time. */
  readonly flash: {
    readonly node: string;
    readonly port: string | null;
    readonly nonce: number;
  } | null;
}

export const useCanvasView = create<CanvasView>()(() => ({ far: false, flash: null }));

export function isFar(zoom: number): boolean {
  return zoom < FAR_ZOOM;
}

export function setZoom(zoom: number): void {
  const far = isFar(zoom);
  if (useCanvasView.getState().far !== far) useCanvasView.setState({ far });
}

/** The graph that a card is in. */
export const PlaceContext = createContext<RunPlace>({ document: "", prefix: "" });

export function usePlace(): RunPlace {
  return useContext(PlaceContext);
}
