/** What is chosen on the canvas: the layer, the tool and its settings, and what is seen of it. */
import { create } from "zustand";
import { currentScope, type DocumentsState, useDocuments } from "@/store/documents";
import { overlay, readStored, writeStored } from "@/store/persisted";
import type { StageView } from "./stage/stageProps";
import { DEFAULT_TOOL, type ToolState } from "./stage/tools";

interface CanvasUi {
  /** The node of the layer that tools work on; null for none. */
  readonly active: string | null;
  readonly tool: ToolState;
  /** What is seen, by graph; without one the box is fitted to the window. */
  readonly views: ReadonlyMap<string, StageView>;
  readonly choose: (node: string | null) => void;
  readonly setTool: (changes: Partial<ToolState>) => void;
  readonly look: (view: StageView) => void;
}

const KEY = "nodegraph.painting";

export const useCanvasUi = create<CanvasUi>()((set, get) => ({
  active: null,
  tool: overlay(DEFAULT_TOOL, readStored(KEY)),
  views: new Map(),
  choose: (active) => set({ active }),
  setTool: (changes) => {
    const tool = { ...get().tool, ...changes };
    set({ tool });
    writeStored(KEY, tool);
  },
  look: (view) =>
    set(({ views }) => ({
      views: new Map(views).set(shownCanvas(useDocuments.getState()), view),
    })),
}));

/** The graph that is shown, by its document and its block. */
export function shownCanvas({ documents, active }: DocumentsState): string {
  const document = documents.find(({ id }) => id === active);
  return `${active}/${(document && currentScope(document)) ?? ""}`;
}
