/**
 * Weighing words of a prompt, `(red:1.2) apple`, in the syntax of nodegraph/families/prompts.py.
 */

export interface Weighed {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const MOST = 1000;
const DEFAULT = 1.1;

/**
 * Make the selected words, or the word at the cursor, weigh `step` more or less.
 *
 * What stands in `(…:number)` or `(…)` already gets another number; at 1 the brackets go away. The
 * answer selects the same words again, so that the key can be pressed repeatedly.
 */
export function weigh(text: string, start: number, end: number, step: number): Weighed {
  const [from, to] = words(text, start, end);
  if (from === to) return { text, start, end };
  const group = groupAround(text, from, to);
  const old = group?.weight ?? 1;
  const weight = Math.min(MOST, Math.max(0, rounded(old + step)));
  const outer = group ?? { start: from, end: to, innerStart: from, innerEnd: to };
  const inner = text.slice(outer.innerStart, outer.innerEnd);
  const [head, tail] = weight === 1 ? ["", ""] : ["(", `:${weight})`];
  const shift = outer.start + head.length - outer.innerStart;
  return {
    text: text.slice(0, outer.start) + head + inner + tail + text.slice(outer.end),
    start: from + shift,
    end: to + shift,
  };
}

/** Steps such as 0.05 add up to 1.1500000000000001 in binary. */
function rounded(weight: number): number {
  return Math.round(weight * 1000) / 1000;
}

/** The selection without blanks at its ends, or the word around the cursor. */
function words(text: string, start: number, end: number): [number, number] {
  let from = Math.min(start, end);
  let to = Math.max(start, end);
  if (from === to) {
    while (from > 0 && isWord(text[from - 1])) from -= 1;
    while (to < text.length && isWord(text[to])) to += 1;
    return [from, to];
  }
  while (from < to && isBlank(text[from])) from += 1;
  while (to > from && isBlank(text[to - 1])) to -= 1;
  return withoutBrackets(text, from, to);
}

function isWord(letter: string | undefined): boolean {
  return letter !== undefined && /[^\s,.;:()[\]]/.test(letter);
}

function isBlank(letter: string | undefined): boolean {
  return letter !== undefined && /\s/.test(letter);
}

/** Inside of a selection that is just one group: `(red:1.2)` selects `red`. */
function withoutBrackets(text: string, from: number, to: number): [number, number] {
  const group = groupsOf(text).find((item) => item.start === from && item.end === to);
  return group ? [group.innerStart, group.innerEnd] : [from, to];
}

interface Group {
  readonly start: number;
  readonly end: number;
  readonly innerStart: number;
  readonly innerEnd: number;
  readonly weight: number;
}

function groupAround(text: string, from: number, to: number): Group | null {
  return groupsOf(text).find((group) => group.innerStart === from && group.innerEnd === to) ?? null;
}

const TOKEN = /\\[\\()[\]]|:\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*\)|[^\\()[\]:]+|[\s\S]/g;

/** The round brackets that have a partner, as the engine pairs them. */
function groupsOf(text: string): readonly Group[] {
  const groups: Group[] = [];
  const opened: { readonly sign: string; readonly at: number }[] = [];
  for (const match of text.matchAll(TOKEN)) {
    const token = match[0];
    const at = match.index;
    if (token === "(" || token === "[") opened.push({ sign: token, at });
    const closes = token.startsWith("\\")
      ? ""
      : token.endsWith(")")
        ? "("
        : token === "]"
          ? "["
          : "";
    if (closes === "" || !opened.some((item) => item.sign === closes)) continue;
    let start = opened.pop();
    while (start && start.sign !== closes) start = opened.pop();
    if (!start || closes === "[") continue;
    const weight = token === ")" ? DEFAULT : Number(token.slice(1, -1));
    groups.push({
      start: start.at,
      end: at + token.length,
      innerStart: start.at + 1,
      innerEnd: at,
      weight,
    });
  }
  return groups;
}
