/** Where on the page a step of a lesson points. */
import { canvas, centerOn, itemBoxes, screenPoint } from "@/components/canvas/controller";
import type { Part, Pointer } from "@/model/lessons/lesson";
import { type Rect, visiblePart } from "@/model/lessons/place";

/** The parts of the page; the first selector that finds something counts. */
const PARTS: Readonly<Record<Part, readonly string[]>> = {
  canvas: ["main[data-canvas]"],
  run: ['[data-tour="run"]'],
  results: ['[data-panel="gallery"]', '[data-panel="result"]', '[data-tour="result"]'],
  inspector: ['[data-panel="inspector"]', '[data-tour="inspector"]'],
  help: ["header[data-region] nav button:last-of-type", "header[data-region]"],
};

/** A pointer's place in the window as far as it is seen; null if it isn't. */
export function seenPlace(at: Pointer): Rect | null {
  if (at.kind === "part") {
    const found = PARTS[at.part].flatMap((selector) => document.querySelector(selector) ?? [])[0];
    return found === undefined ? null : visiblePart(rectOf(found), windowRect());
  }
  const handle = canvas();
  const whole = handle && placeOfNode(at.node, at.input);
  return whole ? visiblePart(whole, rectOf(handle.element)) : null;
}

/** What the card may not cover: of a field, the whole node that it is in. */
export function partToAvoid(at: Pointer): Rect | null {
  return seenPlace(at.kind === "node" ? { ...at, input: null } : at);
}

function placeOfNode(node: string, input: string | null): Rect | null {
  const name = `[data-node="${CSS.escape(node)}"]`;
  const field = input === null ? "" : `${name} [data-input="${CSS.escape(input)}"]`;
  const element = canvas()?.element;
  const found = (field && element?.querySelector(field)) || element?.querySelector(name);
  // From afar, cards are painted and no elements.
  return found ? rectOf(found) : paintedPlace(node);
}

function paintedPlace(node: string): Rect | null {
  const box = itemBoxes().get(node);
  if (!box) return null;
  const start = screenPoint({ x: box.x, y: box.y });
  const end = screenPoint({ x: box.x + box.width, y: box.y + box.height });
  return { left: start.x, top: start.y, width: end.x - start.x, height: end.y - start.y };
}

export function rectOf(element: Element): Rect {
  const { left, top, width, height } = element.getBoundingClientRect();
  return { left, top, width, height };
}

function windowRect(): Rect {
  return { left: 0, top: 0, width: innerWidth, height: innerHeight };
}

/** The part of the window that no bar takes, where the card may stand. */
export function cardArea(): Rect {
  const edge = (selector: string) => document.querySelector(selector)?.getBoundingClientRect();
  const top = edge("header[data-region]")?.bottom ?? 0;
  const bottom = edge("footer[data-region]")?.top ?? innerHeight;
  return { left: 0, top, width: innerWidth, height: bottom - top };
}

/** The part of a target that has to be seen, as a share. */
const ENOUGH = 0.95;
/** Below this zoom, fields can't be read. */
const READABLE = 0.84;
/** Where a target is put on a phone, whose lower half the card takes, in heights of the canvas. */
const HIGH = 0.28;
const SMALL = 760;

/** Move the canvas so that a node is seen, unless it is; the selection stays as it is. */
export function bringIntoView(at: Pointer): void {
  const handle = canvas();
  const box = at.kind === "node" ? itemBoxes().get(at.node) : undefined;
  if (!handle || !box) return;
  const zoom = Math.max(handle.flow.getZoom(), READABLE);
  const frame = rectOf(handle.element);
  const whole = at.kind === "node" ? placeOfNode(at.node, at.input) : null;
  const seen = whole && visiblePart(whole, frame);
  const isSmall = innerWidth <= SMALL;
  const isSeen = seen && seen.height >= whole.height * ENOUGH && seen.width >= whole.width * ENOUGH;
  if (isSeen && !isSmall) return;
  const middle = whole ? middleOf(whole) : { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const down = isSmall ? ((0.5 - HIGH) * frame.height) / zoom : 0;
  centerOn({ x: box.x + box.width / 2, y: middle.y + down }, zoom);
}

/** Frames that a graph is waited for. */
const TRIES = 240;

/** As `bringIntoView`, once the graph that was just opened is drawn and has its first view. */
export function bringWhenDrawn(at: Pointer): () => void {
  let frame = 0;
  let tries = TRIES;
  let steady = 0;
  const look = () => {
    const isThere = at.kind === "part" || (canvas() !== null && itemBoxes().has(at.node));
    // The first view is set a moment after the nodes are there.
    steady = isThere ? steady + 1 : 0;
    if (steady > 6) return bringIntoView(at);
    tries -= 1;
    if (tries > 0) frame = requestAnimationFrame(look);
  };
  look();
  return () => cancelAnimationFrame(frame);
}

/** The middle of a place of the window, on the canvas. */
function middleOf(rect: Rect): { readonly x: number; readonly y: number } {
  const point = { x: rect.left + rect.width / 2, y: rect.top + rect.height / 2 };
  return canvas()?.flow.screenToFlowPosition(point, { snapToGrid: false }) ?? point;
}

/** Tell of whatever may move a target: panning, zooming, panels, results that make a card larger. */
export function followPage(look: () => void): () => void {
  let frame = 0;
  const later = () => {
    if (frame === 0)
      frame = requestAnimationFrame(() => {
        frame = 0;
        look();
      });
  };
  const moves = new MutationObserver(later);
  const root = document.getElementById("root") ?? document.body;
  moves.observe(root, { subtree: true, childList: true, attributeFilter: ["style", "data-panel"] });
  const sizes = new ResizeObserver(later);
  sizes.observe(root);
  addEventListener("resize", later);
  root.addEventListener("scroll", later, true);
  // What moves by a transition tells nobody.
  root.addEventListener("transitionend", later);
  return () => {
    cancelAnimationFrame(frame);
    moves.disconnect();
    sizes.disconnect();
    removeEventListener("resize", later);
    root.removeEventListener("scroll", later, true);
    root.removeEventListener("transitionend", later);
  };
}

const DRAWN = "main[data-ready]";

/** Wait until the graph is drawn: before, nothing can be pointed at. */
export function whenDrawn(): Promise<void> {
  if (document.querySelector(DRAWN)) return Promise.resolve();
  return new Promise((resolve) => {
    const watch = new MutationObserver(() => {
      if (!document.querySelector(DRAWN)) return;
      watch.disconnect();
      resolve();
    });
    watch.observe(document.body, {
      subtree: true,
      childList: true,
      attributeFilter: ["data-ready"],
    });
  });
}
