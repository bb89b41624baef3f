/** The raster layers of a canvas as a file with layers, written by a node of the graph. */
import { hasTypes } from "../recipes/chain";
import { added } from "./framing";
import { chains, type Edited, type PaintGround, shortened, wiring } from "./ground";
import { SAVE, written } from "./nodes";
import type { PaintCanvas } from "./types";

export type LayerFormat = "ora" | "psd";

/** A node that saves all raster layers in a format: the one that is there, or a new one. */
export function exportLayers(
  ground: PaintGround,
  canvas: PaintCanvas,
  format: LayerFormat,
): Edited {
  const refused = { workflow: ground.workflow, node: null };
  const chain = chains(ground, canvas.box.node).find(({ kind }) => kind === "raster");
  const own = wiring(ground);
  const layers = chain && own.resolved({ node: chain.flatten, port: "layers" });
  if (!layers || !hasTypes(ground.types, [SAVE])) return refused;
  const known = own.targets(layers).find(({ node }) => {
    const entry = own.entry(node);
    return entry?.type === SAVE && (entry.inputs.get("format") ?? "ora") === format;
  });
  if (known) return { workflow: ground.workflow, node: known.node };
  const inputs = { layers: shortened(ground, layers), format: written("format", format) };
  const made = added(ground, [{ key: "save", type: SAVE, inputs }], canvas.box.node);
  return { workflow: made.ground.workflow, node: made.names.get("save") ?? null };
}
