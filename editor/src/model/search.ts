/** Finding node types by what is typed, and by what fits a link. */
import { type Fit, fit } from "./compat";
import { upstream } from "./graph";
import { literalOf } from "./links";
import { nodeOf, nodesOf, type Scope } from "./scope";
import { labelOf, type NodeSpec, type NodeTypes, outputOf, subgraphType, typeOf } from "./spec";
import { ANY, ANY_ITEM } from "./types";
import { pointsOfLink, pointsOfType, type UsedPort } from "./usage";
import type { Workflow } from "./workflow";

export interface SearchOptions {
  /** A type that one of its inputs must take: for a link that comes from an output. */
  readonly accepts?: string;
  /** A type of input that one of its outputs must fit: for a link that comes from an input. */
  readonly gives?: string;
  /** The port that the link comes from: what follows it most often comes first. */
  readonly from?: UsedPort;
  /** Types that come before others that match as well. */
  readonly favourites?: ReadonlySet<string>;
  readonly limit?: number;
}

export interface FoundType {
  readonly spec: NodeSpec;
  /** Parts of the label that match what was typed, each from start to before end. */
  readonly matches: readonly (readonly [start: number, end: number])[];
  readonly score: number;
  /** The port that fits best, if one had to. */
  readonly port: string | null;
  /** How it fits, for a mark where something is converted. */
  readonly fit: Fit | null;
}

/** Node types and the workflow's subgraphs that match, the best first; all of them for no query. */
export function searchTypes(
  types: NodeTypes,
  workflow: Workflow,
  query: string,
  options: SearchOptions = {},
): readonly FoundType[] {
  const words = plain(query)
    .split(/\s+/)
    .filter((word) => word !== "");
  const found = allTypes(types, workflow).flatMap((spec) => findType(types, spec, words, options));
  found.sort((a, b) => b.score - a.score || compareLabels(a.spec, b.spec));
  return options.limit === undefined ? found : found.slice(0, options.limit);
}

/** All types that a node of the workflow can have: a subgraph hides a node type of its name. */
export function allTypes(types: NodeTypes, workflow: Workflow): readonly NodeSpec[] {
  const blocks = [...workflow.subgraphs.keys()].flatMap(
    (name) => subgraphType(types, workflow, name) ?? [],
  );
  const others = [...types.byName.values()].filter((spec) => !workflow.subgraphs.has(spec.type));
  return [...blocks, ...others];
}

function findType(
  types: NodeTypes,
  spec: NodeSpec,
  words: readonly string[],
  options: SearchOptions,
): readonly FoundType[] {
  const port = fittingPort(types, spec, options);
  if (port === null) return [];
  const hits = words.map((word) => hitOf(spec, word));
  if (!hits.every((hit) => hit !== null)) return [];
  const typed = hits.reduce((sum, hit) => sum + hit.score, 0);
  const liked = options.favourites?.has(spec.type) ? FAVOURITE : 0;
  // Words say what is wanted; where there are none, use does.
  const isTyped = words.length > 0;
  const used = isTyped && options.from === undefined ? pointsOfType(types.usage, spec.type) : 0;
  const linked = isTyped ? Math.min(FAVOURITE, port.used) : port.used;
  const score =
    typed / Math.max(1, words.length) + port.score + linked + used + lifeScore(spec) + liked;
  const matches = merged(hits.flatMap((hit) => hit.matches));
  return [{ spec, matches, score, port: port.name, fit: port.fit }];
}

/** As much as begins a label instead of a word in it; less than a tag is worth beside a label. */
const FAVOURITE = 12;

function lifeScore(spec: NodeSpec): number {
  // Of what is found alike, the built-in ones come first: a pack may bring hundreds.
  const isBuiltIn = spec.pack === "";
  return (spec.deprecated === "" ? 0 : -30) + (spec.experimental ? -5 : 0) - (isBuiltIn ? 0 : 4);
}

function compareLabels(a: NodeSpec, b: NodeSpec): number {
  const [left, right] = [labelOf(a), labelOf(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

// Ports

interface FittingPort {
  readonly name: string | null;
  /** How well its type fits. */
  readonly score: number;
  /** How much it is linked so. */
  readonly used: number;
  readonly fit: Fit | null;
}

const NO_PORT_ASKED: FittingPort = { name: null, score: 0, used: 0, fit: null };

function fittingPort(types: NodeTypes, spec: NodeSpec, options: SearchOptions): FittingPort | null {
  const { accepts, gives, from } = options;
  if (accepts !== undefined) {
    const ports = spec.inputs.filter((port) => port.body === null);
    return fittingPorts(types, ports, (port) => [accepts, port.type], { spec, from })[0] ?? null;
  }
  if (gives === undefined) return NO_PORT_ASKED;
  const link = (port: Port) => [port.type, gives] as const;
  return fittingPorts(types, spec.outputs, link, { spec, from })[0] ?? null;
}

interface Port {
  readonly name: string;
  readonly type: string;
  readonly required?: boolean;
}

/** Ports that a link may have, the one that is used most for it first. */
function fittingPorts(
  types: NodeTypes,
  ports: readonly Port[],
  link: (port: Port) => readonly [from: string, to: string],
  { spec, from: start }: { readonly spec: NodeSpec; readonly from: UsedPort | undefined },
): readonly FittingPort[] {
  const found: FittingPort[] = [];
  for (const port of ports) {
    const [from, to] = link(port);
    const way = fit(types, { type: from, node: spec }, { type: to });
    if (!way.fits) continue;
    const score = closeness(way, from, to) + (port.required === false ? -1 : 0);
    const used = start ? pointsOfLink(types.usage, start, `${spec.type}.${port.name}`) : 0;
    found.push({ name: port.name, score, used, fit: way });
  }
  return found.sort((a, b) => b.score + b.used - (a.score + a.used));
}

/** The ports of a node type that a loose link fits, the one that is used most for it first. */
export function portsFor(
  types: NodeTypes,
  spec: NodeSpec,
  end: { readonly type: string; readonly side: "input" | "output" },
  from?: UsedPort,
): readonly string[] {
  const isOutput = end.side === "output";
  const link = (port: Port): readonly [string, string] =>
    isOutput ? [end.type, port.type] : [port.type, end.type];
  const ports = isOutput ? spec.inputs.filter((port) => port.body === null) : spec.outputs;
  const found = fittingPorts(types, ports, link, { spec, from });
  return found.flatMap(({ name }) => name ?? []);
}

/** What fits as it is comes before what is converted, and that before what takes anything. */
function closeness(found: Fit, from: string, to: string): number {
  if (!found.fits) return 0;
  if (from === to) return 20;
  if (from === ANY || to === ANY || to === ANY_ITEM || to === `list[${ANY}]`) return 2;
  return found.maps ? 6 : found.conversion === null ? 16 : 8;
}

/** A port of a graph as counts of use know it. */
export function usedPort(
  types: NodeTypes,
  workflow: Workflow,
  scope: Scope,
  end: {
    readonly side: "input" | "output";
    readonly from: { readonly node: string; readonly port: string };
  },
  families: ReadonlyMap<string, string>,
): UsedPort {
  const { side, from } = end;
  const entry = nodeOf(workflow, scope, from.node);
  const spec = entry && typeOf(types, workflow, entry);
  if (!spec) return { side, port: "", family: null };
  const name = side === "output" ? (outputOf(spec, from.port)?.name ?? from.port) : from.port;
  const family = familyAt(workflow, scope, from.node, families);
  return { side, port: `${spec.type}.${name}`, family };
}

/** The family of the nearest model that a node is led by; `families` are those of models by name. */
export function familyAt(
  workflow: Workflow,
  scope: Scope,
  name: string,
  families: ReadonlyMap<string, string>,
): string | null {
  const nodes = nodesOf(workflow, scope);
  for (const source of upstream(nodes, [name])) {
    for (const value of nodes.get(source)?.inputs.values() ?? []) {
      const literal = literalOf(value);
      const family = typeof literal === "string" ? families.get(literal) : undefined;
      if (family !== undefined) return family;
    }
  }
  return null;
}

// Words

interface Hit {
  readonly score: number;
  readonly matches: readonly (readonly [number, number])[];
}

function plain(text: string): string {
  return text
    .normalize("NFKD")
    .replace(/\p{Mn}/gu, "")
    .toLowerCase();
}

/** How well a type matches one word: best in its label, then in its name, tags, category, ports. */
function hitOf(spec: NodeSpec, word: string): Hit | null {
  const label = plain(labelOf(spec));
  const inLabel = matchIn(label, word);
  const hits: (Hit | null)[] = [inLabel];
  const add = (texts: readonly string[], worth: number, fuzzy: boolean) => {
    for (const text of texts) {
      const hit = matchIn(plain(text), word, fuzzy);
      if (hit) hits.push({ score: hit.score * worth, matches: [] });
    }
  };
  // English words find types in every language: tutorials and other programs use them.
  if (spec.englishLabel !== undefined) add([spec.englishLabel], 0.97, true);
  add([spec.type, bareName(spec.type), apart(bareName(spec.type))], 0.95, true);
  // A tag counts less than any word of a label, so that what bears the words comes first.
  add(spec.tags, 0.75, false);
  const categories = `${spec.category}/${spec.shownCategory ?? ""}`.split("/");
  add(categories, 0.6, false);
  add(spec.pack === "" ? [] : [spec.pack], 0.5, false);
  add(
    [...spec.inputs, ...spec.outputs].map((port) => port.type),
    0.45,
    false,
  );
  add(
    [...spec.inputs, ...spec.outputs].flatMap(({ name, label }) =>
      label === undefined ? name : [name, label],
    ),
    0.35,
    false,
  );
  const best = hits.reduce((a, b) => ((b?.score ?? 0) > (a?.score ?? 0) ? b : a), null);
  return best && { score: best.score, matches: inLabel?.matches ?? [] };
}

function bareName(type: string): string {
  return type.slice(type.lastIndexOf(":") + 1);
}

/** KSampler as "K Sampler", VAEDecode as "VAE Decode". */
function apart(name: string): string {
  return name.replace(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, " ");
}

function matchIn(text: string, word: string, fuzzy = true): Hit | null {
  if (text === word) return { score: 100, matches: [[0, text.length]] };
  const at = bestPlace(text, word);
  if (at >= 0) {
    const score = at === 0 ? 90 : isWordStart(text, at) ? 80 : 60;
    return { score: score - text.length / 20, matches: [[at, at + word.length]] };
  }
  return fuzzy ? (initials(text, word) ?? subsequence(text, word) ?? misspelt(text, word)) : null;
}

function bestPlace(text: string, word: string): number {
  let first = -1;
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if (isWordStart(text, at)) return at;
    if (first < 0) first = at;
  }
  return first;
}

/** Chinese and Japanese have no spaces, so a word may start at each of their letters. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;

function isWordStart(text: string, at: number): boolean {
  return at === 0 || !/[\p{L}\p{N}]/u.test(text[at - 1] ?? "") || UNSPACED.test(text[at] ?? "");
}

/** The first letters of words: "vd" is "VAE decode". */
function initials(text: string, word: string): Hit | null {
  const starts = [...text].flatMap((letter, at) =>
    /[\p{L}\p{N}]/u.test(letter) && isWordStart(text, at) ? [at] : [],
  );
  if (word.length < 2 || word.length > starts.length) return null;
  const letters = starts.map((at) => text[at] ?? "").join("");
  const from = letters.indexOf(word);
  if (from < 0) return null;
  const matches = starts.slice(from, from + word.length).map((at) => [at, at + 1] as const);
  return { score: 55, matches };
}

/** The letters in this order, with gaps; fewer gaps are better. Short words need all else. */
function subsequence(text: string, word: string): Hit | null {
  if (word.length < 3) return null;
  const matches: [number, number][] = [];
  let at = 0;
  for (const letter of word) {
    const next = text.indexOf(letter, at);
    if (next < 0) return null;
    const last = matches.at(-1);
    if (last?.[1] === next) last[1] = next + 1;
    else matches.push([next, next + 1]);
    at = next + 1;
  }
  const first = matches[0]?.[0] ?? 0;
  const isFar = at - first > 2 * word.length + 1 || matches.length > Math.ceil(0.8 * word.length);
  if (!isWordStart(text, first) || isFar) return null;
  return { score: 45 - 4 * matches.length - first / 10, matches };
}

/** One letter wrong, missing, too many or swapped in a word of some length. */
function misspelt(text: string, word: string): Hit | null {
  if (word.length < 4) return null;
  for (const match of text.matchAll(/[\p{L}\p{N}]+/gu)) {
    const part = match[0].slice(
      0,
      Math.max(word.length, match[0].length === word.length + 1 ? match[0].length : 0),
    );
    if (isNear(part, word))
      return { score: 25, matches: [[match.index, match.index + part.length]] };
  }
  return null;
}

function isNear(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  let end = 0;
  const most = Math.min(a.length, b.length) - start;
  while (end < most && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const [left, right] = [a.length - start - end, b.length - start - end];
  if (left <= 1 && right <= 1) return true;
  return left === 2 && right === 2 && a[start] === b[start + 1] && a[start + 1] === b[start];
}

function merged(
  matches: readonly (readonly [number, number])[],
): readonly (readonly [number, number])[] {
  const sorted = [...matches].sort((a, b) => a[0] - b[0]);
  const found: [number, number][] = [];
  for (const [start, end] of sorted) {
    const last = found.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else found.push([start, end]);
  }
  return found;
}
