/** PNG files of canvases, made by a worker so that the next stroke need not wait. */
import type { EncoderAnswer } from "./encoder.worker";

let worker: Worker | null = null;
let count = 0;
const waiting = new Map<number, { done(blob: Blob): void; failed(problem: Error): void }>();

/** The PNG of a canvas as it is now; it may be changed at once. */
export async function encodePng(canvas: OffscreenCanvas): Promise<Blob> {
  if (typeof Worker === "undefined") return canvas.convertToBlob({ type: "image/png" });
  try {
    const bitmap = await createImageBitmap(canvas);
    return await inWorker(bitmap);
  } catch {
    // A page without workers, or without memory for another copy, still encodes by itself.
    return canvas.convertToBlob({ type: "image/png" });
  }
}

function inWorker(bitmap: ImageBitmap): Promise<Blob> {
  worker ??= started();
  const id = count++;
  const result = new Promise<Blob>((done, failed) => waiting.set(id, { done, failed }));
  worker.postMessage({ id, bitmap }, [bitmap]);
  return result;
}

function started(): Worker {
  const made = new Worker(new URL("./encoder.worker.ts", import.meta.url), { type: "module" });
  made.onmessage = ({ data }: MessageEvent<EncoderAnswer>) => {
    const one = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.blob !== null) one?.done(data.blob);
    else one?.failed(new Error("PNG"));
  };
  made.onerror = () => {
    worker = null;
    for (const one of waiting.values()) one.failed(new Error("PNG"));
    waiting.clear();
  };
  return made;
}
