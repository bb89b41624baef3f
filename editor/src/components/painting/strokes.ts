/** Strokes on their way into the workflow: one after the other, so that history has them in order. */
import { type PaintLayer, setPicture } from "@/model/painting";
import { currentScope, documentById, useDocuments } from "@/store/documents";
import { keepPicture } from "@/store/outbox";
import { strokesDrawn, whileDrawn } from "@/store/strokes";
import { editOf } from "./layerActions";
import type { PaintedPicture } from "./stage/stageProps";

/** A layer has another picture now; gives the value of its file. */
export function paint(
  layer: PaintLayer,
  { blob, placement, label, merge }: PaintedPicture,
): Promise<string> {
  const { active: document } = useDocuments.getState();
  const drawn = documentById(document);
  const scope = drawn && currentScope(drawn);
  return whileDrawn(async () => {
    const value = await keepPicture(await blob, nameOf(layer));
    // Where it was drawn, even if another workflow or a block of this one is shown by now.
    editOf(
      { document, scope },
      label,
      ({ ground, canvas }) => setPicture(ground, canvas, layer.node, value, placement),
      merge,
    );
    return value;
  });
}

/** Take back the last stroke, be it written already or not. */
export async function undoStep(): Promise<void> {
  await strokesDrawn();
  useDocuments.getState().undo();
}

function nameOf({ title, kind }: PaintLayer): string {
  const plain = title
    .normalize("NFKC")
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .trim();
  return `${plain === "" ? kind : plain.slice(0, 60)}.png`;
}
