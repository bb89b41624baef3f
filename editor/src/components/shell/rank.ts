/** Finding entries by letters in their order, the best first. */

export interface Ranked<T> {
  readonly entry: T;
  /** Places of the letters found, in the label. */
  readonly marks: ReadonlySet<number>;
}

interface Scored<T> extends Ranked<T> {
  readonly score: number;
}

/** Entries whose label (or group and label) holds the query's letters; all of them for no query. */
export function rank<T extends { readonly label: string; readonly group: string }>(
  entries: readonly T[],
  query: string,
): readonly Ranked<T>[] {
  const wanted = query.trim().toLowerCase().replace(/\s+/g, " ");
  if (wanted === "") return entries.map((entry) => ({ entry, marks: new Set() }));
  const scored = entries.flatMap((entry): Scored<T>[] => {
    const own = score(entry.label, wanted);
    if (own) return [{ entry, ...own }];
    const words = `${entry.group} ${entry.label}`.toLowerCase();
    const all = wanted.split(" ").every((word) => words.includes(word));
    return all ? [{ entry, marks: new Set(), score: 1 }] : [];
  });
  return scored.sort((a, b) => b.score - a.score);
}

/** Letters in a row and at the start of words count more. */
function score(
  label: string,
  wanted: string,
): { score: number; marks: ReadonlySet<number> } | null {
  const text = label.toLowerCase();
  const whole = text.indexOf(wanted);
  if (whole >= 0) {
    const start = whole === 0 ? 100 : /\s/.test(text[whole - 1] ?? "") ? 80 : 60;
    return { score: start - text.length / 100, marks: range(whole, whole + wanted.length) };
  }
  const marks = new Set<number>();
  let at = 0;
  let points = 0;
  for (const letter of wanted.replaceAll(" ", "")) {
    const place = text.indexOf(letter, at);
    if (place < 0) return null;
    const startsWord = place === 0 || /\W/.test(text[place - 1] ?? "");
    points += startsWord ? 4 : place === at && marks.size > 0 ? 3 : -1;
    marks.add(place);
    at = place + 1;
  }
  return points > 0 ? { score: points - text.length / 100, marks } : null;
}

function range(start: number, end: number): ReadonlySet<number> {
  return new Set(Array.from({ length: end - start }, (_, index) => start + index));
}
