/** Which changes of a merge are kept: one choice for each conflict and for each other change. */
import type { Conflict, Entry, Merged } from "@/model/comparison/entries";

export type Pick = "ours" | "theirs";
/** The choices by key; what is missing is undecided, and other changes are kept. */
export type Decisions = ReadonlyMap<string, Pick>;

/** A conflict as it was first seen; it stays in the list when it is settled. */
export interface Dispute {
  readonly key: string;
  readonly conflict: Conflict;
}

/** A change that only one side made. */
export interface OneSided {
  readonly key: string;
  readonly side: Pick;
  readonly entry: Entry;
}

/** The disputes with those that another merge has shown besides. */
export function withDisputes(
  known: readonly Dispute[],
  conflicts: readonly Conflict[],
): readonly Dispute[] {
  const keys = new Set(known.map(({ key }) => key));
  const more = conflicts
    .map((conflict) => ({ key: `${conflict.reason} ${conflict.path.join("/")}`, conflict }))
    .filter(({ key }) => !keys.has(key));
  return more.length === 0 ? known : [...known, ...more];
}

/** The changes of both sides that are in no conflict. */
export function oneSided(merged: Merged, disputes: readonly Dispute[]): readonly OneSided[] {
  const own = new Set(disputes.flatMap(({ conflict }) => conflict.ourEntries));
  const other = new Set(disputes.flatMap(({ conflict }) => conflict.theirEntries));
  const of = (side: Pick, entries: readonly Entry[], taken: ReadonlySet<number>) =>
    entries.flatMap((entry, at) => (taken.has(at) ? [] : [{ key: `${side} ${at}`, side, entry }]));
  return [...of("theirs", merged.theirs, other), ...of("ours", merged.ours, own)];
}

/** The side whose state a place has; of disputes that nobody settled, null. */
export function pickOf(decisions: Decisions, item: Dispute | OneSided): Pick | null {
  const decided = decisions.get(item.key);
  if (decided !== undefined) return decided;
  if ("side" in item) return item.side;
  return item.conflict.quiet ? "ours" : null;
}

/** What is left out of both sides' changes. */
export function skippedBy(
  decisions: Decisions,
  disputes: readonly Dispute[],
): { readonly ours: readonly number[]; readonly theirs: readonly number[] } {
  const ours = new Set<number>();
  const theirs = new Set<number>();
  for (const dispute of disputes) {
    const pick = pickOf(decisions, dispute);
    const [left, indices] =
      pick === "ours"
        ? [theirs, dispute.conflict.theirEntries]
        : [ours, pick === "theirs" ? dispute.conflict.ourEntries : []];
    for (const at of indices) left.add(at);
  }
  for (const [key, pick] of decisions) {
    const [side, at] = key.split(" ");
    if (side === "ours" && pick === "theirs") ours.add(Number(at));
    if (side === "theirs" && pick === "ours") theirs.add(Number(at));
  }
  const sorted = (indices: ReadonlySet<number>) => [...indices].sort((a, b) => a - b);
  return { ours: sorted(ours), theirs: sorted(theirs) };
}

/** The conflicts that wait for a choice. */
export function undecided(decisions: Decisions, disputes: readonly Dispute[]): readonly Dispute[] {
  return disputes.filter((dispute) => pickOf(decisions, dispute) === null);
}
