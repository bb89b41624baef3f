/** Encodes bitmaps as PNG, away from the thread that paints. */

export interface EncoderRequest {
  readonly id: number;
  readonly bitmap: ImageBitmap;
}

export interface EncoderAnswer {
  readonly id: number;
  /** Null if the browser cannot encode it. */
  readonly blob: Blob | null;
}

// A page's `self` posts to windows, a worker's to its page: the types here are those of a page.
const page = self as unknown as { postMessage(answer: EncoderAnswer): void };

self.onmessage = async ({ data: { id, bitmap } }: MessageEvent<EncoderRequest>) => {
  try {
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    bitmap.close();
    page.postMessage({ id, blob: await canvas.convertToBlob({ type: "image/png" }) });
  } catch {
    page.postMessage({ id, blob: null });
  }
};
