/** How the nodes of a run are shown: each by itself, and together what loops and blocks hold. */
import type { NodeRun, NodeState } from "./nodeRun";
import { ENDED, type Leaf, type RunLeaves } from "./runLeaves";
import { type RunTimes, sumOf } from "./runTimes";

type Named = readonly [string, Leaf];

/** What is told under a name; null if nothing is. */
export function viewUnder(key: string, leaves: RunLeaves, times: RunTimes): NodeRun | null {
  const own = leaves.get(key);
  const within = leaves.within(key);
  if (within.length > 0) {
    const isRounds = within.every(([name]) => leaves.merged(name) === key);
    return groupView(own, within, isRounds, times);
  }
  return own === undefined ? null : leafView(key, own, times);
}

function leafView(name: string, leaf: Leaf, times: RunTimes): NodeRun {
  const total = times.expectedCalls(name);
  return {
    state: leaf.state,
    step: leaf.step,
    total: leaf.total,
    secondsLeft: leaf.state === "running" ? times.leafLeft(name, leaf) : null,
    seconds: leaf.seconds,
    preview: leaf.preview,
    plot: leaf.plot,
    problem: leaf.problem,
    calls: leaf.isMapped ? { done: leaf.callsDone, total: callsTotal(leaf, total) } : null,
    note: leaf.note,
  };
}

/** `isRounds`: they are one node in the rounds of a loop, and not different ones. */
function groupView(
  own: Leaf | undefined,
  within: readonly Named[],
  isRounds: boolean,
  times: RunTimes,
): NodeRun {
  const leaves = within.map(([, leaf]) => leaf);
  const ended = leaves.filter((leaf) => ENDED.has(leaf.state)).length;
  const newest = newestOf(leaves);
  const state = own === undefined ? merge(leaves) : ownState(own, leaves);
  const one = isRounds ? newest : null;
  const failed = [own, ...leaves].find((leaf) => leaf?.problem != null);
  return {
    state,
    step: one === null ? ended : one.step,
    total: one === null ? leaves.length : one.total,
    secondsLeft: state === "running" ? times.leftOf(within) : null,
    seconds:
      state === "running" ? null : sumOf([own, ...leaves].map((leaf) => leaf?.seconds ?? null)),
    preview: newestOf(leaves.filter((leaf) => leaf.preview !== null))?.preview ?? null,
    plot: newestOf(leaves.filter((leaf) => leaf.plot !== null))?.plot ?? null,
    problem: failed?.problem ?? null,
    calls: isRounds ? { done: ended, total: leaves.length } : null,
    note: newest?.note ?? null,
  };
}

function callsTotal(leaf: Leaf, expected: number | null): number | null {
  if (ENDED.has(leaf.state)) return leaf.callsDone;
  return expected === null ? null : Math.max(expected, leaf.callsDone);
}

function newestOf(leaves: readonly Leaf[]): Leaf | null {
  let found: Leaf | null = null;
  for (const leaf of leaves) if (found === null || leaf.newest >= found.newest) found = leaf;
  return found !== null && found.newest >= 0 ? found : null;
}

/** The state of a node that runs others. */
function ownState(own: Leaf, leaves: readonly Leaf[]): NodeState {
  return leaves.some((leaf) => leaf.state === "failed") ? "failed" : own.state;
}

/** The state of a block, which is only what its nodes are. */
function merge(leaves: readonly Leaf[]): NodeState {
  const states = new Set(leaves.map((leaf) => leaf.state));
  if (states.has("failed")) return "failed";
  if (states.has("running")) return "running";
  if (states.has("waiting")) return states.has("done") ? "running" : "waiting";
  if (states.has("done")) return "done";
  return states.has("cached") ? "cached" : "skipped";
}
