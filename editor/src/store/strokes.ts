/** Strokes that are drawn and not in their workflow yet, as their pictures are still being written. */

let last: Promise<unknown> | null = null;

/** Do what puts a stroke into its workflow, once all strokes before are there. */
export function whileDrawn<T>(write: () => Promise<T>): Promise<T> {
  const written = last === null ? write() : last.then(write);
  const ended = written
    .catch(() => undefined)
    .then(() => {
      if (last === ended) last = null;
    });
  last = ended;
  return written;
}

let finish: (() => void) | null = null;

/** What ends an edit that is still being made, such as pixels that are moved; gives what forgets it. */
export function finishBefore(end: () => void): () => void {
  finish = end;
  return () => {
    if (finish === end) finish = null;
  };
}

/** Resolves once all strokes are in their workflows; null if they are: whatever reads one waits. */
export function strokesDrawn(): Promise<unknown> | null {
  finish?.();
  return last;
}
