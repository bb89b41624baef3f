/** What suits a model that is chosen: the size of images and the sampling, where nobody has set them. */
import { setInput } from "../edits";
import { edgesFrom, edgesInto } from "../graph";
import { floatJson, type Json, numberOf } from "../json";
import { isLink, literalOf, type Target } from "../links";
import { nodeOf, nodesOf, type Scope } from "../scope";
import { defaultOf, type InputSpec, inputOf, type NodeTypes, typeOf } from "../spec";
import type { Workflow } from "../workflow";

/** As the server tells it of a model; null for what isn't known. */
export interface Suits {
  readonly width: number | null;
  readonly height: number | null;
  readonly steps: number | null;
  readonly guidance: number | null;
  readonly sampler: string | null;
  readonly schedule: string | null;
}

export type Suited = keyof Suits;

interface Ground {
  readonly workflow: Workflow;
  readonly scope: Scope;
  readonly types: NodeTypes;
}

export interface SetValue extends Target {
  readonly what: Suited;
  readonly value: number | string;
}

export interface Chosen {
  readonly workflow: Workflow;
  /** What was set besides the model. */
  readonly set: readonly SetValue[];
}

const MODEL = "DiffusionModel";
const LATENT = "Latent";
/** Inputs of nodes that sample, by what they are. */
const SAMPLING: Readonly<Record<string, Suited>> = {
  steps: "steps",
  cfg: "guidance",
  sampler: "sampler",
  schedule: "schedule",
};

/**
 * Name a model in a loader's input, and set what suits it in the nodes behind.
 *
 * Only inputs without a link are set that stand at their default, or at what suited the model
 * before: anything else is somebody's choice.
 *
 * @param of What suits a model by its name; null where that isn't known.
 */
export function chooseModel(
  ground: Ground,
  at: Target,
  name: string,
  of: (name: string) => Suits | null,
): Chosen {
  const { scope } = ground;
  const before = namedIn(ground, at);
  const named = setInput(ground.workflow, scope, at.node, at.port, name);
  const [suits, old] = [of(name), before === null ? null : of(before)];
  if (suits === null || name === before) return { workflow: named, set: [] };
  let workflow = named;
  const set: SetValue[] = [];
  for (const place of settingsBehind({ ...ground, workflow }, at.node)) {
    const value = suits[place.what];
    if (value === null || !isFree({ ...ground, workflow }, place, old?.[place.what] ?? null))
      continue;
    const json = jsonFor(place.input, value);
    if (json === null) continue;
    const next = setInput(workflow, scope, place.node, place.port, json);
    if (next === workflow) continue;
    workflow = next;
    set.push({ node: place.node, port: place.port, what: place.what, value });
  }
  return { workflow, set };
}

/** The model that an input names, its default included. */
function namedIn({ workflow, scope, types }: Ground, { node, port }: Target): string | null {
  const entry = nodeOf(workflow, scope, node);
  const spec = entry && typeOf(types, workflow, entry);
  const input = spec && inputOf(spec, port);
  const written = literalOf(entry?.inputs.get(port));
  const value = written ?? (input ? defaultOf(input) : undefined);
  return typeof value === "string" ? value : null;
}

interface Setting extends Target {
  readonly what: Suited;
  readonly input: InputSpec;
}

/** Settings of the nodes that sample by a model, and of those that make their empty latents. */
function settingsBehind(ground: Ground, loader: string): readonly Setting[] {
  const nodes = nodesOf(ground.workflow, ground.scope);
  const inputs = (name: string) => inputsOf(ground, name);
  const passed = new Set([loader]);
  const found: Setting[] = [];
  for (const name of passed) {
    const steps = inputs(name).find((input) => input.name === "steps");
    if (name !== loader && steps !== undefined) found.push(...settingsIn(name, inputs(name)));
    for (const { from, to } of edgesFrom(nodes, name)) {
      const port = inputs(to.node).find((input) => input.name === to.port);
      if (port?.type === MODEL && isOfModel(ground, from.node, from.port)) passed.add(to.node);
    }
  }
  const samplers = new Set(found.map(({ node }) => node));
  return [...found, ...latentsBefore(ground, samplers)];
}

function settingsIn(node: string, inputs: readonly InputSpec[]): readonly Setting[] {
  return inputs.flatMap((input) => {
    const what = SAMPLING[input.name];
    return what === undefined ? [] : [{ node, port: input.name, what, input }];
  });
}

/** The sizes of what is made of nothing: nodes with a width and a height that take no image. */
function latentsBefore(ground: Ground, samplers: Iterable<string>): readonly Setting[] {
  const nodes = nodesOf(ground.workflow, ground.scope);
  const passed = new Set(samplers);
  const found: Setting[] = [];
  for (const name of passed) {
    const entry = nodes.get(name);
    if (entry === undefined) continue;
    const inputs = inputsOf(ground, name);
    const isMaker = !inputs.some(({ type }) => type === LATENT || type === "Image");
    for (const input of isMaker ? inputs : []) {
      if ((input.name === "width" || input.name === "height") && input.type === "int")
        found.push({ node: name, port: input.name, what: input.name, input });
    }
    for (const { from, to } of edgesInto(name, entry)) {
      if (inputs.find((input) => input.name === to.port)?.type === LATENT) passed.add(from.node);
    }
  }
  return found;
}

function inputsOf({ workflow, scope, types }: Ground, name: string): readonly InputSpec[] {
  const entry = nodeOf(workflow, scope, name);
  return (entry && typeOf(types, workflow, entry)?.inputs) ?? [];
}

function isOfModel({ workflow, scope, types }: Ground, node: string, port: string): boolean {
  const entry = nodeOf(workflow, scope, node);
  const outputs = (entry && typeOf(types, workflow, entry)?.outputs) ?? [];
  const output = port === "" ? outputs[0] : outputs.find(({ name }) => name === port);
  return output?.type === MODEL;
}

/** Whether nobody has set an input: it has no link, and its default or what suited the last model. */
function isFree(
  { workflow, scope }: Ground,
  { node, port, input }: Setting,
  old: number | string | null,
): boolean {
  const written = nodeOf(workflow, scope, node)?.inputs.get(port);
  if (written === undefined) return true;
  if (isLink(written)) return false;
  const value = plain(literalOf(written));
  return value === plain(defaultOf(input)) || (old !== null && value === old);
}

function plain(value: Json | undefined): unknown {
  return numberOf(value) ?? value;
}

/** A value as files write it for an input; null where it can't be given there. */
function jsonFor(input: InputSpec, value: number | string): Json | null {
  const choices = input.json_schema?.enum;
  if (Array.isArray(choices) && !choices.includes(value)) return null;
  if (typeof value === "string") return value;
  return input.type === "float" ? floatJson(value) : Math.round(value);
}
