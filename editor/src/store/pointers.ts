/** Where others point and what they drag right now: shown while it lasts, and kept nowhere. */
import { create } from "zustand";
import type { LivePointer } from "@/api/socket";
import type { Point } from "@/model/layout";

/** Milliseconds without a word after which what somebody drags is where it was. */
const STALE_DRAG = 4000;
/** The same for a pointer that stands still. */
const STALE_CURSOR = 60_000;
/** Milliseconds that a dropped thing stays where it is, until the change itself is there. */
const DROPPED = 1000;

export interface Pointer {
  readonly path: readonly string[];
  readonly cursor: Point | null;
  /** Places of what is dragged. */
  readonly moves: ReadonlyMap<string, Point>;
}

interface Pointers {
  /** By document, then by member. */
  readonly byDocument: ReadonlyMap<string, ReadonlyMap<string, Pointer>>;
}

const NONE: ReadonlyMap<string, Pointer> = new Map();
const NO_MOVES: ReadonlyMap<string, Point> = new Map();

export const usePointers = create<Pointers>()(() => ({ byDocument: new Map() }));

export function pointersOf(state: Pointers, document: string): ReadonlyMap<string, Pointer> {
  return state.byDocument.get(document) ?? NONE;
}

const timers = new Map<string, ReturnType<typeof setTimeout>>();

/** Somebody points elsewhere, or drags. */
export function hearPointer(document: string, member: string, live: LivePointer): void {
  const known = pointersOf(usePointers.getState(), document).get(member);
  const moves = new Map(Object.entries(live.moves).map(([id, [x, y]]) => [id, { x, y }]));
  // What was dropped stays until the change is here: else it would jump back for a moment.
  const isDrop = moves.size === 0 && (known?.moves.size ?? 0) > 0;
  set(document, member, {
    path: live.path,
    cursor: live.cursor && { x: live.cursor[0], y: live.cursor[1] },
    moves: isDrop ? (known?.moves ?? NO_MOVES) : moves,
  });
  later(`${document} ${member} drag`, isDrop ? DROPPED : STALE_DRAG, () =>
    endDrag(document, member),
  );
  later(`${document} ${member}`, STALE_CURSOR, () => set(document, member, null));
}

/** What somebody dragged is in the workflow now. */
export function endDrag(document: string, member: string): void {
  const known = pointersOf(usePointers.getState(), document).get(member);
  if (known === undefined || known.moves.size === 0) return;
  set(document, member, { ...known, moves: NO_MOVES });
}

/** Forget those who are gone; all where nobody is told. */
export function keepPointers(document: string, members: readonly string[] = []): void {
  for (const member of pointersOf(usePointers.getState(), document).keys()) {
    if (!members.includes(member)) set(document, member, null);
  }
}

function set(document: string, member: string, pointer: Pointer | null): void {
  if (pointer === null) {
    for (const key of [`${document} ${member}`, `${document} ${member} drag`]) {
      clearTimeout(timers.get(key));
      timers.delete(key);
    }
  }
  usePointers.setState(({ byDocument }) => {
    const found = new Map(byDocument.get(document));
    if (pointer === null) found.delete(member);
    else found.set(member, pointer);
    return { byDocument: new Map(byDocument).set(document, found) };
  });
}

function later(key: string, wait: number, run: () => void): void {
  clearTimeout(timers.get(key));
  timers.set(key, setTimeout(run, wait));
}

/** What others drag in some graph. */
export function dragsIn(
  pointers: ReadonlyMap<string, Pointer>,
  isThere: (path: readonly string[]) => boolean,
): ReadonlyMap<string, Point> {
  const there = [...pointers.values()].filter(({ moves, path }) => moves.size > 0 && isThere(path));
  const [first, ...more] = there;
  if (first === undefined) return NO_MOVES;
  return more.length === 0 ? first.moves : new Map(there.flatMap(({ moves }) => [...moves]));
}

// One's own

export interface OwnPointer {
  readonly cursor: Point | null;
  readonly moves: ReadonlyMap<string, Point>;
}

type Listener = (document: string) => void;

let own: OwnPointer = { cursor: null, moves: NO_MOVES };
let listener: Listener | null = null;

export function ownPointer(): OwnPointer {
  return own;
}

/** Say where the own pointer is, or what is dragged with it. */
export function point(document: string, change: Partial<OwnPointer>): void {
  own = { ...own, ...change };
  listener?.(document);
}

/** Be told when the own pointer moves; gives what ends it. */
export function onOwnPointer(told: Listener): () => void {
  listener = told;
  return () => {
    if (listener === told) listener = null;
  };
}
