/** What is open on the screen: panels, the dialog, the search for nodes, questions. */
import { create } from "zustand";
import { overlay, readStored, writeStored } from "./persisted";

export type Side = "left" | "right" | "bottom";

export interface ScreenPoint {
  readonly x: number;
  readonly y: number;
}

/** The loose end of a link that looks for a node. `side` is the port's that the link comes from. */
export interface LooseEnd {
  readonly type: string;
  readonly side: "input" | "output";
  readonly from: { readonly node: string; readonly port: string };
}

export interface AddNodeRequest {
  /** Where the search is shown, in pixels of the window. */
  readonly screen: ScreenPoint;
  /** Where the node is put, on the canvas. */
  readonly at: ScreenPoint;
  readonly fits?: LooseEnd;
  /** The node of the graph that is shown that gets the type, in place of a new node. */
  readonly replaces?: string;
}

export interface OpenedDialog {
  readonly name: string;
  readonly props: Readonly<Record<string, unknown>>;
}

export interface FocusRequest {
  readonly document: string;
  readonly path: readonly string[];
  readonly node: string;
  readonly port: string | null;
  /** Differs each time, so that asking twice for one node is two requests. */
  readonly nonce: number;
}

/** A question that blocks the page until it is answered: yes or no, or a line of text. */
export interface Question {
  readonly title: string;
  readonly detail?: string;
  readonly confirm: string;
  readonly danger?: boolean;
  /** Further answers besides yes and cancel, by the id that is given back. */
  readonly others?: readonly {
    readonly id: string;
    readonly label: string;
    readonly danger?: boolean;
  }[];
  readonly text?: {
    readonly label: string;
    readonly value: string;
    readonly check?: (text: string) => string | null;
  };
  readonly answer: (answer: string | null) => void;
}

export interface PanelLayout {
  readonly left: string | null;
  readonly right: string | null;
  readonly bottom: string | null;
  readonly leftSize: number;
  readonly rightSize: number;
  readonly bottomSize: number;
  /** The side at which the newest result is shown, or was before it was closed. */
  readonly resultSide: ResultSide;
  readonly rightResultSize: number;
  readonly bottomResultSize: number;
}

export type ResultSide = Exclude<Side, "left">;

/** The panel that shows the newest result: larger than others, and at either of two sides. */
export const RESULT = "result";

export type View = "generate" | "graph" | "canvas" | "app";

export interface Ui {
  readonly panel: PanelLayout;
  readonly dialog: OpenedDialog | null;
  readonly question: Question | null;
  readonly addNode: AddNodeRequest | null;
  readonly focusRequest: FocusRequest | null;
  /** The page without a graph, the graph, its layers as pictures, or its parameters as a form. */
  readonly view: View;
  /** A name for what the help panel explains: a node type, or null for the selected node's. */
  readonly helpTopic: string | null;
  readonly openDialog: (name: string, props?: Readonly<Record<string, unknown>>) => void;
  readonly closeDialog: () => void;
  readonly openAddNode: (request: AddNodeRequest) => void;
  readonly closeAddNode: () => void;
  readonly showPanel: (side: Side, name: string) => void;
  readonly hidePanel: (side: Side) => void;
  readonly togglePanel: (side: Side, name: string) => void;
  readonly resizePanel: (side: Side, size: number) => void;
  readonly requestFocus: (request: Omit<FocusRequest, "nonce">) => void;
  readonly showHelp: (topic: string | null) => void;
  readonly setView: (view: View) => void;
}

/** Where the window has room for it beside the graph, the newest result is shown from the start. */
const ROOM_FOR_RESULT = 1700;

export const DEFAULT_PANELS: PanelLayout = {
  left: null,
  right: innerWidth >= ROOM_FOR_RESULT ? RESULT : null,
  bottom: null,
  leftSize: 264,
  rightSize: 356,
  bottomSize: 248,
  resultSide: "right",
  rightResultSize: 440,
  bottomResultSize: 400,
};

/** The key of a side's size: the newest result has its own. */
export function sizeKey(panel: PanelLayout, side: Side) {
  return side !== "left" && panel[side] === RESULT
    ? (`${side}ResultSize` as const)
    : (`${side}Size` as const);
}

const SIDES = ["left", "right", "bottom"] as const;

const KEY = "nodegraph.panels";

function storedPanels(): PanelLayout {
  const stored = readStored(KEY);
  const panels = overlay(DEFAULT_PANELS, stored);
  const resultSide = panels.resultSide === "bottom" ? "bottom" : "right";
  // A side's name may be a text or null, whatever the default is.
  const sides = SIDES.map((side) => {
    const found = (stored as Partial<PanelLayout> | null)?.[side];
    return [side, typeof found === "string" || found === null ? found : DEFAULT_PANELS[side]];
  });
  return { ...panels, resultSide, ...Object.fromEntries(sides) };
}

/** Small screens show one panel at a time, over the canvas. */
function isSmall(): boolean {
  return typeof matchMedia === "function" && matchMedia("(max-width: 760px)").matches;
}

let nonce = 0;

export const useUi = create<Ui>()((set, get) => {
  const setPanels = (change: Partial<PanelLayout>) => {
    const panel = { ...get().panel, ...change };
    set({ panel });
    writeStored(KEY, panel);
  };
  const closed: Partial<PanelLayout> = { left: null, right: null, bottom: null };
  const panel = storedPanels();
  return {
    panel: isSmall() ? { ...panel, ...closed } : panel,
    dialog: null,
    question: null,
    addNode: null,
    focusRequest: null,
    view: "graph",
    helpTopic: null,
    openDialog: (name, props = {}) => set({ dialog: { name, props }, addNode: null }),
    closeDialog: () => set({ dialog: null }),
    openAddNode: (addNode) => set({ addNode }),
    closeAddNode: () => set({ addNode: null }),
    showPanel: (side, name) => {
      // A panel is shown once: asked for at another side, it moves there.
      const elsewhere = SIDES.filter((each) => each !== side && get().panel[each] === name);
      const left = isSmall() ? closed : Object.fromEntries(elsewhere.map((each) => [each, null]));
      const docked = name === RESULT && side !== "left" ? { resultSide: side } : {};
      setPanels({ ...left, ...docked, [side]: name });
    },
    hidePanel: (side) => setPanels({ [side]: null }),
    togglePanel: (side, name) => {
      if (get().panel[side] === name) get().hidePanel(side);
      else get().showPanel(side, name);
    },
    resizePanel: (side, size) => setPanels({ [sizeKey(get().panel, side)]: Math.round(size) }),
    requestFocus: (request) => {
      nonce += 1;
      set({ focusRequest: { ...request, nonce } });
    },
    showHelp: (helpTopic) => {
      set({ helpTopic });
      get().showPanel("right", "help");
    },
    setView: (view) => set({ view }),
  };
});

type Asked = Omit<Question, "answer" | "text">;

function ask(question: Omit<Question, "answer">): Promise<string | null> {
  useUi.getState().question?.answer(null);
  return new Promise((resolve) => {
    const answer = (given: string | null) => {
      useUi.setState({ question: null });
      resolve(given);
    };
    useUi.setState({ question: { ...question, answer } });
  });
}

/** Ask yes or no; closing the question is a no. */
export async function confirm(question: Asked): Promise<boolean> {
  return (await ask(question)) === "confirm";
}

/** Ask with more answers than two: gives "confirm", the id of another answer, or null. */
export function choose(question: Asked): Promise<string | null> {
  return ask(question);
}

/** Ask for a line of text; null when it was called off. */
export function askText(
  question: Asked & { text: NonNullable<Question["text"]> },
): Promise<string | null> {
  return ask(question);
}
