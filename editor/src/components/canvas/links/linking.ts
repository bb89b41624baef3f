/** The link that is being drawn, and the ports that it may be drawn to. */
import { create } from "zustand";
import type { Start } from "./connect";

export interface Linking {
  readonly start: Start | null;
  /** Fitting ports by node; of the other side than the start. */
  readonly fits: ReadonlyMap<string, ReadonlySet<string>>;
}

const NONE: Linking = { start: null, fits: new Map() };

export const useLinking = create<Linking>()(() => NONE);

export function beginLinking(start: Start, fits: Linking["fits"]): void {
  useLinking.setState({ start, fits });
}

export function endLinking(): void {
  if (useLinking.getState().start !== null) useLinking.setState(NONE);
}

/** What a card shows of it: nothing, that none of its ports fit, or which. */
export type CardLinking = null | {
  readonly side: "input" | "output";
  readonly fits: ReadonlySet<string> | null;
  readonly isStart: boolean;
  readonly port: string;
};

const NO_FIT = {
  input: { side: "input", fits: null, isStart: false, port: "" },
  output: { side: "output", fits: null, isStart: false, port: "" },
} as const;

const found = new WeakMap<ReadonlySet<string>, CardLinking>();

/** The same object until it changes, as a selector has to give. */
export function linkingOf(state: Linking, node: string): CardLinking {
  const { start } = state;
  if (start === null) return null;
  const side = start.side === "output" ? "input" : "output";
  if (start.node === node) return startOf(start);
  const fits = state.fits.get(node);
  if (!fits) return NO_FIT[side];
  const known = found.get(fits);
  if (known) return known;
  const made: CardLinking = { side, fits, isStart: false, port: "" };
  found.set(fits, made);
  return made;
}

let last: { readonly start: Start; readonly view: CardLinking } | null = null;

function startOf(start: Start): CardLinking {
  if (last?.start !== start) {
    last = { start, view: { side: start.side, fits: null, isStart: true, port: start.port } };
  }
  return last.view;
}
