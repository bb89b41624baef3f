/** How the canvas is seen just now, as far as cards have to know. */
import { createContext, useContext } from "react";
import { create } from "zustand";
import type { RunPlace } from "@/hooks/useNodeRun";

/** Below this zoom texts can't be read: cards are coloured blocks with titles, links lines only. */
export const FAR_ZOOM = 0.42;
/** Titles from afar, in pixels of the canvas, down to the zoom at which they have ten on screen. */
const TITLES = [
  { zoom: 0.3, size: 34 },
  { zoom: 0.2, size: 50 },
  { zoom: 0.13, size: 77 },
] as const;

interface CanvasView {
  readonly far: boolean;
  /** How large titles are from afar; 0 where there is no room for any that could be read. */
  readonly title: number;
  /** The node that was asked to be shown, for a short flash; with a number that differs each time. */
  readonly flash: {
    readonly node: string;
    readonly port: string | null;
    readonly nonce: number;
  } | null;
}

export const useCanvasView = create<CanvasView>()(() => ({ far: false, title: 0, flash: null }));

export function setZoom(zoom: number): void {
  const far = zoom < FAR_ZOOM;
  const title = far ? (TITLES.find((each) => zoom >= each.zoom)?.size ?? 0) : 0;
  const known = useCanvasView.getState();
  if (known.far !== far || known.title !== title) useCanvasView.setState({ far, title });
}

/** The graph that a card is in. */
export const PlaceContext = createContext<RunPlace>({ document: "", prefix: "" });

export function usePlace(): RunPlace {
  return useContext(PlaceContext);
}
