/**
 * What others have painted on a layer since a state of the undo tree. Their picture holds what this
 * page had painted until then, so that a state from before that shows it, too; once such a state is
 * shown, its picture is made of its own pixels and of those that others have changed since.
 */
import type { Placement } from "@/model/painting";
import { addressOf } from "./pictures";
import { type Redrawn, withLater } from "./stage/pixels/redrawing";
import { shelf } from "./stage/pixels/shelf";

export interface Drawing {
  readonly value: string;
  readonly placement: Placement;
}

interface Change {
  readonly from: Drawing;
  readonly to: Drawing;
}

interface Due {
  /** The layer as this page had it in the state. */
  readonly own: Drawing;
  /** What others made of it since, in their order. */
  readonly changes: readonly Change[];
}

/** Of one layer, by the steps of the undo tree. */
export class LaterPaint {
  private readonly due = new Map<number, Due>();

  /** Another page has painted: a step showed `before`, and shows `after` since. */
  add(step: number, change: Change, before: Drawing, after: Drawing): void {
    const known = this.due.get(step);
    if (after.value !== change.to.value) this.due.delete(step);
    else if (known !== undefined)
      this.due.set(step, { ...known, changes: [...known.changes, change] });
    // What shows the picture that was painted on shows the new one rightly.
    else if (before.value !== change.from.value && before.value !== after.value)
      this.due.set(step, { own: before, changes: [change] });
  }

  /** Whether a step that shows a picture is to get another. */
  isDue(step: number, shown: string): boolean {
    const due = this.due.get(step);
    if (due === undefined) return false;
    if (due.changes.at(-1)?.to.value === shown) return true;
    // It was drawn again meanwhile.
    this.due.delete(step);
    return false;
  }

  /** The picture that a step is to have, once it is due; null if it would get too large. */
  async take(step: number): Promise<Redrawn | null> {
    const due = this.due.get(step);
    this.due.delete(step);
    if (due === undefined) return null;
    let state: Redrawn | null = await loaded(due.own);
    for (const { from, to } of due.changes) {
      const [before, after] = await Promise.all([loaded(from), loaded(to)]);
      state = state && withLater(before, after, state);
    }
    return state;
  }
}

async function loaded({ value, placement }: Drawing): Promise<Redrawn> {
  return { picture: await shelf.load(value, addressOf(value)), placement };
}
