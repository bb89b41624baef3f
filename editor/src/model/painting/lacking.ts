/** Layers that a run would stop at, as what applies them has no model. */
import { literalOf } from "../links";
import { widgetOf } from "../widgets";
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

/** Where the model of a control or reference layer is chosen; null for one that takes none. */
export function modelPortOf(ground: PaintGround, { control }: PaintLayer): ModelPort | null {
  const own = wiring(ground);
  const apply = control ? own.spec(control.apply) : null;
  for (const { name } of apply?.inputs ?? []) {
    const link = own.resolved({ node: control?.apply ?? "", port: name });
    const spec = link && own.spec(link.node);
    const entry = link && own.entry(link.node);
    // Pictures, prompts and the model that samples come from elsewhere.
    if (!spec || !entry || !LOADERS.has(entry.type)) continue;
    const input = spec.inputs.find((each) => {
      const widget = widgetOf(each);
      return widget?.kind === "file" && widget.file === "model";
    });
    if (input === undefined || link === null) continue;
    const value = literalOf(entry.inputs.get(input.name));
    const model = typeof value === "string" ? value : "";
    return { node: link.node, port: input.name, type: entry.type, model };
  }
  return null;
}

const LOADERS = new Set(["LoadControlNet", "LoadIPAdapter", "LoadRedux"]);

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
