/**
 * Cards that stay drawn when they leave what is seen.
 *
 * To make a card with its links takes longer than a frame, to move it takes nothing. They are still
 * there for Tab and screen readers, and the view follows where the focus goes.
 */

/** So many beyond those in sight: those that were in sight last. */
const MOST = 64;

export class KeptCards {
  /** Those that were in sight last come last. */
  private readonly cards = new Set<string>();

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
}
