/** What is chosen on the canvas of each workflow: the layer, the tool's colours, what is seen. */
import { create } from "zustand";
import { useDocuments } from "@/store/documents";

export interface CanvasView {
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
}

interface CanvasUi {
  /** The node of the layer that tools work on; null for none. */
  readonly active: string | null;
  /** What is seen, by document; without one the box is fitted to the window. */
  readonly views: ReadonlyMap<string, CanvasView>;
  readonly choose: (node: string | null) => void;
  readonly look: (view: CanvasView) => void;
}

export const useCanvasUi = create<CanvasUi>()((set) => ({
  active: null,
  views: new Map(),
  choose: (active) => set({ active }),
  look: (view) =>
    set(({ views }) => ({ views: new Map(views).set(useDocuments.getState().active, view) })),
}));
