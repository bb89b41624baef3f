/**
 * Types of ports: what is declared of each name, and expressions of names, lists and unions.
 *
 * The rules are those of nodegraph/core/types.py.
 */

export interface PortType {
  readonly name: string;
  readonly color: string;
  readonly parents: readonly string[];
  readonly description: string;
}

export type PortTypes = ReadonlyMap<string, PortType>;

export type JsonSchema = Readonly<Record<string, unknown>>;

export type TypeExpr =
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "list"; readonly item: TypeExpr }
  | { readonly kind: "union"; readonly members: readonly TypeExpr[] };

export const ANY = "Any";
/** Anything except a list, whose items come one by one. */
export const ANY_ITEM = "AnyItem";
const MOST_LISTS = 16;

export function isAny(expr: TypeExpr): boolean {
  return expr.kind === "name" && expr.name === ANY;
}

const parsed = new Map<string, TypeExpr | null>();

/** A type expression such as `list[Image] | Mask`; null if it isn't one. */
export function parseType(text: string): TypeExpr | null {
  let found = parsed.get(text);
  if (found === undefined) {
    found = readType(text);
    if (parsed.size > 4096) parsed.clear();
    parsed.set(text, found);
  }
  return found;
}

function readType(text: string): TypeExpr | null {
  const tokens = text.match(/list\[|\]|\||[A-Za-z_][A-Za-z0-9_.:-]*/g) ?? [];
  if (tokens.length === 0 || tokens.join("") !== text.replace(/\s/g, "")) return null;
  if (tokens.filter((token) => token === "list[").length > MOST_LISTS) return null;
  const reader = new TypeReader(tokens);
  const expr = reader.union();
  return reader.isAtEnd ? expr : null;
}

class TypeReader {
  private at = 0;

  constructor(private readonly tokens: readonly string[]) {}

  get isAtEnd(): boolean {
    return this.at === this.tokens.length;
  }

  union(): TypeExpr | null {
    const members: TypeExpr[] = [];
    do {
      const member = this.atom();
      if (member === null) return null;
      members.push(member);
    } while (this.take("|"));
    return unionOf(members);
  }

  private atom(): TypeExpr | null {
    if (this.take("list[")) {
      const item = this.union();
      return item !== null && this.take("]") ? { kind: "list", item } : null;
    }
    const name = this.tokens[this.at];
    if (name === undefined || name === "]" || name === "|") return null;
    this.at += 1;
    return { kind: "name", name };
  }

  private take(token: string): boolean {
    if (this.tokens[this.at] !== token) return false;
    this.at += 1;
    return true;
  }
}

/** The union, flattened, without doubles; a single member stands for itself. */
function unionOf(members: readonly TypeExpr[]): TypeExpr | null {
  const flat = new Map<string, TypeExpr>();
  for (const member of members) {
    for (const item of member.kind === "union" ? member.members : [member]) {
      flat.set(typeText(item), item);
    }
  }
  const found = [...flat.values()];
  return found.length === 1 ? (found[0] ?? null) : { kind: "union", members: found };
}

export function typeText(expr: TypeExpr): string {
  if (expr.kind === "name") return expr.name;
  if (expr.kind === "list") return `list[${typeText(expr.item)}]`;
  return expr.members.map(typeText).join(" | ");
}

/** Every type name in an expression. */
export function* namesIn(expr: TypeExpr): Iterable<string> {
  if (expr.kind === "name") yield expr.name;
  else if (expr.kind === "list") yield* namesIn(expr.item);
  else for (const member of expr.members) yield* namesIn(member);
}

/** The type that is written, in its usual spelling; null if none is, or one that isn't known. */
export function declaredType(text: string, portTypes: PortTypes): string | null {
  const expr = text === "" ? null : parseType(text);
  if (!expr || [...namesIn(expr)].some((name) => !portTypes.has(name))) return null;
  return typeText(expr);
}

/** A type in which `Any`, also as a list's item, stands for another type. */
export function fillIn(type: string, inner: string): string {
  const expr = parseType(type);
  const other = parseType(inner);
  if (!expr || !other) return type;
  const found = typeText(filledIn(expr, other));
  return found.split("list[").length - 1 > MOST_LISTS ? type : found;
}

function filledIn(expr: TypeExpr, inner: TypeExpr): TypeExpr {
  if (isAny(expr)) return inner;
  return expr.kind === "list" ? { kind: "list", item: filledIn(expr.item, inner) } : expr;
}

const SCHEMAS: ReadonlyMap<string, string> = new Map([
  ["int", "integer"],
  ["float", "number"],
  ["bool", "boolean"],
  ["str", "string"],
  ["dict", "object"],
  ["Path", "string"],
  ["Subgraph", "string"],
]);

/** The JSON Schema of a type's literals; null for types that can only be linked. */
export function schemaOfType(type: string): JsonSchema | null {
  const expr = parseType(type);
  return expr && schemaOf(expr);
}

function schemaOf(expr: TypeExpr): JsonSchema | null {
  if (expr.kind === "list") {
    const items = schemaOf(expr.item);
    return items && { type: "array", items };
  }
  if (expr.kind === "union") {
    const anyOf = expr.members.map(schemaOf).filter((schema) => schema !== null);
    return anyOf.length > 0 ? { anyOf } : null;
  }
  if (expr.name === ANY || expr.name === ANY_ITEM) return {};
  const type = SCHEMAS.get(expr.name);
  return type === undefined ? null : { type };
}

/** A type in this many lists. */
export function inLists(type: string, levels: number): string {
  return levels === 0 ? type : `list[${inLists(type, levels - 1)}]`;
}
