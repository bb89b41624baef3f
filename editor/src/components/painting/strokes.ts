/** Strokes on their way into the workflow: one after the other, so that history has them in order. */
import { type PaintLayer, setPicture } from "@/model/painting";
import { useDocuments } from "@/store/documents";
import { keepPicture } from "@/store/outbox";
import { edit } from "./layerActions";
import type { PaintedPicture } from "./stage/stageProps";

let last: Promise<unknown> = Promise.resolve();

/** A layer has another picture now; gives the value of its file. */
export function paint(
  layer: PaintLayer,
  { blob, placement, label }: PaintedPicture,
): Promise<string> {
  const { active: document } = useDocuments.getState();
  const painted = last.then(async () => {
    const value = await keepPicture(await blob, nameOf(layer));
    // Who has gone to another workflow meanwhile didn't paint there.
    if (useDocuments.getState().active === document) {
      edit(label, ({ ground, canvas }) => setPicture(ground, canvas, layer.node, value, placement));
    }
    return value;
  });
  last = painted.catch(() => undefined);
  return painted;
}

/** Resolves once all strokes that were drawn are in the workflow. */
export async function settled(): Promise<void> {
  await last;
}

/** Take back the last stroke, be it written already or not. */
export async function undoStep(): Promise<void> {
  await settled();
  useDocuments.getState().undo();
}

function nameOf({ title, kind }: PaintLayer): string {
  const plain = title
    .normalize("NFKC")
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .trim();
  return `${plain === "" ? kind : plain.slice(0, 60)}.png`;
}
