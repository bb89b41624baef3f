/** Where the models and text encoders come from that a prompt leads, and which inputs they feed. */
import { edgesFrom, upstream } from "../graph";
import { isLink, type Link, linkOf, type Target, targetText } from "../links";
import { nodeOf, nodesOf } from "../scope";
import { type InputSpec, type NodeSpec, typeOf } from "../spec";
import type { Ground } from "./chain";

export const LOAD_LORA = "LoadLora";

const MODEL = "DiffusionModel";
const ENCODER = "TextEncoder";
const CONDITIONING = "Conditioning";

type Fed = typeof MODEL | typeof ENCODER;

/** A link into an input; `from` is null where it comes into the block from outside. */
interface Hop {
  readonly from: Link | null;
  readonly to: Target;
}

/** A model, or a text encoder, as it is behind the last of the LoRAs that are on it. */
export interface Feed {
  readonly from: Link | null;
  /** The inputs that it is led to straight away. */
  readonly to: readonly Target[];
  /** From one of its users up to what made it. */
  readonly way: readonly Hop[];
}

/** A model, and the text encoder that reads for it; null if that is another's, or there is none. */
export interface Pair {
  readonly model: Feed;
  readonly encoder: Feed | null;
}

/** The models that a prompt leads; where nothing samples by it yet, the one that its encoder is of. */
export function pairsOf(ground: Ground, prompt: string): readonly Pair[] {
  const { users, passed } = ledBy(ground, prompt);
  const before = upstream(nodesOf(ground.workflow, ground.scope), users);
  const reading = [...new Set([...passed, ...before])].filter((name) => encodes(ground, name));
  const encoders = feedsOf(ground, reading, ENCODER);
  const models = feedsOf(ground, users, MODEL);
  if (models.length === 0) return encoders.flatMap((encoder) => pairOfEncoder(ground, encoder));
  const left = new Set(encoders);
  return models.map((model) => {
    const own = [...left].filter((each) => models.length === 1 || rootOf(each) === rootOf(model));
    const encoder = own.find(({ from }) => from?.node === model.from?.node) ?? own[0] ?? null;
    if (encoder) left.delete(encoder);
    return { model, encoder };
  });
}

/** Whether a node makes of text what leads a model. */
export function encodes(ground: Ground, node: string): boolean {
  return gives(specIn(ground, node), CONDITIONING);
}

/** The nodes that put LoRAs on a model, those nearest to its users first. */
export function lorasOn(ground: Ground, { model }: Pair): readonly string[] {
  return model.way.flatMap(({ from }) => (from && isLora(ground, from.node) ? [from.node] : []));
}

/** The nodes that sample by a prompt, and those that it passes on its way to them. */
function ledBy(ground: Ground, prompt: string) {
  const nodes = nodesOf(ground.workflow, ground.scope);
  const passed = new Set([prompt]);
  const users: string[] = [];
  for (const name of passed) {
    const isUser = givenOf(ground, name, MODEL).length > 0;
    if (isUser) users.push(name);
    // What a sampler makes isn't led by the prompt any more.
    if (isUser && !gives(specIn(ground, name), MODEL)) continue;
    for (const { to } of edgesFrom(nodes, name)) passed.add(to.node);
  }
  // What hands a model on is found again before the one that uses it.
  const last = users.filter((name) => !gives(specIn(ground, name), MODEL));
  return { users: last.length > 0 ? last : users, passed };
}

/** An encoder with the model that comes with it, and that nothing uses yet. */
function pairOfEncoder(ground: Ground, encoder: Feed): readonly Pair[] {
  const node = encoder.from?.node ?? "";
  const output = specIn(ground, node)?.outputs.find(({ type }) => type === MODEL);
  if (output === undefined) return [];
  return [{ model: { ...encoder, from: { node, port: output.name }, to: [] }, encoder }];
}

/** Where the inputs of a type that some nodes have are fed from, each source once. */
function feedsOf(ground: Ground, names: readonly string[], type: Fed): readonly Feed[] {
  const feeds = new Map<string, Feed>();
  for (const node of names) {
    for (const { name: port } of givenOf(ground, node, type)) {
      const way = wayUp(ground, { node, port }, type);
      const hop = way.find(({ from }) => from && isLora(ground, from.node)) ?? way.at(-1);
      if (hop === undefined) continue;
      const key = hop.from ? `${hop.from.node}.${hop.from.port}` : `/${blockInput(ground, hop.to)}`;
      const { to } = feeds.get(key) ?? { to: [] };
      const isKnown = to.some((each) => targetText(each) === targetText(hop.to));
      feeds.set(key, { from: hop.from, to: isKnown ? to : [...to, hop.to], way });
    }
  }
  return [...feeds.values()];
}

/** From an input up through all nodes that hand the type on; one that merges several makes it anew. */
function wayUp(ground: Ground, input: Target, type: Fed): readonly Hop[] {
  const way: Hop[] = [];
  const seen = new Set<string>();
  for (let to: Target | null = input; to !== null && !seen.has(to.node); ) {
    seen.add(to.node);
    const from: Link | null = linkOf(
      nodeOf(ground.workflow, ground.scope, to.node)?.inputs.get(to.port),
    );
    way.push({ from, to });
    const through: readonly InputSpec[] = from ? givenOf(ground, from.node, type) : [];
    const [only, ...others] = through;
    to = from && only && others.length === 0 ? { node: from.node, port: only.name } : null;
  }
  return way;
}

/** The node that makes it, or "" for what comes from outside the block. */
function rootOf({ way }: Feed): string {
  return way.at(-1)?.from?.node ?? "";
}

/** The inputs of a type that a node is given, by a link or from outside the block. */
function givenOf(ground: Ground, node: string, type: Fed): readonly InputSpec[] {
  const entry = nodeOf(ground.workflow, ground.scope, node);
  const inputs = specIn(ground, node)?.inputs ?? [];
  return inputs.filter(
    ({ name, type: own }) =>
      own === type &&
      (isLink(entry?.inputs.get(name)) || blockInput(ground, { node, port: name }) !== null),
  );
}

/** The block's input that leads to one inside, if any does. */
export function blockInput({ workflow, scope }: Ground, to: Target): string | null {
  const inputs = scope === null ? undefined : workflow.subgraphs.get(scope)?.inputs;
  const found = [...(inputs ?? [])].find(([, input]) => input.to.includes(targetText(to)));
  return found?.[0] ?? null;
}

function isLora(ground: Ground, node: string): boolean {
  return nodeOf(ground.workflow, ground.scope, node)?.type === LOAD_LORA;
}

function gives(spec: NodeSpec | null, type: string): boolean {
  return spec?.outputs.some((output) => output.type === type) === true;
}

function specIn({ workflow, scope, types }: Ground, name: string): NodeSpec | null {
  const entry = nodeOf(workflow, scope, name);
  return entry ? typeOf(types, workflow, entry) : null;
}
