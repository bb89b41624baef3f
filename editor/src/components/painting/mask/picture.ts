/** Pictures with their transparency as a mask, as the painter opens and writes them. */
import { decodePng, encodePng, MOST_PIXELS, type Pixels } from "./png";

export class PictureFault extends Error {
  constructor(readonly reason: "missing" | "damaged" | "large") {
    super(reason);
  }
}

/** The pixels behind an address, the hidden colours under transparent ones included. */
export async function readPicture(address: string, signal?: AbortSignal): Promise<Pixels> {
  const answer = await fetch(address, signal === undefined ? {} : { signal });
  if (!answer.ok) throw new PictureFault("missing");
  const blob = await answer.blob();
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return decodePng(bytes) ?? (await drawn(blob));
}

/** What a canvas makes of a file that isn't one of the plain PNGs. */
async function drawn(blob: Blob): Promise<Pixels> {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" }).catch(() => {
    throw new PictureFault("damaged");
  });
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) throw new PictureFault("large");
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new PictureFault("damaged");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { width, height, data: new Uint8Array(context.getImageData(0, 0, width, height).data) };
}

/** The mask that a picture's transparency is: 255 where nothing is opaque. */
export function maskOf({ data }: Pixels): Uint8Array {
  const mask = new Uint8Array(data.length / 4);
  for (let at = 0; at < mask.length; at++) mask[at] = 255 - (data[at * 4 + 3] ?? 255);
  return mask;
}

/** The picture as a PNG whose transparent pixels are the mask; its colours stay as they are. */
export function maskedPng(picture: Pixels, mask: Uint8Array): Uint8Array<ArrayBuffer> {
  const data = picture.data.slice();
  for (let at = 0; at < mask.length; at++) data[at * 4 + 3] = 255 - (mask[at] ?? 0);
  return encodePng({ ...picture, data });
}

/** A name for the masked copy: `apple.jpg` becomes `apple_masked.png`. */
export function maskedName(name: string): string {
  const stem = name.replace(/\.[^./\\]*$/, "").replace(/^.*[/\\]/, "");
  return `${(stem || "picture").replace(/_masked$/, "")}_masked.png`;
}
