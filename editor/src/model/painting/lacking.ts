/** Layers that a run would stop at, as what applies them has no model. */
import { literalOf } from "../links";
import { type PaintGround, wiring } from "./ground";
import { isLayer, type PaintCanvas, type PaintLayer } from "./types";

/** The input in which a layer's model is chosen. */
export interface ModelPort {
  readonly node: string;
  readonly port: string;
  /** The type of the node, by which lists of models name what it loads. */
  readonly type: string;
  /** Empty where none is chosen. */
  readonly model: string;
}

/** The input of each node that loads such a model. */
const LOADERS: Readonly<Record<string, string>> = {
  LoadControlNet: "control_net",
  LoadIPAdapter: "ip_adapter",
  LoadRedux: "redux",
};

/** Where the model of a control or reference layer is chosen; null for one that takes none. */
export function modelPortOf(ground: PaintGround, { control }: PaintLayer): ModelPort | null {
  const own = wiring(ground);
  const apply = control ? own.spec(control.apply) : null;
  for (const { name } of apply?.inputs ?? []) {
    const link = own.resolved({ node: control?.apply ?? "", port: name });
    const entry = link && own.entry(link.node);
    const port = entry && LOADERS[entry.type];
    // Pictures, prompts and the model that samples come from elsewhere.
    if (!link || !entry || !port) continue;
    const value = literalOf(entry.inputs.get(port));
    const model = typeof value === "string" ? value : "";
    return { node: link.node, port, type: entry.type, model };
  }
  return null;
}

/** Visible layers whose model is not chosen, or is none that the server has. */
export function lackingModels(
  ground: PaintGround,
  canvas: PaintCanvas,
  has: (port: ModelPort) => boolean,
): readonly PaintLayer[] {
  return canvas.entries.filter(isLayer).filter((layer) => {
    if (!layer.visible || (layer.kind !== "control" && layer.kind !== "reference")) return false;
    const port = modelPortOf(ground, layer);
    return port !== null && !has(port);
  });
}
