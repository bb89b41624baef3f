/**
 * Cards that stay drawn when they leave what is seen.
 *
 * To make a card with its links takes longer than a frame, to move it takes nothing. Out of sight
 * they are inert: neither Tab nor a screen reader comes to what nobody sees.
 */
import type { Boxes } from "./inSight";
import type { Sight } from "./movingView";

/** So many beyond those in sight: those that were in sight last. */
const MOST = 64;

export class KeptCards {
  /** Those that were in sight last come last. */
  private readonly cards = new Set<string>();
  private readonly unseen = new Map<string, Element>();

  /** Which there are, with those in sight; another set where they have changed. */
  all: ReadonlySet<string> = new Set();

  /** These are in sight. */
  see(ids: readonly string[]): void {
    for (const id of ids) {
      this.cards.delete(id);
      this.cards.add(id);
    }
    for (const id of this.cards) {
      if (this.cards.size <= ids.length + MOST) break;
      this.cards.delete(id);
    }
    this.all = new Set(this.cards);
  }

  /** What of a layer is out of sight is inert, except where somebody writes just now. */
  hide(layer: Element, boxes: Boxes, sight: Sight): void {
    this.unseen.clear();
    for (const card of layer.querySelectorAll<HTMLElement>(".react-flow__node")) {
      const id = card.dataset.id ?? "";
      const isOut = !boxes.isSeen(id, sight) && !card.contains(document.activeElement);
      if (card.hasAttribute("inert") !== isOut) card.toggleAttribute("inert", isOut);
      if (isOut) this.unseen.set(id, card);
    }
  }

  /** What has come into sight is no longer inert. */
  reveal(boxes: Boxes, sight: Sight): void {
    for (const [id, card] of this.unseen) {
      if (!boxes.isSeen(id, sight)) continue;
      card.removeAttribute("inert");
      this.unseen.delete(id);
    }
  }
}
