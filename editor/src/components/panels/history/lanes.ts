/** The undo tree as rows to draw: newest on top, the current line of changes in the first lane. */

export interface TreeEntry {
  readonly id: number;
  readonly parent: number | null;
}

export interface Row<E extends TreeEntry> {
  readonly entry: E;
  readonly lane: number;
  /** Lanes whose line runs on above, and on below this row. */
  readonly above: readonly number[];
  readonly below: readonly number[];
  /** Lanes that begin here: their line bends into this entry. */
  readonly forks: readonly number[];
  /** Part of the line from the first state to the current one, and on to where redo leads. */
  readonly onLine: boolean;
}

interface Chain<E> {
  readonly members: readonly E[]; // oldest first
  readonly parent: number | null;
}

/** One row per entry. `redo` names the ids that redoing leads through, nearest first. */
export function rowsOf<E extends TreeEntry>(
  entries: ReadonlyMap<number, E>,
  current: number,
  redo: readonly number[],
): readonly Row<E>[] {
  const line = lineOf(entries, current, redo);
  const sorted = [...entries.values()].sort((a, b) => b.id - a.id);
  const rowOf = new Map(sorted.map((entry, row) => [entry.id, row]));
  const laneOf = new Map<number, number>();
  const spans: { lane: number; top: number; bottom: number; fork: boolean }[] = [];
  const place = (chain: Chain<E>, lane: number) => {
    for (const member of chain.members) laneOf.set(member.id, lane);
    const rows = chain.members.map((member) => rowOf.get(member.id) ?? 0);
    const parent = chain.parent === null ? undefined : rowOf.get(chain.parent);
    spans.push({
      lane,
      top: Math.min(...rows),
      bottom: parent ?? Math.max(...rows),
      fork: parent !== undefined,
    });
  };
  for (const chain of chainsOf(entries, line)) {
    if (line.has(chain.members[0]?.id ?? -1)) place(chain, 0);
    else place(chain, freeLane(spans, chain, rowOf));
  }
  return sorted.map((entry, row) => ({
    entry,
    lane: laneOf.get(entry.id) ?? 0,
    above: spans
      .filter((s) => s.top < row && (row < s.bottom || (!s.fork && row === s.bottom)))
      .map((s) => s.lane),
    below: spans.filter((s) => s.top <= row && row < s.bottom).map((s) => s.lane),
    forks: spans.filter((s) => s.fork && s.bottom === row).map((s) => s.lane),
    onLine: line.has(entry.id),
  }));
}

function lineOf<E extends TreeEntry>(
  entries: ReadonlyMap<number, E>,
  current: number,
  redo: readonly number[],
): ReadonlySet<number> {
  const line = new Set(redo);
  let id: number | null = current;
  while (id !== null && !line.has(id)) {
    line.add(id);
    id = entries.get(id)?.parent ?? null;
  }
  return line;
}

/** Entries split into unbroken lines; the one in `line` first, then others, nearest first. */
function chainsOf<E extends TreeEntry>(
  entries: ReadonlyMap<number, E>,
  line: ReadonlySet<number>,
): readonly Chain<E>[] {
  const children = new Map<number | null, E[]>();
  for (const entry of entries.values()) {
    const parent = entry.parent !== null && entries.has(entry.parent) ? entry.parent : null;
    children.set(parent, [...(children.get(parent) ?? []), entry]);
  }
  const chains: Chain<E>[] = [];
  const starts: E[] = [...(children.get(null) ?? [])];
  while (starts.length > 0) {
    const start = starts.pop();
    if (start === undefined) break;
    const members = [start];
    for (let next: E | undefined = start; next !== undefined; ) {
      const after: readonly E[] = children.get(next.id) ?? [];
      next = after.find((child) => line.has(child.id)) ?? newest(after);
      starts.push(...after.filter((child) => child !== next));
      if (next !== undefined) members.push(next);
    }
    chains.push({ members, parent: start.parent });
  }
  const isFirst = (chain: Chain<E>) => line.has(chain.members[0]?.id ?? -1);
  const tip = (chain: Chain<E>) => chain.members.at(-1)?.id ?? 0;
  return chains.sort((a, b) => Number(isFirst(b)) - Number(isFirst(a)) || tip(b) - tip(a));
}

function newest<E extends TreeEntry>(entries: readonly E[]): E | undefined {
  return entries.reduce<E | undefined>(
    (best, entry) => (best === undefined || entry.id > best.id ? entry : best),
    undefined,
  );
}

function freeLane<E extends TreeEntry>(
  spans: readonly { lane: number; top: number; bottom: number }[],
  chain: Chain<E>,
  rowOf: ReadonlyMap<number, number>,
): number {
  const rows = chain.members.map((member) => rowOf.get(member.id) ?? 0);
  const top = Math.min(...rows);
  const bottom = rowOf.get(chain.parent ?? -1) ?? Math.max(...rows);
  let lane = 1;
  while (spans.some((s) => s.lane === lane && s.top <= bottom && top <= s.bottom)) lane += 1;
  return lane;
}
