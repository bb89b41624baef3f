/**
 * Three-way merge of texts, so that two windows may type in one prompt.
 *
 * nodegraph/server/content/drafts/text_merge.py does the same and says how, and
 * tests/data/text_merges.json has the cases that both must pass. Texts are compared by code points,
 * as Python's are.
 */

/** The characters from `start` to `end` are replaced by `text`. */
export interface Hunk {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Characters of a text; longer ones are replaced as a whole. */
const LONGEST_MERGED = 20_000;
const MOST_CELLS = 40_000;
const BREAKS = new Set(" \n\r\t,.;:()");

/** The current text with a change that made `text` of `before`. */
export function mergeText(before: string, text: string, current: string): string {
  if (current === before || current === text) return text;
  const [base, changed, now] = [[...before], [...text], [...current]];
  if (Math.max(base.length, changed.length, now.length) > LONGEST_MERGED) return text;
  if (text === before) return current;
  const theirs = compare(base, now);
  const mine = compare(base, changed).filter((hunk) => !theirs.some((each) => isSame(each, hunk)));
  const deleted = new Set<number>();
  const inserted = new Map<number, string>();
  for (const hunk of [...theirs, ...mine]) {
    for (let at = hunk.start; at < hunk.end; at += 1) deleted.add(at);
    inserted.set(hunk.start, (inserted.get(hunk.start) ?? "") + hunk.text);
  }
  const parts = base.map(
    (letter, at) => (inserted.get(at) ?? "") + (deleted.has(at) ? "" : letter),
  );
  return parts.join("") + (inserted.get(base.length) ?? "");
}

/** Where a position (in UTF-16, as carets are) of a text lies once the text is another. */
export function movedCaret(before: string, after: string, caret: number): number {
  const at = [...before.slice(0, caret)].length;
  let moved = at;
  for (const { start, end, text } of compare([...before], [...after])) {
    // What is inserted right at the caret comes after it: the own text goes on before it.
    if (start >= at) break;
    moved += end <= at ? [...text].length - (end - start) : start - at;
    if (end > at) break;
  }
  return [...after].slice(0, moved).join("").length;
}

function isSame(a: Hunk, b: Hunk): boolean {
  return a.start === b.start && a.end === b.end && a.text === b.text;
}

function compare(before: readonly string[], after: readonly string[]): readonly Hunk[] {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start += 1;
  let tail = 0;
  while (tail < most - start && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  const old = before.slice(start, before.length - tail);
  const now = after.slice(start, after.length - tail);
  if (old.length === 0 && now.length === 0) return [];
  const [a, b] = [wordsOf(old), wordsOf(now)];
  const isWhole = a.length === 0 || b.length === 0 || a.length * b.length > MOST_CELLS;
  const byWords = isWhole
    ? [{ start, end: start + old.length, text: now.join("") }]
    : compareItems(a, b, start);
  // Words that were only added, or only deleted, are found best as words.
  const isPlain =
    byWords.every((hunk) => hunk.start === hunk.end) || byWords.every(({ text }) => text === "");
  if (isPlain) return byWords;
  return (
    compareLetters(old, now, start) ??
    byWords.flatMap((hunk) => {
      const part = before.slice(hunk.start, hunk.end);
      return compareLetters(part, [...hunk.text], hunk.start) ?? [hunk];
    })
  );
}

/** By letters; null if that takes too long, or little of the text stays. */
function compareLetters(
  old: readonly string[],
  now: readonly string[],
  start: number,
): readonly Hunk[] | null {
  if (old.length === 0 || now.length === 0 || old.length * now.length > MOST_CELLS) return null;
  const [a, b] = [old.map(letterOf), now.map(letterOf)];
  if ((commonLengths(a, b)[0] ?? 0) * 2 < Math.min(a.length, b.length)) return null;
  return compareItems(a, b, start);
}

function letterOf(text: string): Item {
  return { text, length: 1 };
}

interface Item {
  readonly text: string;
  /** Code points. */
  readonly length: number;
}

function wordsOf(letters: readonly string[]): readonly Item[] {
  const words: Item[] = [];
  let isOpen = false;
  for (const letter of letters) {
    const last = words.at(-1);
    if (BREAKS.has(letter) || !isOpen || last === undefined) {
      words.push({ text: letter, length: 1 });
      isOpen = !BREAKS.has(letter);
    } else words[words.length - 1] = { text: last.text + letter, length: last.length + 1 };
  }
  return words;
}

function compareItems(a: readonly Item[], b: readonly Item[], start: number): readonly Hunk[] {
  const width = b.length + 1;
  const table = commonLengths(a, b);
  const common = (row: number, column: number): number => table[row * width + column] ?? 0;
  const hunks: Hunk[] = [];
  let [i, j, at, begin, text] = [0, 0, start, start, ""];
  const close = (): void => {
    if (at > begin || text !== "") hunks.push({ start: begin, end: at, text });
  };
  while (i < a.length || j < b.length) {
    const [one, other] = [a[i], b[j]];
    if (one !== undefined && other !== undefined && one.text === other.text) {
      close();
      at += one.length;
      [begin, text, i, j] = [at, "", i + 1, j + 1];
    } else if (other === undefined || (one !== undefined && common(i + 1, j) >= common(i, j + 1))) {
      at += one?.length ?? 0;
      i += 1;
    } else {
      text += other.text;
      j += 1;
    }
  }
  close();
  return hunks;
}

/** How many items the rests of both have in common, by where the rests begin. */
function commonLengths(a: readonly Item[], b: readonly Item[]): Int32Array {
  const width = b.length + 1;
  const table = new Int32Array((a.length + 1) * width);
  const common = (row: number, column: number): number => table[row * width + column] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      table[i * width + j] =
        a[i]?.text === b[j]?.text
          ? common(i + 1, j + 1) + 1
          : Math.max(common(i + 1, j), common(i, j + 1));
    }
  }
  return table;
}
