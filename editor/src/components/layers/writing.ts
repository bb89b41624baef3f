/** Writing the layers of a picture into the graph: what was painted becomes files, and all of it nodes. */
import { upload } from "@/api/client";
import type { ArtifactEntry } from "@/api/schema";
import { takeLayers } from "@/components/results/taking";
import {
  drawStrokes,
  isPainted,
  type Margins,
  type PaintedLayer,
  type Stroke,
} from "@/model/strokes";

export interface PaintedPicture {
  readonly artifact: ArtifactEntry;
  readonly node: string | null;
  readonly frame: Margins;
  readonly strokes: readonly Stroke[];
  readonly reference: string | null;
}

export async function writeLayers(picture: PaintedPicture): Promise<void> {
  const { artifact, node, frame, reference } = picture;
  const mask = await brought(picture, "mask");
  const sketch = await brought(picture, "sketch");
  await takeLayers(artifact, node, { frame, mask, sketch, reference });
}

/** A layer as an upload of the frame's size; null if nothing was painted on it. */
async function brought(picture: PaintedPicture, layer: PaintedLayer): Promise<string | null> {
  const { artifact, frame, strokes } = picture;
  if (!isPainted(strokes, layer)) return null;
  const canvas = document.createElement("canvas");
  canvas.width = (artifact.width ?? 512) + frame.left + frame.right;
  canvas.height = (artifact.height ?? 512) + frame.top + frame.bottom;
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("2d");
  drawStrokes(context, strokes, layer, frame, layer === "mask" ? "#ffffff" : null);
  if (layer === "mask") {
    // White on black: transparency would count instead.
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "#000000";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob === null) throw new Error("PNG");
  const stem = artifact.name.replace(/\.[^.]*$/, "");
  return (await upload(blob, { name: `${stem}_${layer}.png` })).value;
}
