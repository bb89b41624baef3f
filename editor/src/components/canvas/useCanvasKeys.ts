/** Keys that only mean something with the focus on a card: Tab goes from card to card, Escape out of it. */
import { type KeyboardEvent, useCallback } from "react";
import { activeDocument, useDocuments } from "@/store/documents";
import { itemBoxes } from "./controller";
import { enterFields, focusedItem, focusItem } from "./focus";
import { neighbour, readingOrder } from "./placing/order";

export function useCanvasKeys() {
  return useCallback((event: KeyboardEvent<HTMLElement>) => {
    if (event.defaultPrevented) return;
    if (event.key === "Tab") tab(event);
    else if (event.key === "Escape" && !event.shiftKey) goOut(event);
    else if (event.key === " " || event.key === "Enter") pick(event);
  }, []);
}

function tab(event: KeyboardEvent<HTMLElement>): void {
  const id = focusedItem();
  if (id === null || event.ctrlKey || event.altKey || event.metaKey) return;
  const next = neighbour(readingOrder(cardBoxes()), id, event.shiftKey ? -1 : 1);
  if (next !== null) {
    event.preventDefault();
    focusItem(next);
    return;
  }
  // Behind the last card, Tab leaves the canvas: on from its end, or back from its beginning.
  const edge = event.shiftKey ? "[data-canvas-start]" : "[data-canvas-end]";
  event.currentTarget.querySelector<HTMLElement>(edge)?.focus();
}

function cardBoxes() {
  return new Map([...itemBoxes()].filter(([id]) => !id.startsWith("reroute/")));
}

/** From a field back to its card, from a card to none selected. */
function goOut(event: KeyboardEvent<HTMLElement>): void {
  const { target } = event;
  const card =
    target instanceof HTMLElement ? target.closest<HTMLElement>(".react-flow__node") : null;
  if (card === null) return;
  event.preventDefault();
  if (target === card) useDocuments.getState().select([]);
  else card.focus({ preventScroll: true });
}

/** Space selects a card besides the others; Enter goes into its fields. */
function pick(event: KeyboardEvent<HTMLElement>): void {
  const id = focusedItem();
  if (id === null || event.target !== document.activeElement) return;
  if (
    event.key === "Enter" &&
    !event.ctrlKey &&
    !event.metaKey &&
    !event.altKey &&
    !event.shiftKey
  ) {
    event.preventDefault();
    enterFields(id);
  } else if (event.key === " " && event.shiftKey) {
    event.preventDefault();
    useDocuments.getState().select([id], activeDocument().selection.has(id) ? "remove" : "add");
  }
}
