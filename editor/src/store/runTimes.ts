/** How far a run is and how long it will take, by what was expected and what was seen. */

import type { Expected } from "./nodeRun";
import { ENDED, type Leaf, type RunLeaves } from "./runLeaves";

export class RunTimes {
  /** Seconds since the run began, by its last event. */
  now = 0;
  /** Nodes of the run, those included of which nothing was told yet. */
  count = 0;
  private reached = 0;
  /** Seconds' worth of work that were done when `reached` was told. */
  private done = 0;
  private readonly expected = new Map<string, Expected>();

  constructor(private readonly leaves: RunLeaves) {}

  restart(): void {
    this.now = 0;
    this.count = 0;
    this.reached = 0;
    this.done = 0;
  }

  expect(name: string, expected: Expected): void {
    this.expected.set(name, expected);
  }

  expectedNames(): Iterable<string> {
    return this.expected.keys();
  }

  expectedCalls(name: string): number | null {
    return this.expected.get(name)?.calls ?? null;
  }

  /**
   * How much of the run is done, 0 to 1; it never goes back within an attempt.
   *
   * Where a node turns out to take far longer than was thought, less is done than was told before:
   * it goes on from there, by what is done of what is left.
   */
  progress(): number {
    let done = 0;
    let all = 0;
    const usual = this.usualSeconds();
    for (const [name, leaf] of this.leaves.entries()) {
      const weight = this.wholeSeconds(name, leaf) ?? usual;
      all += weight;
      done += weight * this.part(name, leaf);
    }
    all += usual * Math.max(0, this.count - this.leaves.size);
    if (all <= 0) return this.reached;
    const more = Math.max(0, done - this.done);
    const left = all - done;
    const part = more > 0 ? more / (more + left) : 0;
    this.done = done;
    this.reached = Math.max(this.reached + (1 - this.reached) * part, done / all);
    return this.reached;
  }

  /** Of the whole run; null if it can't be told. */
  secondsLeft(): number | null {
    return this.leftOf(this.leaves.entries());
  }

  /** Seconds until the call that runs has ended, by the speed of its steps so far. */
  callLeft(name: string, leaf: Leaf, step: number, total: number): number | null {
    const { first } = leaf;
    if (first === null || total <= 0) return null;
    const steps = step - first.step;
    if (steps > 0) return ((this.now - first.at) / steps) * Math.max(0, total - step);
    const seconds = this.callSeconds(name, leaf);
    return seconds === null ? null : seconds * Math.max(0, 1 - step / total);
  }

  /** Seconds that one call takes, as far as is known. */
  private callSeconds(name: string, leaf: Leaf): number | null {
    if (leaf.callsDone > 0) return leaf.callSeconds / leaf.callsDone;
    const expected = this.expected.get(name);
    if (expected?.seconds != null) return expected.seconds / Math.max(1, expected.calls ?? 1);
    return this.siblingSeconds(name);
  }

  /** Of the same node in other rounds of its loop. */
  private siblingSeconds(name: string): number | null {
    const key = this.leaves.merged(name);
    if (key === name) return null;
    let sum = 0;
    let count = 0;
    for (const [member, leaf] of this.leaves.within(key)) {
      const seconds = member === name ? null : this.seenSeconds(leaf);
      if (seconds === null) continue;
      sum += seconds;
      count += 1;
    }
    return count === 0 ? null : sum / count;
  }

  /** What a node has taken, or will by the speed of its steps. */
  private seenSeconds(leaf: Leaf): number | null {
    if (leaf.seconds !== null || leaf.left === null) return leaf.seconds;
    return this.now - (leaf.startedAt ?? this.now) + leaf.left;
  }

  /** What all calls of a node take, as far as is known. */
  private wholeSeconds(name: string, leaf: Leaf): number | null {
    const seen = leaf.isMapped ? leaf.seconds : this.seenSeconds(leaf);
    return seen ?? this.expected.get(name)?.seconds ?? this.siblingSeconds(name);
  }

  /** Of several nodes; null if nothing is known, or not of what runs just now. */
  leftOf(leaves: Iterable<readonly [string, Leaf]>): number | null {
    let left: number | null = null;
    for (const [name, leaf] of leaves) {
      if (ENDED.has(leaf.state)) continue;
      const seconds = this.leafLeft(name, leaf);
      // A loop's own part is next to nothing.
      if (seconds === null && leaf.state === "running" && !this.leaves.isExpanded(name))
        return null;
      if (seconds !== null) left = (left ?? 0) + seconds;
    }
    return left;
  }

  leafLeft(name: string, leaf: Leaf): number | null {
    const expected = this.expected.get(name);
    const one = this.callSeconds(name, leaf);
    const calls = this.calls(name, leaf);
    if (leaf.state !== "running") return one === null ? null : one * (expected?.calls ?? 1);
    const elapsed = this.now - (leaf.startedAt ?? this.now);
    const current = leaf.left ?? (one === null ? null : Math.max(0, one - elapsed));
    if (current === null || calls === null) return null;
    const more = Math.max(0, calls - leaf.callsDone - 1);
    return current + more * (one ?? 0);
  }

  /** How often a node is called; null if it is called with a list that nobody has seen yet. */
  private calls(name: string, leaf: Leaf): number | null {
    const expected = this.expected.get(name);
    return leaf.isMapped || expected ? (expected?.calls ?? null) : 1;
  }

  private part(name: string, leaf: Leaf): number {
    if (ENDED.has(leaf.state)) return 1;
    if (leaf.state === "waiting") return 0;
    const current = leaf.step !== null && leaf.total ? Math.min(1, leaf.step / leaf.total) : 0;
    const done = leaf.callsDone + current;
    // Of nobody knows how many calls, there is always one more to come.
    const calls = this.calls(name, leaf) ?? done + 1;
    return Math.min(1, done / Math.max(1, calls));
  }

  /** What a node counts of which nothing is known: as much as others do. */
  private usualSeconds(): number {
    const planned = [...this.expected.values()].map(({ seconds }) => seconds);
    const taken = this.leaves.entries().map(([, leaf]) => leaf.seconds);
    return Math.max(meanOf(planned) ?? 0, meanOf(taken) ?? 0) || 1;
  }
}

/** Of what is known; null if nothing is. */
export function sumOf(parts: readonly (number | null)[]): number | null {
  const known = parts.filter((part) => part !== null);
  return known.length === 0 ? null : known.reduce((sum, part) => sum + part, 0);
}

/** Of what is known and more than nothing. */
function meanOf(parts: readonly (number | null)[]): number | null {
  const known = parts.filter((part) => part !== null && part > 0);
  const sum = sumOf(known);
  return sum === null ? null : sum / known.length;
}
