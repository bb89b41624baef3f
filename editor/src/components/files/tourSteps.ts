/** What the tour explains, and where on the page that is. */

export interface TourStep {
  readonly id: string;
  /** The part of the page; the first that is there. */
  readonly at: string;
  readonly keys?: string;
  /** The part is large, so that the card lies on it. */
  readonly inside?: boolean;
}

export const STEPS: readonly TourStep[] = [
  { id: "graph", at: "main", inside: true },
  { id: "run", at: '[data-tour="run"]', keys: "mod+enter" },
  { id: "add", at: "main", inside: true, keys: "space" },
  { id: "link", at: ".react-flow__node", inside: false },
  { id: "rail", at: "nav[data-region]" },
  { id: "side", at: '[data-panel="inspector"], [data-tour="inspector"]' },
  { id: "help", at: "header[data-region]", keys: "?" },
];

/** The element that a step is about; null if it isn't on the screen. */
export function targetOf(step: TourStep): HTMLElement | null {
  const found = document.querySelector<HTMLElement>(step.at);
  const box = found?.getBoundingClientRect();
  return found && box && box.width > 0 && box.height > 0 ? found : null;
}

const DRAWN = "main[data-ready]";

/** Wait until the graph is drawn: the tour leaves out what isn't there when it begins. */
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

interface Rect {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const GAP = 14;
const MARGIN = 12;

/** The card's corner: beside the part where there is most room, on a large part near its upper end. */
export function placeCard(
  target: Rect,
  card: { readonly width: number; readonly height: number },
  view: { readonly width: number; readonly height: number },
  isInside: boolean,
): { readonly left: number; readonly top: number } {
  const wanted = isInside ? insideCorner(target, card) : besideCorner(target, card, view);
  return {
    left: bounded(wanted.left, view.width - card.width - MARGIN),
    top: bounded(wanted.top, view.height - card.height - MARGIN),
  };
}

function bounded(value: number, most: number): number {
  return Math.max(MARGIN, Math.min(value, most));
}

function insideCorner(target: Rect, card: { readonly width: number }) {
  return { left: target.left + (target.width - card.width) / 2, top: target.top + 24 };
}

function besideCorner(
  target: Rect,
  card: { readonly width: number; readonly height: number },
  view: { readonly width: number; readonly height: number },
) {
  const right = target.left + target.width;
  const bottom = target.top + target.height;
  // Below if it can be, else above, else beside: links lead to the sides, and stay seen.
  const rooms = [
    { room: view.height - bottom - card.height, left: target.left, top: bottom + GAP },
    { room: target.top - card.height, left: target.left, top: target.top - card.height - GAP },
    { room: view.width - right - card.width, left: right + GAP, top: target.top },
    { room: target.left - card.width, left: target.left - card.width - GAP, top: target.top },
  ];
  const enough = rooms.find(({ room }) => room >= GAP + MARGIN);
  return enough ?? rooms.reduce((best, place) => (place.room > best.room ? place : best));
}
