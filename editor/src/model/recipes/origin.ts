/** What made a picture: the sampler it comes from, with its model and prompts, and the VAE. */
import { upstream } from "../graph";
import type { Json } from "../json";
import { isLink, linkJson, linkOf } from "../links";
import { nodesOf } from "../scope";
import { inputOf, type NodeSpec, type NodeTypes, typeOf } from "../spec";
import type { NodeEntry, Workflow } from "../workflow";
import type { Ground } from "./chain";

export interface Origin {
  /** The sampler's type and inputs. */
  readonly sampler: NodeEntry;
  /** The link to the VAE that made pixels of it; undefined where none is found. */
  readonly vae: Json | undefined;
}

/**
 * What made the pictures of a node, or else the last sampler of the graph.
 *
 * Returns null for a graph in which nothing is sampled.
 */
export function originOf(ground: Ground, node: string | null): Origin | null {
  const { workflow, scope, types } = ground;
  const nodes = nodesOf(workflow, scope);
  const before = node !== null && nodes.has(node) ? [...upstream(nodes, [node])] : [];
  for (const names of [before, [...nodes.keys()].reverse()]) {
    const samplers = names.filter((name) => isSampler(specIn(ground, name)));
    // Of several passes the last one, which no other one goes on from.
    const isFirst = (name: string) =>
      samplers.some((other) => other !== name && upstream(nodes, [other]).has(name));
    const found = samplers.find((name) => !isFirst(name)) ?? samplers[0];
    const sampler = found === undefined ? undefined : nodes.get(found);
    if (sampler === undefined) continue;
    return { sampler, vae: vaeLink(ground, names) ?? modelsVae(workflow, types, ground, sampler) };
  }
  return null;
}

function specIn({ workflow, scope, types }: Ground, name: string): NodeSpec | null {
  const entry = nodesOf(workflow, scope).get(name);
  return entry ? typeOf(types, workflow, entry) : null;
}

/** Whether it makes a latent of a model, a prompt and a latent. */
export function isSampler(spec: NodeSpec | null): boolean {
  if (spec === null) return false;
  const takes = (name: string, type: string) => inputOf(spec, name)?.type === type;
  return (
    takes("model", "DiffusionModel") &&
    takes("positive", "Conditioning") &&
    takes("latent", "Latent") &&
    spec.outputs.some((output) => output.type === "Latent")
  );
}

function vaeLink(ground: Ground, names: readonly string[]): Json | undefined {
  const nodes = nodesOf(ground.workflow, ground.scope);
  for (const name of names) {
    const port = specIn(ground, name)?.inputs.find((input) => input.type === "Vae");
    const value = port && nodes.get(name)?.inputs.get(port.name);
    if (isLink(value)) return value;
  }
  return undefined;
}

/** The VAE that comes with the model, where no node of the graph uses one. */
function modelsVae(
  workflow: Workflow,
  types: NodeTypes,
  ground: Ground,
  sampler: NodeEntry,
): Json | undefined {
  const nodes = nodesOf(workflow, ground.scope);
  const model = linkOf(sampler.inputs.get("model"));
  if (model === null) return undefined;
  for (const name of upstream(nodes, [model.node])) {
    const entry = nodes.get(name);
    const vae = entry && typeOf(types, workflow, entry)?.outputs.find((o) => o.type === "Vae");
    if (vae) return linkJson({ node: name, port: vae.name });
  }
  return undefined;
}
