/** Reference pictures of a sampler: for an IP-Adapter, for Redux, or as reference latents. */
import { layoutOf } from "../layout";
import { isSampler } from "../recipes/origin";
import { LOAD, numberAt, valueAt } from "./nodes";
import { feeds } from "./sampling";
import { AT_ORIGIN, type PaintLayer } from "./types";
import type { Reached, Wiring } from "./wiring";

/** The node types that take a reference, with the inputs for the picture and for its weight. */
const TAKES: Readonly<Record<string, { readonly port: string; readonly weight: string | null }>> = {
  ApplyIPAdapter: { port: "image", weight: "weight" },
  ApplyRedux: { port: "image", weight: "strength" },
  ReferenceLatents: { port: "latent", weight: null },
};

/** The input for the weight of a reference; null where its node has none. */
export function weightPort(type: string): string | null {
  return TAKES[type]?.weight ?? null;
}

/** @param taken LoadImage nodes that are pictures of layers. */
export function referencesOf(
  wiring: Wiring,
  sampler: string | null,
  taken: ReadonlySet<string>,
): readonly PaintLayer[] {
  const { locked } = layoutOf(wiring.workflow, wiring.scope);
  return [...wiring.nodes].flatMap(([node, entry]) => {
    if (entry.type !== LOAD || taken.has(node)) return [];
    const reached = userOf(wiring, node, sampler);
    const apply = reached && wiring.entry(reached.node);
    if (!reached || !apply) return [];
    const value = valueAt(entry, "path");
    const weight = weightPort(apply.type);
    const strength = weight === null ? 1 : numberAt(apply, weight, 1);
    return [
      {
        node,
        kind: "reference" as const,
        title: entry.label,
        picture: { node, value: typeof value === "string" ? value : "" },
        source: null,
        placement: AT_ORIGIN,
        opacity: 1,
        mode: "normal",
        visible: apply.mode === null && entry.mode === null,
        locked: locked.has(node),
        alphaLocked: false,
        parent: null,
        control: { apply: reached.node, preprocessor: null, strength, start: 0, end: 1 },
      },
    ];
  });
}

/** The node that takes a picture as a reference of the canvas's sampler. */
function userOf(wiring: Wiring, node: string, sampler: string | null): Reached | null {
  const flow = wiring.flow({ node, port: "image" }, ["Image", "Latent"]);
  const isUse = ({ type, port, isHere, passed, node: user }: Reached) =>
    isHere &&
    TAKES[type]?.port === port &&
    !passed.some((name) => isSampler(wiring.spec(name))) &&
    feeds(wiring, user, sampler);
  return flow.find(isUse) ?? null;
}
