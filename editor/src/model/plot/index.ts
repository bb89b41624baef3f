/** Plots: their values, their axes, and what is drawn of them. */
export {
  type Axis,
  pixelOf,
  type Span,
  ticksOf,
  tickText,
  valueAt,
  valueText,
  widened,
} from "./axis";
export { cut, type NameLook, nameAt, nameLook } from "./names";
export { bandPath, barWidth, extentOf, linePath, nearestPoint, placesOf, smoothed } from "./shape";
export { type AxisScale, type Plot, readPlot, type Series, type SeriesKind } from "./value";
