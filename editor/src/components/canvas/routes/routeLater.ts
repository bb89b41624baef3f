/** Ways around cards in a large graph, found in the background. */
import type { Workflow } from "@/model/workflow";

/** Milliseconds of work at a time: less than a frame has. */
const SLICE = 6;
/** Milliseconds between two of them: most of the time is left for editing. */
const PAUSE = 24;

/** Go on with some work in slices; `done` gets what it came to. Gives what stops it. */
export function inSlices<T>(work: Iterator<void, T>, done: (found: T) => void): () => void {
  let timer = window.setTimeout(next, PAUSE);
  function next() {
    const end = performance.now() + SLICE;
    let step = work.next();
    while (!step.done && performance.now() < end) step = work.next();
    if (step.done) done(step.value);
    else timer = window.setTimeout(next, PAUSE);
  }
  return () => clearTimeout(timer);
}

/** Graphs of more nodes are drawn before their links are led around cards. */
export const MOST_AT_ONCE = 200;

const unrouted = new WeakSet<Workflow>();

/** Say that the links of a workflow that was just placed are still to be led. */
export function markUnrouted(workflow: Workflow): Workflow {
  unrouted.add(workflow);
  return workflow;
}

export function isUnrouted(workflow: Workflow): boolean {
  return unrouted.has(workflow);
}
