/** What stands on the painting canvas of a workflow; each entry is a node of its graph. */

export type LayerKind = "raster" | "mask" | "control" | "reference" | "region";

/** Where a picture lies on the canvas, in its pixels. */
export interface Placement {
  readonly x: number;
  readonly y: number;
  /** 0: the picture's own. */
  readonly width: number;
  readonly height: number;
  /** Degrees clockwise about the middle. */
  readonly rotation: number;
}

export interface PaintLayer {
  /** Its AddLayer; of a reference its LoadImage. */
  readonly node: string;
  readonly kind: LayerKind;
  readonly title: string;
  /** The LoadImage that is painted on; null if `source` computes the picture. */
  readonly picture: { readonly node: string; readonly value: string } | null;
  /** The node whose result is the picture. */
  readonly source: string | null;
  readonly placement: Placement;
  readonly opacity: number;
  readonly mode: string;
  readonly visible: boolean;
  readonly locked: boolean;
  /** Its GroupLayers. */
  readonly parent: string | null;
  readonly control?: {
    readonly apply: string;
    readonly preprocessor: string | null;
    readonly strength: number;
    readonly start: number;
    readonly end: number;
  };
  readonly region?: { readonly prompt: string; readonly text: string };
}

export interface PaintGroup {
  readonly node: string;
  readonly kind: LayerKind;
  readonly title: string;
  readonly opacity: number;
  readonly mode: string;
  readonly visible: boolean;
  readonly parent: string | null;
}

/** The part of the canvas that is generated. */
export interface CanvasBox {
  readonly node: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** Pixels at which it is generated; 0: as the box. */
  readonly sampledWidth: number;
  readonly sampledHeight: number;
}

export interface PaintCanvas {
  readonly box: CanvasBox;
  /** Bottom first, a group after what it holds. */
  readonly entries: readonly (PaintLayer | PaintGroup)[];
  readonly sampler: {
    readonly node: string;
    readonly denoise: number;
    readonly seed: number | null;
    readonly steps: number | null;
  } | null;
  /** The positive one. */
  readonly prompt: { readonly node: string; readonly port: string; readonly text: string } | null;
  /** The node whose results are the candidates. */
  readonly result: string | null;
}
