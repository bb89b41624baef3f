/** What is chosen on the canvas: the layer, the tool and its settings, and what is seen of it. */
import { create } from "zustand";
import { currentScope, type DocumentsState, useDocuments } from "@/store/documents";
import type { Candidate } from "@/store/painting";
import { overlay, readOfWindow, readStored, writeOfWindow, writeStored } from "@/store/persisted";
import type { StageView } from "./stage/stageProps";
import { DEFAULT_TOOL, type ToolState } from "./stage/tools";

interface CanvasUi {
  /** The node of the layer that tools work on; null for none. */
  readonly active: string | null;
  readonly tool: ToolState;
  /** 0 to 1: how much of what lies below a shown candidate is covered. */
  readonly candidateOpacity: number;
  /** A key is held to look below the candidate. */
  readonly isPeeking: boolean;
  /** The candidate that is not shown, as what lies below it is painted on; null for none. */
  readonly hidden: Candidate | null;
  /** What is seen, by graph; without one the box is fitted to the window. */
  readonly views: ReadonlyMap<string, StageView>;
  readonly choose: (node: string | null) => void;
  readonly setTool: (changes: Partial<ToolState>) => void;
  readonly look: (view: StageView) => void;
  readonly fade: (opacity: number) => void;
  readonly peek: (isHeld: boolean) => void;
  readonly hide: (candidate: Candidate | null) => void;
}

const KEY = "nodegraph.painting";
const LOOK_KEY = "nodegraph.canvasLook";
/** Milliseconds after which what is seen is kept for a reload. */
const SOON = 250;
const MOST_VIEWS = 20;

export const useCanvasUi = create<CanvasUi>()((set, get) => ({
  active: keptLook().active,
  tool: overlay(DEFAULT_TOOL, readStored(KEY)),
  candidateOpacity: 1,
  isPeeking: false,
  hidden: null,
  views: new Map(keptLook().views),
  choose: (active) => set({ active }),
  setTool: (changes) => {
    const tool = { ...get().tool, ...changes };
    set({ tool });
    writeStored(KEY, tool);
  },
  fade: (candidateOpacity) => set({ candidateOpacity }),
  peek: (isPeeking) => set({ isPeeking }),
  hide: (hidden) => set({ hidden }),
  look: (view) =>
    set(({ views }) => ({
      views: new Map(views).set(shownCanvas(useDocuments.getState()), view),
    })),
}));

interface Look {
  readonly active: string | null;
  readonly views: readonly (readonly [string, StageView])[];
}

function keptLook(): Look {
  const found = readOfWindow(LOOK_KEY) as Partial<Look> | null;
  const { active, views } = found ?? {};
  const isView = (entry: unknown) =>
    Array.isArray(entry) && ["x", "y", "zoom"].every((key) => Number.isFinite(entry[1]?.[key]));
  return {
    active: typeof active === "string" ? active : null,
    views: Array.isArray(views) ? views.filter(isView) : [],
  };
}

let keeping: ReturnType<typeof setTimeout> | undefined;

function keepLook(): void {
  clearTimeout(keeping);
  keeping = undefined;
  const { active, views } = useCanvasUi.getState();
  const look: Look = { active, views: [...views].slice(-MOST_VIEWS) };
  writeOfWindow(LOOK_KEY, look);
}

// A reload shows the same part of the canvas, with the same layer chosen.
useCanvasUi.subscribe(({ active, views }, before) => {
  // The next layer is put on the chosen one: a reload right after must not put it elsewhere.
  if (active !== before.active) keepLook();
  // Dragging the view makes a new one with each frame.
  else if (views !== before.views) keeping ??= setTimeout(keepLook, SOON);
});
addEventListener("pagehide", () => {
  if (keeping !== undefined) keepLook();
});

/** The graph that is shown, by its document and its block. */
export function shownCanvas({ documents, active }: DocumentsState): string {
  const document = documents.find(({ id }) => id === active);
  return `${active}/${(document && currentScope(document)) ?? ""}`;
}
