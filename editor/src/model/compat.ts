/**
 * Which output fits which input, and how its value gets there: as it is, converted, wrapped into a
 * list, or with the node run once for each item of a list.
 *
 * The rules are those of nodegraph/core/types.py; a table made by that module checks them.
 */
import { t } from "@/i18n";
import { keptIn } from "./kept";
import { labelOf, type NodeSpec, type NodeTypes } from "./spec";
import {
  ANY,
  ANY_ITEM,
  isAny,
  namesIn,
  type PortTypes,
  parseType,
  type TypeExpr,
  typeText,
} from "./types";
import { inputUses, linkUses, outputUses, pointsOfLink, type UsedPort } from "./usage";

/** Whether a link is possible, and what happens to the value on its way. */
export type Fit =
  | {
      readonly fits: true;
      /** What the value is turned into, such as "mask_to_image"; null if it stays as it is. */
      readonly conversion: string | null;
      /** Whether the node runs once for each item. */
      readonly maps: boolean;
      /** How many levels of lists it is run over. */
      readonly depth: number;
      /** The above in words, if there is anything to say. */
      readonly note?: string;
    }
  | { readonly fits: false; readonly reason: string; readonly hint?: string };

/** Levels of lists that a node may be run over. */
const MOST_LEVELS = 8;

interface FittedInput {
  readonly type: string;
  /** With its node type, such as "KSampler.latent": advice on it is by use. */
  readonly port?: string;
}

/** Whether an output may be linked to an input. With the `node` whose output it is, hints say more. */
export function fit(
  types: NodeTypes,
  output: { readonly type: string; readonly node?: NodeSpec | undefined },
  input: FittedInput,
): Fit {
  const way = wayBetween(output.type, input.type, types.portTypes);
  if (way === null) return refusal(types, output, input);
  if (way.depth > MOST_LEVELS)
    return { fits: false, reason: t("fit.tooDeep", { most: MOST_LEVELS }) };
  const conversion = way.conversions.join(", ") || null;
  const note = noteOf(way);
  const found = { fits: true, conversion, maps: way.depth > 0, depth: way.depth } as const;
  return note === "" ? found : { ...found, note };
}

/** The colour of a type's ports and links: of a list its items', of a union the first one's. */
export function colorOf(types: NodeTypes, type: string): string {
  const expr = parseType(type);
  const name = expr && [...namesIn(expr)].find((item) => item !== ANY || type === ANY);
  return types.portTypes.get(name ?? ANY)?.color ?? PLAIN;
}

/** The type's sentence: of a list or a union that of its first named type. */
export function describeType(types: NodeTypes, type: string): string {
  const expr = parseType(type);
  const name = expr && [...namesIn(expr)][0];
  return (name && types.portTypes.get(name)?.description) || "";
}

const PLAIN = "#9aa0a6";

function refusal(
  types: NodeTypes,
  output: { readonly type: string; readonly node?: NodeSpec | undefined },
  input: FittedInput,
): Fit {
  const reason = t("fit.wrongType", { given: output.type, expected: input.type });
  const hint = hintFor(types, output, input);
  return hint === "" ? { fits: false, reason } : { fits: false, reason, hint };
}

function hintFor(
  types: NodeTypes,
  output: { readonly type: string; readonly node?: NodeSpec | undefined },
  input: FittedInput,
): string {
  const others = (output.node?.outputs ?? []).filter((port) =>
    reaches(port.type, input.type, types),
  );
  if (others.length > 0) {
    return t("fit.linkInstead", { ports: others.map((port) => port.name).join(", ") });
  }
  const between = converterBetween(types, output.type, input.type);
  if (between !== null) return t("fit.putBetween", { node: labelOf(between) });
  const giver = giverOf(types, input);
  return giver === null ? "" : t("fit.givenBy", { node: labelOf(giver) });
}

/** The node type that gives what an input takes; the one that is used most. */
export function giverOf(types: NodeTypes, { type, port = "" }: FittedInput): NodeSpec | null {
  return adviceOn(types, `\n${type}\n${port}`, () => findGiver(types, type, port));
}

function findGiver(types: NodeTypes, type: string, port: string): NodeSpec | null {
  const { usage } = types;
  const from: UsedPort = { side: "input", port, family: null };
  const found = [...types.byName.values()].flatMap((spec) => {
    const takesSeveral = spec.inputs.some((input) => plainly(`list[${type}]`, input.type, types));
    if (spec.deprecated !== "" || takesSeveral) return [];
    const outputs = spec.outputs
      .filter((output) => plainly(output.type, type, types))
      .map((output) => `${spec.type}.${output.name}`);
    if (outputs.length === 0) return [];
    // A node that needs such an output itself, as a sampler needs a latent, is a source only where
    // people link it.
    const needsIt = spec.inputs.some((input) => plainly(type, input.type, types));
    if (needsIt && !outputs.some((output) => linkUses(usage, output, port) > 0)) return [];
    const points = outputs.map((output) =>
      pointsOfLink(usage, from, output, { anywhere: !needsIt }),
    );
    return [{ spec, points: Math.max(...points) }];
  });
  found.sort((a, b) => b.points - a.points || simpler(a.spec, b.spec));
  return found[0]?.spec ?? null;
}

/** Whether a value gets from one type to another as what it is, not because one takes anything. */
function plainly(from: string, to: string, types: NodeTypes): boolean {
  const way = [from, to].some(isLoose) ? null : wayBetween(from, to, types.portTypes);
  return way !== null && way.depth === 0 && way.conversions.length === 0;
}

function isLoose(type: string): boolean {
  const expr = parseType(type);
  return expr === null || [...namesIn(expr)].some((name) => name === ANY || name === ANY_ITEM);
}

function reaches(from: string, to: string, types: NodeTypes): boolean {
  return from !== ANY && wayBetween(from, to, types.portTypes)?.depth === 0;
}

/**
 * A node type that needs the one type and gives the other: the one that is used most, then the one
 * with the fewest further needs; of such, settings. One that has to be linked more than this output is
 * none where people hardly use it for that. The rules are those of nodegraph/core/suggestions.py.
 */
export function converterBetween(types: NodeTypes, from: string, to: string): NodeSpec | null {
  return adviceOn(types, `${from}\n${to}`, () => findConverter(types, from, to));
}

const advice = new WeakMap<NodeTypes, Map<string, NodeSpec | null>>();

/** What was found once among all node types: each port that doesn't fit a link asks for it. */
function adviceOn(types: NodeTypes, key: string, find: () => NodeSpec | null): NodeSpec | null {
  const known = keptIn(advice, types, () => new Map<string, NodeSpec | null>());
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = find();
  known.set(key, made);
  return made;
}

function findConverter(types: NodeTypes, from: string, to: string): NodeSpec | null {
  const { usage } = types;
  let mostTaken = 0;
  let mostGiven = 0;
  const found = [...types.byName.values()].flatMap((spec) => {
    if (spec.deprecated !== "") return [];
    const takes = spec.inputs
      .filter((port) => port.required && plainly(from, port.type, types))
      .map((port) => inputUses(usage, `${spec.type}.${port.name}`));
    const gives = spec.outputs
      .filter((port) => plainly(port.type, to, types))
      .map((port) => outputUses(usage, `${spec.type}.${port.name}`));
    mostTaken = Math.max(mostTaken, ...takes);
    mostGiven = Math.max(mostGiven, ...gives);
    if (takes.length === 0 || gives.length === 0) return [];
    return [{ spec, used: Math.min(Math.max(...takes), Math.max(...gives)) }];
  });
  found.sort((a, b) => b.used - a.used || simpler(a.spec, b.spec));
  // What nobody links yet, as the types of a new pack, says nothing against a node.
  const least = Math.min(mostTaken, mostGiven);
  const isUsed = (used: number) => least === 0 || used / least >= LEAST_SHARE;
  return found.find(({ spec, used }) => isUsed(used) || linksNeeded(spec) <= 1)?.spec ?? null;
}

/** The part of the most used link from the one type, or to the other. */
const LEAST_SHARE = 0.1;

function linksNeeded(spec: NodeSpec): number {
  return spec.inputs.filter((port) => port.required && port.json_schema == null).length;
}

function simpler(a: NodeSpec, b: NodeSpec): number {
  const needs = (spec: NodeSpec) => spec.inputs.filter((port) => port.required).length;
  return (
    needs(a) - needs(b) ||
    Number(a.experimental) - Number(b.experimental) ||
    Number(a.pack !== "") - Number(b.pack !== "") ||
    a.inputs.length - b.inputs.length ||
    (a.type < b.type ? -1 : 1)
  );
}

function noteOf(way: Way): string {
  const notes = way.conversions.map(conversionText);
  if (way.depth > 0) notes.push(t("fit.maps", { count: way.depth }));
  return notes.join(" ");
}

/** A conversion in words. */
export function conversionText(conversion: string): string {
  const each = conversion.startsWith("each:");
  const text = t(`fit.conversion.${each ? conversion.slice(5) : conversion}`);
  return each ? t("fit.each", { text }) : text;
}

/** How an output's value gets into an input. */
export interface Way {
  readonly conversions: readonly string[];
  /** How many levels of lists the node is run over. */
  readonly depth: number;
}

const CONVERSIONS: readonly (readonly [from: string, to: string, name: string])[] = [
  ["int", "float", "int_to_float"],
  ["Mask", "Image", "mask_to_image"],
  ["str", "Path", "str_to_path"],
];

const AS_IT_IS: Way = { conversions: [], depth: 0 };
const ways = new WeakMap<PortTypes, Map<string, Way | null>>();

/** How a value of one type gets into an input of another; null if it can't. */
export function wayBetween(source: string, target: string, portTypes: PortTypes): Way | null {
  const ofTypes = keptIn(ways, portTypes, () => new Map<string, Way | null>());
  const key = `${source}\n${target}`;
  const found = ofTypes.get(key);
  if (found !== undefined) return found;
  const from = parseType(source);
  const to = parseType(target);
  const way = from && to ? findWay(from, to, { portTypes, seen: new Map() }) : null;
  ofTypes.set(key, way);
  return way;
}

interface Search {
  readonly portTypes: PortTypes;
  readonly seen: Map<string, Way | null>;
}

function findWay(source: TypeExpr, target: TypeExpr, search: Search): Way | null {
  // Lists in lists lead to the same pairs many times over: without memory, exponentially many.
  const key = `${typeText(source)}\n${typeText(target)}`;
  const seen = search.seen.get(key);
  if (seen !== undefined) return seen;
  const way = lookForWay(source, target, search);
  search.seen.set(key, way);
  return way;
}

function lookForWay(source: TypeExpr, target: TypeExpr, search: Search): Way | null {
  if (isAssignable(source, target, search.portTypes)) return AS_IT_IS;
  const conversion = conversionBetween(source, target, search.portTypes);
  if (conversion !== null) return { conversions: [conversion], depth: 0 };
  if (target.kind === "list") {
    const inner = source.kind === "list" ? source.item : source;
    const way = findWay(inner, target.item, search);
    if (way?.depth === 0) {
      return source.kind === "list"
        ? { conversions: way.conversions.map((name) => `each:${name}`), depth: 0 }
        : { conversions: [...way.conversions, "one_to_list"], depth: 0 };
    }
  }
  if (source.kind !== "list") return null;
  const way = findWay(source.item, target, search);
  if (!way || way.conversions.includes("one_to_list")) return null;
  return { conversions: way.conversions, depth: way.depth + 1 };
}

/** Whether values of one type are values of another, as they are. */
function isAssignable(source: TypeExpr, target: TypeExpr, portTypes: PortTypes): boolean {
  if (source.kind === "union") {
    return source.members.every((member) => isAssignable(member, target, portTypes));
  }
  if (target.kind === "union") {
    return target.members.some((member) => isAssignable(source, member, portTypes));
  }
  if (isAny(source) || isAny(target)) return true;
  if (target.kind === "name" && target.name === ANY_ITEM) return source.kind === "name";
  if (source.kind === "list" && target.kind === "list") {
    return isAssignable(source.item, target.item, portTypes);
  }
  if (source.kind !== "name" || target.kind !== "name") return false;
  return isSubtype(source.name, target.name, portTypes);
}

function isSubtype(name: string, of: string, portTypes: PortTypes): boolean {
  if (of === ANY || of === name) return true;
  // Packs may declare parents that lead back to the type itself.
  const above = new Set([name]);
  for (const item of above)
    for (const parent of portTypes.get(item)?.parents ?? []) above.add(parent);
  return above.has(of);
}

function conversionBetween(
  source: TypeExpr,
  target: TypeExpr,
  portTypes: PortTypes,
): string | null {
  if (source.kind !== "name") return null;
  for (const member of target.kind === "union" ? target.members : [target]) {
    if (member.kind !== "name") continue;
    for (const [from, to, name] of CONVERSIONS) {
      if (member.name === to && isSubtype(source.name, from, portTypes)) return name;
    }
  }
  return null;
}
