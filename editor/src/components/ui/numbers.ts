/** What a person types into a number field, and how steps change it. */

export interface Bounds {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly step?: number | undefined;
  readonly integer?: boolean | undefined;
}

const TOKEN = /\s*(?:(\d+(?:[.,]\d*)?(?:e[+-]?\d+)?|[.,]\d+(?:e[+-]?\d+)?)|([-+*/()]))/iy;

/** A number, or a sum such as "512*2+64"; null when it is neither. */
export function readSum(text: string): number | null {
  const tokens = tokensOf(text);
  if (!tokens || tokens.length === 0) return null;
  const reader = { tokens, at: 0 };
  const value = sum(reader);
  return value !== null && reader.at === tokens.length && Number.isFinite(value) ? value : null;
}

type Token = number | string;
interface Reader {
  readonly tokens: readonly Token[];
  at: number;
}

function tokensOf(text: string): readonly Token[] | null {
  const tokens: Token[] = [];
  const trimmed = text.trim();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < trimmed.length) {
    const found = TOKEN.exec(trimmed);
    if (!found) return null;
    tokens.push(found[1] === undefined ? (found[2] ?? "") : Number(found[1].replace(",", ".")));
  }
  return tokens;
}

function sum(reader: Reader): number | null {
  return chain(reader, product, { "+": (a, b) => a + b, "-": (a, b) => a - b });
}

function product(reader: Reader): number | null {
  return chain(reader, factor, { "*": (a, b) => a * b, "/": (a, b) => a / b });
}

type Operators = Readonly<Record<string, (a: number, b: number) => number>>;

function chain(reader: Reader, next: (reader: Reader) => number | null, operators: Operators) {
  let value = next(reader);
  while (value !== null) {
    const token = reader.tokens[reader.at];
    const operator = typeof token === "string" ? operators[token] : undefined;
    if (!operator) return value;
    reader.at += 1;
    const other = next(reader);
    value = other === null ? null : operator(value, other);
  }
  return null;
}

function factor(reader: Reader): number | null {
  const token = reader.tokens[reader.at];
  reader.at += 1;
  if (typeof token === "number") return token;
  if (token === "-" || token === "+") {
    const value = factor(reader);
    return value === null ? null : token === "-" ? -value : value;
  }
  if (token !== "(") return null;
  const value = sum(reader);
  const closed = reader.tokens[reader.at] === ")";
  reader.at += 1;
  return closed ? value : null;
}

/** Within its bounds, whole where it has to be, and without the noise of binary fractions. */
export function settle(value: number, { min, max, integer, step }: Bounds): number {
  const exact = integer ? Math.round(value) : withoutNoise(value, step);
  return Math.min(
    max ?? Number.POSITIVE_INFINITY,
    Math.max(min ?? Number.NEGATIVE_INFINITY, exact),
  );
}

function withoutNoise(value: number, step = 0): number {
  if (step <= 0 || Math.abs(value) > 1e12) return value;
  const decimals = Math.min(12, decimalsOf(step) + 3);
  return Number(value.toFixed(decimals));
}

/** Digits behind the point, exponents taken into account. */
export function decimalsOf(value: number): number {
  const [mantissa = "", exponent = "0"] = value.toString().split("e");
  const decimals = mantissa.split(".")[1]?.length ?? 0;
  return Math.max(0, decimals - Number(exponent));
}

/** A step larger with Shift, finer with Ctrl or Cmd. */
export function stepOf(
  bounds: Bounds,
  keys: { shiftKey: boolean; ctrlKey: boolean; metaKey: boolean },
): number {
  const step = bounds.step ?? (bounds.integer ? 1 : 0.1);
  const scaled = keys.shiftKey ? step * 10 : keys.ctrlKey || keys.metaKey ? step / 10 : step;
  return bounds.integer ? Math.max(1, Math.round(scaled)) : scaled;
}
