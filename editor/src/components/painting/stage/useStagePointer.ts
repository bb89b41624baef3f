import { type PointerEvent as ReactPointerEvent, useRef } from "react";
import type { Gesture, HeldKeys } from "./gestures";
import type { Point } from "./pixels/geometry";
import { panned, toCanvas, zoomedAbout } from "./pixels/stageView";
import type { Sample } from "./pixels/strokePath";
import type { StageView } from "./stageProps";
import type { ToolName } from "./tools";

interface Options {
  readonly view: StageView;
  readonly tool: ToolName;
  /** Space is held: the pointer moves the view whatever the tool is. */
  readonly isHeld: () => boolean;
  begin(start: Sample, keys: HeldKeys, erases: boolean): Gesture | null;
  onView(view: StageView): void;
  /** Null once the pointer has left. */
  onHover(point: Point | null): void;
}

/** A drag by a finger that may still become one of two. */
interface Awaited {
  readonly start: Sample;
  readonly keys: HeldKeys;
  readonly samples: Sample[];
  readonly timer: ReturnType<typeof setTimeout>;
}

/** Milliseconds in which a second finger may follow before the first one draws. */
const SECOND_FINGER = 90;
/** Whether a pen has drawn since the page was loaded: fingers move the view from then on. */
let hasPen = false;

const ERASER_BUTTON = 32;
const MIDDLE = 1;

export type StagePointer = ReturnType<typeof useStagePointer>;

/**
 * Drags of tools by mouse, pen and finger; two fingers move and zoom the view, the middle button or
 * Space with a drag move it. Who has a pen draws with it, and moves the view with one finger, too.
 */
export function useStagePointer({ view, tool, isHeld, begin, onView, onHover }: Options) {
  const fingers = useRef(new Map<number, Point>());
  const gesture = useRef<Gesture | null>(null);
  const isPanning = useRef(false);
  const awaited = useRef<Awaited | null>(null);
  /** The pen that draws: a hand that rests beside it does nothing. */
  const pen = useRef<number | null>(null);
  // Several moves can come before the view is drawn again.
  const latest = useRef(view);
  latest.current = view;

  function show(next: StageView) {
    latest.current = next;
    onView(next);
  }

  function sampleOf(event: PointerEvent, frame: DOMRect): Sample {
    const at = { x: event.clientX - frame.left, y: event.clientY - frame.top };
    return { ...toCanvas(latest.current, at), pressure: pressureOf(event) };
  }

  function down(event: ReactPointerEvent<HTMLElement>) {
    const element = event.currentTarget;
    element.setPointerCapture(event.pointerId);
    element.focus({ preventScroll: true });
    if (event.pointerType === "pen") takePen(event.pointerId);
    else if (pen.current !== null) return;
    fingers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const isFinger = event.pointerType === "touch";
    if (isFinger && hasPen) {
      isPanning.current = true;
      return;
    }
    if (fingers.current.size > 1 || event.button === MIDDLE || tool === "pan" || isHeld()) {
      cancel();
      isPanning.current = true;
      return;
    }
    if (gesture.current !== null) return;
    const erases = event.button === 2 || (event.buttons & ERASER_BUTTON) !== 0;
    if (event.button === 2 && tool !== "brush" && tool !== "eraser") return;
    const start = sampleOf(event.nativeEvent, element.getBoundingClientRect());
    if (isFinger) awaitSecond(start, keysOf(event));
    else gesture.current = begin(start, keysOf(event), erases);
  }

  function takePen(id: number) {
    hasPen = true;
    pen.current = id;
    cancel();
    fingers.current.clear();
    isPanning.current = false;
  }

  /** Draw with a finger once no other one has followed: those two would move the view, or tap. */
  function awaitSecond(start: Sample, keys: HeldKeys) {
    const timer = setTimeout(beginAwaited, SECOND_FINGER);
    awaited.current = { start, keys, samples: [], timer };
  }

  function beginAwaited() {
    const { current } = awaited;
    if (current === null) return;
    clearTimeout(current.timer);
    awaited.current = null;
    gesture.current = begin(current.start, current.keys, false);
    if (current.samples.length > 0) gesture.current?.move(current.samples, [], current.keys);
  }

  function move(event: ReactPointerEvent<HTMLElement>) {
    const frame = event.currentTarget.getBoundingClientRect();
    const sample = sampleOf(event.nativeEvent, frame);
    if (event.pointerType !== "touch") onHover(sample);
    if (pen.current !== null && event.pointerId !== pen.current) return;
    if (isPanning.current) pan(event, frame);
    else if (awaited.current !== null) awaited.current.samples.push(sample);
    else if (gesture.current !== null) {
      const native = event.nativeEvent;
      const all = native.getCoalescedEvents?.() ?? [];
      const samples = (all.length > 0 ? all : [native]).map((one) => sampleOf(one, frame));
      // Mice stop where no prediction goes; a pen's ink follows it more closely with one.
      const next = event.pointerType === "pen" ? (native.getPredictedEvents?.() ?? []) : [];
      gesture.current.move(
        samples,
        next.map((one) => sampleOf(one, frame)),
        keysOf(event),
      );
    }
  }

  function pan(event: ReactPointerEvent<HTMLElement>, frame: DOMRect) {
    const last = fingers.current.get(event.pointerId);
    if (last === undefined) return;
    const spread = spreadOf(fingers.current);
    fingers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const share = 1 / fingers.current.size;
    const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
    let next = panned(latest.current, dx * share, dy * share);
    const after = spreadOf(fingers.current);
    if (spread > 0 && after > 0) {
      const middle = middleOf(fingers.current);
      const at = { x: middle.x - frame.left, y: middle.y - frame.top };
      next = zoomedAbout(next, at, after / spread);
    }
    show(next);
  }

  function up(event: ReactPointerEvent<HTMLElement>) {
    fingers.current.delete(event.pointerId);
    if (pen.current !== null && event.pointerId !== pen.current) return;
    pen.current = null;
    if (fingers.current.size > 0) return;
    isPanning.current = false;
    beginAwaited();
    const ended = gesture.current;
    gesture.current = null;
    ended?.end();
  }

  /** Take back the drag that goes on; false if there is none. */
  function cancel(): boolean {
    clearTimeout(awaited.current?.timer);
    awaited.current = null;
    const ended = gesture.current;
    gesture.current = null;
    ended?.cancel();
    return ended !== null;
  }

  function cancelled(event: ReactPointerEvent<HTMLElement>) {
    fingers.current.delete(event.pointerId);
    if (pen.current !== null && event.pointerId !== pen.current) return;
    pen.current = null;
    cancel();
    if (fingers.current.size === 0) isPanning.current = false;
  }

  return {
    cancel,
    show,
    latest,
    handlers: {
      onPointerDown: down,
      onPointerMove: move,
      onPointerUp: up,
      onPointerCancel: cancelled,
      onPointerLeave: () => onHover(null),
      onContextMenu: (event: { preventDefault(): void }) => event.preventDefault(),
    },
  };
}

/** Mice and fingers have no pressure, whatever the browser says of it. */
function pressureOf({ pointerType, pressure }: PointerEvent): number {
  return pointerType === "pen" ? pressure : 1;
}

function keysOf({ shiftKey, altKey }: { shiftKey: boolean; altKey: boolean }): HeldKeys {
  return { shift: shiftKey, alt: altKey };
}

function spreadOf(fingers: ReadonlyMap<number, Point>): number {
  const [a, b] = [...fingers.values()];
  return a === undefined || b === undefined ? 0 : Math.hypot(a.x - b.x, a.y - b.y);
}

function middleOf(fingers: ReadonlyMap<number, Point>): Point {
  const all = [...fingers.values()];
  const sum = all.reduce((to, { x, y }) => ({ x: to.x + x, y: to.y + y }), { x: 0, y: 0 });
  return { x: sum.x / all.length, y: sum.y / all.length };
}
