/** Lists of tags that prompts are completed with: `name,category,count,"alias,alias"` a line. */
import { rowsOfCsv } from "./csv";

export interface Tag {
  readonly name: string;
  /** How often it is used. */
  readonly count: number;
  readonly aliases: readonly string[];
}

/** A tag, and the alias by which it was found; null for its own name. */
export interface FoundTag {
  readonly tag: Tag;
  readonly alias: string | null;
}

/**
 * The tags of a file, the most used first; null where its lines are something else.
 *
 * The category may be missing, and so may the aliases. A first line of titles is passed over.
 */
export function tagsOfCsv(csv: string): readonly Tag[] | null {
  const rows = rowsOfCsv(csv);
  const found = rows.flatMap((row) => {
    const tag = tagOf(row);
    return tag === null ? [] : [tag];
  });
  // A line here and there may be broken; a table of something else is broken throughout.
  if (found.length === 0 || found.length < (rows.length - 1) / 2) return null;
  return found.sort((a, b) => b.count - a.count);
}

function tagOf(row: readonly string[]): Tag | null {
  const name = (row[0] ?? "").trim();
  const isCounted = (at: number) => /^\d+$/.test((row[at] ?? "").trim());
  const at = [2, 1].find(isCounted);
  if (name === "" || at === undefined) return null;
  const aliases = (row[at + 1] ?? "").split(",").map((alias) => alias.trim());
  return { name, count: Number(row[at]), aliases: aliases.filter((alias) => alias !== "") };
}

/** How a prompt writes a tag: with spaces, and brackets that are no weights. */
export function tagText(name: string): string {
  // Such as :3 and ^_^, which are faces.
  const isFace = !/[\p{L}\p{N}]{2}/u.test(name);
  return (isFace ? name : name.replaceAll("_", " ")).replaceAll(/[\\()[\]]/g, "\\$&");
}

/** Those that begin as what is typed, by their names or aliases, up to a number of them. */
export function tagsFor(tags: readonly Tag[], typed: string, most: number): readonly FoundTag[] {
  const wanted = plain(typed);
  if (wanted === "") return [];
  const found: FoundTag[] = [];
  // Of hundreds of thousands: only until there are enough.
  for (const tag of tags) {
    if (plain(tag.name).startsWith(wanted)) found.push({ tag, alias: null });
    else {
      const alias = tag.aliases.find((each) => plain(each).startsWith(wanted));
      if (alias !== undefined) found.push({ tag, alias });
    }
    if (found.length === most) break;
  }
  return found;
}

function plain(text: string): string {
  return text.toLowerCase().replaceAll("_", " ").replaceAll("\\", "");
}
