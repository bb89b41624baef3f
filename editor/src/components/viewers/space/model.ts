/** What is drawn in space, as viewers hand it on without knowing three.js. */
import type { Object3D } from "three";

export type Look = "surface" | "wireframe" | "dots";
export type Ground = "light" | "dark";

/** Where it is seen from at first, in degrees. */
export interface Viewpoint {
  readonly azimuth: number;
  readonly elevation: number;
}

export interface Model {
  readonly object: Object3D;
  readonly from: Viewpoint;
  /** Ways of drawing it; none but its own if empty. */
  readonly looks: readonly Look[];
  readonly counts:
    | { readonly kind: "mesh"; readonly corners: number; readonly triangles: number }
    | { readonly kind: "points"; readonly count: number }
    | { readonly kind: "atoms"; readonly atoms: number; readonly bonds: number };
}
