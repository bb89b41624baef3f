/** The lineage of a file as lists: what it was made from and used in, step by step, with indents. */
import type { FileLineage, LineageItem } from "@/api/schema";

export interface LineageRow {
  readonly item: LineageItem;
  /** Steps from the file. */
  readonly depth: number;
  /** Its own steps stand at an earlier row of the same file. */
  readonly isRepeated: boolean;
}

export interface LineageGroupRows {
  readonly source: LineageItem;
  readonly results: readonly LineageItem[];
  readonly hasMore: boolean;
}

type Direction = "made_from" | "used_in";
const GENERIC = /^(model|diffusion_pytorch_model|pytorch_model)\b/;
const DEEPEST = 32;

/** The rows of one direction; each file leads on once, so circles end. */
export function lineageRows(lineage: FileLineage, direction: Direction): LineageRow[] {
  const items = itemsOf(lineage);
  const next = new Map<string, string[]>();
  for (const { source, result } of lineage[direction]) {
    const [from, to] = direction === "made_from" ? [result, source] : [source, result];
    next.set(from, [...(next.get(from) ?? []), to]);
  }
  const rows: LineageRow[] = [];
  const passed = new Set([lineage.subject]);
  const follow = (key: string, depth: number) => {
    for (const each of next.get(key) ?? []) {
      const item = items.get(each);
      if (item === undefined) continue;
      const isRepeated = passed.has(each);
      passed.add(each);
      rows.push({ item, depth, isRepeated: isRepeated && next.has(each) });
      if (!isRepeated && depth < DEEPEST) follow(each, depth + 1);
    }
  };
  follow(lineage.subject, 0);
  return rows;
}

/** Results that share something with the file. */
export function lineageGroups(lineage: FileLineage): LineageGroupRows[] {
  const items = itemsOf(lineage);
  return lineage.related.flatMap(({ source, results, has_more }) => {
    const shared = items.get(source);
    const known = results.flatMap((key) => items.get(key) ?? []);
    return shared === undefined || known.length === 0
      ? []
      : [{ source: shared, results: known, hasMore: has_more }];
  });
}

function itemsOf({ items }: FileLineage): Map<string, LineageItem> {
  return new Map(items.map((item) => [item.key, item]));
}

/** The last part of a name; the folders, where all models have the same last part. */
export function shortName(name: string): string {
  const parts = name.split("/");
  const last = parts.at(-1) ?? name;
  return GENERIC.test(last) && parts.length > 1 ? parts.slice(-3, -1).join("/") : last;
}
