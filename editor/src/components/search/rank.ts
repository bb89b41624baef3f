/** Finding entries by letters in their order, the best first. Case and accents say nothing. */
import { plainLetters } from "@/model/plainLetters";

export type Range = readonly [start: number, end: number];

export interface Ranked<T> {
  readonly entry: T;
  /** What was found, in the label. */
  readonly matches: readonly Range[];
  /** From 100, for the start of a label, down to 0. */
  readonly score: number;
}

interface Words {
  readonly label: string;
  /** Words that are known of it besides its label. */
  readonly group: string;
}

/** Entries whose label (or group and label) holds the query's letters; all of them for no query. */
export function rank<T extends Words>(entries: readonly T[], query: string): readonly Ranked<T>[] {
  const wanted = plainLetters(query.trim()).replace(/\s+/g, " ");
  if (wanted === "") return entries.map((entry) => ({ entry, matches: [], score: 0 }));
  const scored = entries.flatMap((entry): Ranked<T>[] => {
    const own = score(entry.label, wanted);
    if (own) return [{ entry, ...own }];
    const words = plainLetters(`${entry.group} ${entry.label}`);
    const all = wanted.split(" ").every((word) => words.includes(word));
    return all ? [{ entry, matches: [], score: 1 }] : [];
  });
  return scored.sort((a, b) => b.score - a.score);
}

/** What a place in a text is worth: its start, the start of a word, or anywhere. */
export function worthOf(text: string, at: number): number {
  const start = at === 0 ? 100 : /\s/.test(text[at - 1] ?? "") ? 80 : 60;
  return start - text.length / 100;
}

/** Letters in a row and at the start of words count more. */
function score(label: string, wanted: string): Omit<Ranked<unknown>, "entry"> | null {
  const text = plainLetters(label);
  const whole = text.indexOf(wanted);
  if (whole >= 0) {
    return { score: worthOf(text, whole), matches: [[whole, whole + wanted.length]] };
  }
  const matches: [number, number][] = [];
  let at = 0;
  let points = 0;
  for (const letter of wanted.replaceAll(" ", "")) {
    const place = text.indexOf(letter, at);
    if (place < 0) return null;
    const startsWord = place === 0 || /[^\p{L}\p{N}_]/u.test(text[place - 1] ?? "");
    const last = matches.at(-1);
    points += startsWord ? 4 : place === last?.[1] ? 3 : -1;
    if (last?.[1] === place) last[1] = place + 1;
    else matches.push([place, place + 1]);
    at = place + 1;
  }
  return points > 0 ? { score: points - text.length / 100, matches } : null;
}
