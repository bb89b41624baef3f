/** Strokes on their way into the workflow: one after the other, so that history has them in order. */
import { isLayer, type PaintLayer, setPicture } from "@/model/painting";
import { useDocuments } from "@/store/documents";
import { keepPicture } from "@/store/outbox";
import { forgetStroke, lostStrokes, missingIn, writeAhead } from "@/store/strokeJournal";
import { strokesDrawn, whileDrawn } from "@/store/strokes";
import { concurrent, type PaintedGraph } from "./concurrent";
import { editOf, here } from "./layerActions";
import { pictureName } from "./pictures";
import { KeptEdit } from "./stage/pixels/keptEdit";
import type { PaintedPicture, StageHandle } from "./stage/stageProps";

/** Milliseconds between looks whether a layer is loaded, and how many. */
const RETRY = 100;
const MOST_TRIES = 300;

/** A layer has another picture now; gives the value of its file. */
export function paint(
  { document, scope }: PaintedGraph,
  layer: PaintLayer,
  { blob, placement, label, edit, merge }: PaintedPicture,
): Promise<string> {
  const kept = KeptEdit.of(edit);
  const { operation, opacity, bounds: rect, bytes } = kept;
  const drawnOn = layer.picture?.value ?? null;
  // What is one step with another edit is lost with it, and not half done.
  const written =
    merge === undefined && drawnOn !== null
      ? writeAhead({
          ...{ operation, opacity, rect, bytes, document, scope, label },
          ...{ node: layer.node, before: drawnOn },
        })
      : null;
  return whileDrawn(async () => {
    const value = await keepPicture(await blob, pictureName(layer)).catch((fault: unknown) => {
      void written?.(null);
      throw fault;
    });
    // Where it was drawn, even if another workflow or a block of this one is shown by now.
    concurrent.add({ document, scope }, layer, { drawnOn, value, edit: kept });
    editOf(
      { document, scope },
      label,
      ({ ground, canvas }) => setPicture(ground, canvas, layer.node, value, placement),
      merge,
    );
    concurrent.written({ document, scope }, layer.node, value);
    void written?.(value);
    return value;
  });
}

/** Draw what an earlier page has lost, once the layers are there to be drawn on. */
export async function drawLost({ document, scope }: PaintedGraph, stage: () => StageHandle | null) {
  const entries = here()?.canvas.entries.filter(isLayer) ?? [];
  const lost = await lostStrokes(document, scope, (node) => pictureIn(entries, node));
  const drawn = new Set<string>();
  for (const { key, node, operation, opacity, rect, bytes, label } of lost) {
    const edit = new KeptEdit(operation, opacity, rect, bytes);
    const ofLayer = lost.filter((each) => each.node === node);
    // The server may answer meanwhile that it had the stroke: drawn twice it would be darker.
    const isShown = () => {
      const value = stage() === null || drawn.has(node) ? null : pictureNow(node);
      return value !== null && missingIn(ofLayer, value).every((each) => each.key !== key);
    };
    for (let tries = 0; !isShown(); tries++) {
      if (stage()?.draw(node, edit, label) === true) {
        drawn.add(node);
        break;
      }
      // A layer that is hidden or gone by now keeps what it has.
      if (tries >= MOST_TRIES) return;
      await new Promise((done) => setTimeout(done, RETRY));
    }
    await forgetStroke(key);
  }
}

function pictureNow(node: string): string | null {
  return pictureIn(here()?.canvas.entries.filter(isLayer) ?? [], node);
}

function pictureIn(layers: readonly PaintLayer[], node: string): string | null {
  return layers.find((each) => each.node === node)?.picture?.value ?? null;
}

/** Take back the last stroke, be it written already or not. */
export async function undoStep(): Promise<void> {
  await strokesDrawn();
  useDocuments.getState().undo();
}
