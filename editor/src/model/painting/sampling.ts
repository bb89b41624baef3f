/** What samples a canvas: its sampler, the sampler's prompt, and the node that shows results. */
import { upstream } from "../graph";
import { numberOf } from "../json";
import { isLink, type Link, literalOf } from "../links";
import { inputOf, type NodeSpec } from "../spec";
import { type Chain, isSampled } from "./chains";
import { numberAt } from "./nodes";
import type { CanvasPrompt, CanvasSampler } from "./types";
import type { Wiring } from "./wiring";

/** The sampler that the pictures of the box come to, or else what the box gives its size to. */
export function samplerOf(
  wiring: Wiring,
  box: string,
  chains: readonly Chain[],
): CanvasSampler | null {
  for (const link of startsOf(box, chains)) {
    const reached = wiring.flow(link, ["Image", "Mask", "Latent"]);
    const found = reached.find((each) => isSampled(wiring, each));
    if (found) return settingsOf(wiring, found.node);
  }
  return null;
}

function startsOf(box: string, chains: readonly Chain[]): readonly Link[] {
  const of = (kind: Chain["kind"], port: string) =>
    chains.flatMap((each) => (each.kind === kind ? [{ node: each.flatten, port }] : []));
  return [
    ...of("raster", "image"),
    { node: box, port: "width" },
    { node: box, port: "height" },
    ...of("mask", "mask"),
  ];
}

function settingsOf(wiring: Wiring, node: string): CanvasSampler | null {
  const entry = wiring.entry(node);
  if (entry === null) return null;
  const number = (port: string) => {
    const value = entry.inputs.get(port);
    return isLink(value) ? null : numberOf(literalOf(value));
  };
  return {
    node,
    denoise: numberAt(entry, "denoise", 1),
    seed: number("seed"),
    steps: number("steps"),
  };
}

/** Ports through which a prompt goes on; of several prompts that are combined the first one. */
const POSITIVE = ["positive", "conditioning", "first"];

/** The sampler's prompt for the whole image; prompts of regions are skipped. */
export function promptOf(wiring: Wiring, sampler: string): CanvasPrompt | null {
  return textBehind(wiring, { node: sampler, port: "positive" });
}

/** The text that a conditioning is made of; null where it comes from elsewhere. */
export function textBehind(
  wiring: Wiring,
  to: { readonly node: string; readonly port: string },
  seen: ReadonlySet<string> = new Set(),
): CanvasPrompt | null {
  const link = wiring.resolved(to);
  const spec = link && wiring.spec(link.node);
  if (!link || !spec || seen.has(link.node)) return null;
  const own = textIn(wiring, link.node, spec);
  if (own) return own;
  const passed = new Set(seen).add(link.node);
  const ways = spec.inputs.filter(({ type }) => type === "Conditioning");
  const isWay = (name: string) => name === link.port || POSITIVE.includes(name);
  for (const { name } of [...ways.filter((port) => isWay(port.name)), ...ways]) {
    const next = wiring.resolved({ node: link.node, port: name });
    const isRegion = next !== null && wiring.entry(next.node)?.type === "MaskConditioning";
    const found = isRegion ? null : textBehind(wiring, { node: link.node, port: name }, passed);
    if (found) return found;
  }
  return null;
}

function textIn(wiring: Wiring, node: string, spec: NodeSpec): CanvasPrompt | null {
  const ports = ["text", "prompt"].filter((name) => inputOf(spec, name)?.type === "str");
  for (const port of ports) {
    const value = wiring.entry(node)?.inputs.get(port);
    if (!isLink(value)) {
      const text = literalOf(value);
      return { node, port, text: typeof text === "string" ? text : "" };
    }
    const link = wiring.resolved({ node, port });
    const from = link && wiring.spec(link.node);
    const texts = from?.inputs.filter(({ type }) => type === "str") ?? [];
    const [only, ...others] = texts;
    const text = link && only && literalOf(wiring.entry(link.node)?.inputs.get(only.name));
    if (link && only && others.length === 0 && typeof text === "string")
      return { node: link.node, port: only.name, text };
  }
  return null;
}

/** The node that shows or saves what a canvas gives: of several the last one. */
export function resultOf(
  wiring: Wiring,
  sampler: string | null,
  chains: readonly Chain[],
): string | null {
  const raster = chains.find(({ kind }) => kind === "raster");
  const start: Link | null =
    sampler !== null
      ? { node: sampler, port: "latent" }
      : raster
        ? { node: raster.flatten, port: "image" }
        : null;
  if (start === null) return null;
  const shown = wiring.flow(start, ["Latent", "Image"]).filter(({ node, isHere, port }) => {
    const spec = isHere ? wiring.spec(node) : null;
    return spec?.output === true && inputOf(spec, port)?.type.includes("Image") === true;
  });
  const last = shown.reduce<(typeof shown)[number] | null>(
    (best, each) => (best && best.depth >= each.depth ? best : each),
    null,
  );
  return last?.node ?? null;
}

/** Whether a node takes part in what a sampler is given. */
export function feeds(wiring: Wiring, node: string, sampler: string | null): boolean {
  return sampler === null || upstream(wiring.nodes, [sampler]).has(node);
}
