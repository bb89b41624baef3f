/** How the names of bars stand below them: level where they have room, else turned, so that each is read. */

export interface NameLook {
  /** Degrees that they are turned by, against the clock. */
  readonly turn: 0 | 45 | 90;
  /** How many letters of each are shown. */
  readonly letters: number;
  /** Pixels that a letter of theirs reaches to the left of its bar's middle. */
  readonly leftward: number;
  /** Pixels that they reach down. */
  readonly depth: number;
  /** One of so many is shown: more than 1 only where bars are narrower than a line of text. */
  readonly every: number;
}

/** Pixels that text takes: a letter along it, a line of it across. */
export interface TextSize {
  readonly letter: number;
  readonly line: number;
}

/** The look of `names` whose bars are `each` pixels apart and that may reach `deepest` pixels down. */
export function nameLook(
  names: readonly string[],
  each: number,
  deepest: number,
  { letter, line }: TextSize,
): NameLook {
  const longest = Math.max(1, ...names.map((name) => name.length));
  const level = Math.floor(each / letter) - 1;
  const turn = each * SLANT >= line ? 45 : 90;
  const rise = turn === 45 ? SLANT : 1;
  const turned = Math.floor((deepest - line * (1 - rise)) / (letter * rise));
  if (level >= longest || level >= turned) {
    return { turn: 0, letters: Math.max(1, level), leftward: 0, depth: line, every: 1 };
  }
  const letters = Math.min(turned, longest);
  const depth = Math.ceil(letters * letter * rise + line * (1 - rise));
  const leftward = turn === 45 ? letter * SLANT : 0;
  const every = Math.max(1, Math.ceil((line - ROUGHLY) / Math.max(1, each)));
  return { turn, letters, leftward, depth, every };
}

/** Lines of text may come nearer to each other by so many pixels. */
const ROUGHLY = 3;
/** Of a line at 45 degrees: what it goes down, and the distance of two that begin 1 apart. */
const SLANT = Math.SQRT1_2;

/** What of a name is shown below a bar, `at` so many pixels from the left edge of all. */
export function nameAt(name: string, at: number, { letters, leftward }: NameLook): string {
  return cut(name, leftward > 0 ? Math.min(letters, at / leftward) : letters);
}

/** A name without what has no room. */
export function cut(text: string, letters: number): string {
  const most = Math.max(1, Math.floor(letters));
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}
