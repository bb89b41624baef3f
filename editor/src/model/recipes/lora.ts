/** A LoRA put on the models that a prompt leads, and on the text encoders that read for them. */
import { addNode, setInput, shortLink } from "../edits";
import type { Json } from "../json";
import { changeLayout, layoutOf, type Point } from "../layout";
import { type Link, linkJson, literalOf, type Target, targetText } from "../links";
import { nodeOf, withSubgraph } from "../scope";
import { USUAL_WIDTH } from "../sizes";
import { defaultOf, typeOf } from "../spec";
import type { Workflow } from "../workflow";
import { beside, GAP, type Ground } from "./chain";
import { blockInput, encodes, type Feed, LOAD_LORA, lorasOn, type Pair, pairsOf } from "./feeds";

/** A node that was added to load the LoRA. */
export interface Loading {
  readonly name: string;
  /** The node that it stands behind; null for none. */
  readonly before: string | null;
  /** The nodes that it was put before, from left to right. */
  readonly users: readonly string[];
}

export interface Applied {
  readonly workflow: Workflow;
  readonly added: readonly Loading[];
  /** Nodes by which it was on a model before. */
  readonly there: readonly string[];
}

/** Whether a LoRA may be meant in a text: where it leads a model, or may come to. */
export function takesLora(ground: Ground, prompt: string): boolean {
  if (!ground.types.byName.has(LOAD_LORA)) return false;
  return encodes(ground, prompt) || pairsOf(ground, prompt).length > 0;
}

/**
 * Put a LoRA on all models that a prompt leads, behind those that are on them.
 *
 * Where nothing samples by the prompt yet, it goes on the model whose text encoder reads it. Where
 * that isn't known either, the node stands beside the prompt without a link.
 *
 * @param prompt The node that has the text.
 * @param or The node's place where the graph has none.
 */
export function applyLora(ground: Ground, prompt: string, lora: string, or: Point): Applied {
  const pairs = pairsOf(ground, prompt);
  const added: Loading[] = [];
  const there = new Set<string>();
  let { workflow } = ground;
  for (const pair of pairs) {
    const [known] = lorasOn(ground, pair).filter((name) => loads(ground, name, lora));
    if (known !== undefined) {
      there.add(known);
      continue;
    }
    const put = putBetween({ ...ground, workflow }, pair, lora, or);
    workflow = put.workflow;
    added.push(put.loading);
  }
  if (pairs.length > 0) return { workflow, added, there: [...there] };
  const at = beside(ground, prompt, or);
  const alone = addNode(workflow, ground.scope, {
    type: LOAD_LORA,
    at,
    inputs: new Map([["lora", lora]]),
  });
  const loading = { name: alone.name, before: null, users: [] };
  return { workflow: unplacedAs(ground, alone), added: [loading], there: [] };
}

/** Whether a node loads a LoRA, and isn't turned off. */
function loads({ workflow, scope, types }: Ground, node: string, lora: string): boolean {
  const entry = nodeOf(workflow, scope, node);
  const input = types.byName.get(LOAD_LORA)?.inputs.find(({ name }) => name === "lora");
  const written = entry?.inputs.get("lora");
  const value = written === undefined ? input && defaultOf(input) : literalOf(written);
  return entry?.mode === null && typeof value === "string" && plain(value) === plain(lora);
}

/** The folder of LoRAs and the ending may be left out of a name. */
function plain(lora: string): string {
  return lora.replace(/^loras\//, "").replace(/\.safetensors$/, "");
}

function putBetween(ground: Ground, { model, encoder }: Pair, lora: string, or: Point) {
  const { scope } = ground;
  const inputs = new Map<string, Json>();
  const feeds: readonly (readonly [string, Feed | null])[] = [
    ["model", model],
    ["text_encoder", encoder],
  ];
  for (const [port, feed] of feeds) if (feed?.from) inputs.set(port, written(ground, feed.from));
  inputs.set("lora", lora);
  const fed = [...model.to, ...(encoder?.to ?? [])].map(({ node }) => node);
  const users = fromLeft(ground, new Set(fed));
  const before = model.from?.node ?? null;
  const at = placeBetween(ground, before, users[0], or);
  const added = addNode(ground.workflow, scope, { type: LOAD_LORA, at, inputs });
  let workflow = unplacedAs(ground, added);
  for (const [port, feed] of feeds) {
    if (feed !== null)
      workflow = ledThrough({ ...ground, workflow }, feed, { node: added.name, port });
  }
  return { workflow, loading: { name: added.name, before, users } };
}

/** What a feed goes to, led through a node whose input and output have one name. */
export function ledThrough(ground: Ground, { from, to }: Feed, through: Target): Workflow {
  const { scope } = ground;
  const link = written(ground, through);
  const outer = from === null && to[0] ? blockInput(ground, to[0]) : null;
  const inside = outer === null ? ground.workflow : ledInto(ground, outer, to, through);
  return to.reduce(
    (workflow, { node, port }) => setInput(workflow, scope, node, port, link),
    inside,
  );
}

/** A block's input leads to another input than to some that it led to. */
function ledInto({ workflow, scope }: Ground, name: string, from: readonly Target[], to: Target) {
  const block = scope === null ? undefined : workflow.subgraphs.get(scope);
  const input = block?.inputs.get(name);
  if (scope === null || !block || !input) return workflow;
  const left = input.to.filter((text) => !from.some((each) => targetText(each) === text));
  const inputs = new Map(block.inputs).set(name, { ...input, to: [...left, targetText(to)] });
  return withSubgraph(workflow, scope, { ...block, inputs });
}

export function written({ workflow, scope, types }: Ground, link: Link): Json {
  const entry = nodeOf(workflow, scope, link.node);
  return linkJson(shortLink(entry ? typeOf(types, workflow, entry) : null, link));
}

/** Right of the one, or else left of the other. */
export function placeBetween(
  ground: Ground,
  before: string | null,
  after: string | undefined,
  or: Point,
) {
  if (before !== null) return beside(ground, before, or);
  const next = layoutOf(ground.workflow, ground.scope).positions.get(after ?? "");
  return next ? { x: next.x - USUAL_WIDTH - GAP, y: next.y } : or;
}

export function fromLeft({ workflow, scope }: Ground, names: Iterable<string>): readonly string[] {
  const { positions } = layoutOf(workflow, scope);
  const at = (name: string) => positions.get(name)?.x ?? 0;
  return [...names].sort((a, b) => at(a) - at(b));
}

/** In a graph whose file gives no places all nodes are placed together, when it is shown. */
export function unplacedAs(
  { workflow, scope }: Ground,
  added: { workflow: Workflow; name: string },
) {
  if (layoutOf(workflow, scope).positions.size > 0) return added.workflow;
  return changeLayout(added.workflow, scope, (layout) => ({ ...layout, positions: new Map() }));
}
