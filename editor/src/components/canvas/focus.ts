/** Which card has the focus, and giving it to one. */
import { activeDocument, useDocuments } from "@/store/documents";
import { canvas, centerOn, itemBoxes } from "./controller";

/** The item whose card has the focus itself; null if that is elsewhere, or in a field of the card. */
export function focusedItem(): string | null {
  const { activeElement } = document;
  return activeElement instanceof HTMLElement && activeElement.matches(".react-flow__node")
    ? (activeElement.dataset.id ?? null)
    : null;
}

/** Whether the keys go to the canvas: to it, a card on it, or to nothing else. */
export function canvasHasFocus(): boolean {
  const { activeElement } = document;
  if (activeElement === null || activeElement === document.body) return true;
  return (
    focusedItem() !== null || activeElement.matches("[data-canvas], .react-flow, .react-flow__pane")
  );
}

/** A card that the focus comes to by Tab is what keys mean, unless others are selected. */
export function selectFocused(): void {
  const id = focusedItem();
  if (id === null || activeDocument().selection.size > 0) return;
  if (document.activeElement?.matches(":focus-visible")) useDocuments.getState().select([id]);
}

/** Cards out of sight may still be there: the view goes where Tab or a screen reader goes. */
export function followFocus({ target }: { readonly target: EventTarget }): void {
  if (!(target instanceof HTMLElement) || !target.matches(":focus-visible")) return;
  const card = target.closest<HTMLElement>(".react-flow__node");
  const box = itemBoxes().get(card?.dataset.id ?? "");
  const frame = canvas()?.element.getBoundingClientRect();
  if (!card || !box || !frame || touches(card.getBoundingClientRect(), frame)) return;
  centerOn({ x: box.x + box.width / 2, y: box.y + box.height / 2 });
}

function touches(one: DOMRect, other: DOMRect): boolean {
  return (
    one.left < other.right &&
    one.right > other.left &&
    one.top < other.bottom &&
    one.bottom > other.top
  );
}

/** Put the focus on a card, moving the canvas if it is out of sight. */
export function focusItem(id: string): void {
  const handle = canvas();
  const box = itemBoxes().get(id);
  if (!handle || !box) return;
  if (!isSeen(box)) centerOn({ x: box.x + box.width / 2, y: box.y + box.height / 2 });
  useDocuments.getState().select([id]);
  handle.focusNode(id);
}

/** The same for an item that was just made, as soon as it is on the canvas. */
export function focusNew(id: string, tries = 40): void {
  if (itemBoxes().has(id)) focusItem(id);
  else if (tries > 0) requestAnimationFrame(() => focusNew(id, tries - 1));
}

function isSeen(box: { x: number; y: number; width: number; height: number }): boolean {
  const handle = canvas();
  if (!handle) return false;
  const { x, y, zoom } = handle.flow.getViewport();
  const { clientWidth, clientHeight } = handle.element;
  const [left, top] = [box.x * zoom + x, box.y * zoom + y];
  return (
    left >= 0 &&
    top >= 0 &&
    left + Math.min(box.width, 80) * zoom <= clientWidth &&
    top + 40 * zoom <= clientHeight
  );
}

/** Cards that are out of sight aren't there at once: try until the focus is on it. */
export function focusCard(frame: HTMLElement, id: string, tries = 40): void {
  const card = frame.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(id)}"]`);
  if (card) card.focus({ preventScroll: true });
  else if (tries > 0) requestAnimationFrame(() => focusCard(frame, id, tries - 1));
}

/** What is typed or chosen in goes before mere buttons. */
const FIELDS = [
  "input, textarea, select, iframe, [role=combobox], [contenteditable=true]",
  "[data-input] button, section button, button",
];

/** Put the focus into a card's first field. */
export function enterFields(id: string): void {
  const card = canvas()?.element.querySelector<HTMLElement>(
    `.react-flow__node[data-id="${CSS.escape(id)}"]`,
  );
  if (card) firstField(card)?.focus({ preventScroll: true });
}

/** The field that somebody means who goes into this part of a card. */
export function firstField(part: HTMLElement): HTMLElement | null {
  for (const kind of FIELDS) {
    const found = [...part.querySelectorAll<HTMLElement>(kind)];
    const field = found.find((each) => each.tabIndex >= 0 && each.offsetParent !== null);
    if (field) return field;
  }
  return null;
}
