/** What is searched for in the gallery: words, and terms such as `tag:cat` that the server knows. */

export const TERMS = [
  ...["model", "seed", "size", "after", "before", "stars", "tag", "board"],
  ...["width", "height", "steps", "sampler", "type"],
] as const;

export interface Term {
  readonly name: string;
  readonly value: string;
}

/** A word or term of a text, and where it stands. */
export interface Part {
  readonly from: number;
  readonly to: number;
  /** Null of plain words. */
  readonly name: string | null;
  /** Without quotes. */
  readonly value: string;
}

/** One word: quotes hold spaces, also behind a colon. */
const PART = /(?:[^\s"]|"[^"]*"?)+/g;
const NAMED = /^([a-z]+):([\s\S]*)$/i;

export function partsOf(text: string): readonly Part[] {
  return [...text.matchAll(PART)].map(({ 0: written, index: from }) => {
    const [, name = "", rest = ""] = NAMED.exec(written) ?? [];
    const isTerm = (TERMS as readonly string[]).includes(name.toLowerCase());
    const value = (isTerm ? rest : written).replaceAll('"', "");
    return { from, to: from + written.length, name: isTerm ? name.toLowerCase() : null, value };
  });
}

/** A term as it is typed. */
export function written({ name, value }: Term): string {
  return `${name}:${/\s/.test(value) ? `"${value}"` : value}`;
}

/** What is asked of the server: the terms, and what is typed besides; terms without a value yet not. */
export function searchText(terms: readonly Term[], typed: string): string {
  const words = partsOf(typed)
    .filter(({ name, value }) => name === null || value !== "")
    .map(({ from, to }) => typed.slice(from, to));
  return [...terms.map(written), ...words].join(" ");
}

export interface Split {
  readonly terms: readonly Term[];
  /** The words, and a term that may still be typed at. */
  readonly typed: string;
}

/**
 * The terms of a text, and its words.
 *
 * @param isWhole Nothing more is typed at its end.
 */
export function splitSearch(text: string, isWhole = true): Split {
  const terms: Term[] = [];
  let typed = "";
  let end = 0;
  for (const { from, to, name, value } of partsOf(text)) {
    const isDone = isWhole || to < text.length;
    if (name === null || value === "" || !isDone) {
      typed += text.slice(end, to);
      end = to;
      continue;
    }
    terms.push({ name, value });
    typed += text.slice(end, from);
    end = to;
  }
  const rest = typed + text.slice(end);
  return terms.length === 0 ? { terms, typed: text } : { terms, typed: rest.trimStart() };
}

/** Several tags are searched for at once; of all else there is one. */
export function withTerm(terms: readonly Term[], term: Term): readonly Term[] {
  const isAlso = (each: Term) =>
    each.name !== term.name || (term.name === "tag" && each.value !== term.value);
  return [...terms.filter(isAlso), term];
}

/** Values by the terms that take them. */
export type Values = Readonly<Record<string, readonly string[]>>;

export interface Completion {
  /** What stands there then. */
  readonly text: string;
  readonly term: Term;
  /** Whether a value has yet to be typed. */
  readonly isOpen: boolean;
}

const MOST = 12;

/** What may be meant by the last word of what is typed. */
export function completionsFor(typed: string, values: Values): readonly Completion[] {
  const last = partsOf(typed).at(-1);
  if (last === undefined || last.to < typed.length) return [];
  const before = typed.slice(0, last.from);
  if (last.name === null) {
    const begun = last.value.toLowerCase();
    return TERMS.filter((name) => name.startsWith(begun)).map((name) => ({
      text: `${before}${name}:`,
      term: { name, value: "" },
      isOpen: true,
    }));
  }
  const { name } = last;
  const begun = last.value.toLowerCase();
  const fitting = (values[name] ?? []).filter((value) => value.toLowerCase().includes(begun));
  const rank = (value: string) => (value.toLowerCase().startsWith(begun) ? 0 : 1);
  return fitting
    .toSorted((a, b) => rank(a) - rank(b))
    .slice(0, MOST)
    .map((value) => ({
      text: `${before}${written({ name, value })} `,
      term: { name, value },
      isOpen: false,
    }));
}
