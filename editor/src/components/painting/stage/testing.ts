/** Canvases and layers for tests: jsdom draws nothing, so a canvas only notes what it was asked. */
import { vi } from "vitest";
import type { CanvasBox, PaintCanvas, PaintEntry, PaintLayer } from "@/model/painting/types";

export const TEST_BOX: CanvasBox = {
  node: "box",
  x: 0,
  y: 0,
  width: 512,
  height: 512,
  sampledWidth: 0,
  sampledHeight: 0,
};

export function testLayer(node: string, more: Partial<PaintLayer> = {}): PaintLayer {
  return {
    node,
    kind: "raster",
    title: node,
    picture: { node: `${node}_file`, value: `upload:${node}` },
    source: null,
    placement: { x: 0, y: 0, width: 0, height: 0, rotation: 0 },
    opacity: 1,
    mode: "normal",
    visible: true,
    locked: false,
    alphaLocked: false,
    parent: null,
    ...more,
  };
}

export function testCanvas(...entries: readonly PaintEntry[]): PaintCanvas {
  return { box: TEST_BOX, boxes: ["box"], entries, sampler: null, prompt: null, result: null };
}

/** A canvas all of whose pixels are painted. */
class BlankCanvas {
  constructor(
    public width: number,
    public height: number,
  ) {}

  getContext() {
    return new Proxy(
      {
        getImageData: (_x: number, _y: number, width: number, height: number) => ({
          data: new Uint8ClampedArray(width * height * 4).fill(255),
        }),
      } as Record<string, unknown>,
      { get: (known, name: string) => known[name] ?? (() => undefined) },
    );
  }
}

export function stubCanvases(): void {
  vi.stubGlobal("OffscreenCanvas", BlankCanvas);
  vi.stubGlobal("ImageData", class {});
}
