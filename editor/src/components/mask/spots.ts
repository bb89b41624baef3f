/** A point: of the window, or of a picture in its pixels. */
export interface Spot {
  readonly x: number;
  readonly y: number;
}
