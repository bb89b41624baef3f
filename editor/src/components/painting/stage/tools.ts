/** The tools of the painting canvas, their settings, and their keys. */

export const TOOLS = [
  "brush",
  "eraser",
  "fill",
  "gradient",
  "rectangle",
  "ellipse",
  "lasso",
  "object",
  "picker",
  "move",
  "box",
  "pan",
] as const;

export type ToolName = (typeof TOOLS)[number];

export type SelectionMode = "replace" | "add" | "subtract";

/** Which settings of the brush follow the pressure of a pen. */
export interface PressureSettings {
  readonly size: boolean;
  readonly opacity: boolean;
  readonly flow: boolean;
  readonly hardness: boolean;
}

export interface ToolState {
  readonly name: ToolName;
  /** "#rrggbb", painted with. */
  readonly color: string;
  /** "#rrggbb", the second color of gradients; X swaps both. */
  readonly background: string;
  /** Diameter of brush and eraser in pixels of the canvas, 1 to `LARGEST_SIZE`. */
  readonly size: number;
  /** 0 to 1: part of the radius that is fully painted. */
  readonly hardness: number;
  /** 0 to 1: the most that one stroke, fill or gradient covers. */
  readonly opacity: number;
  /** 0 to 1: what one stamp adds. Below 1 paint builds up within a stroke, up to `opacity`. */
  readonly flow: number;
  readonly pressure: PressureSettings;
  /** 0 to 255: the largest difference of a channel that the bucket fill takes as the same color. */
  readonly tolerance: number;
  /** Whether the bucket fills only what touches the point. */
  readonly contiguous: boolean;
  /** What the bucket and the color picker look at. */
  readonly sample: "layer" | "all";
  readonly gradient: "linear" | "radial";
  /** Whether a gradient ends transparent instead of in `background`. */
  readonly toTransparent: boolean;
  /** What a new selection does to the one that is there. Shift adds and Alt subtracts meanwhile. */
  readonly selecting: SelectionMode;
  /** What selects objects: the name of a model; "edges" for none, "" for the best there is. */
  readonly segmenter: string;
  /** Pixels to which the box snaps: the model's step, 8 if it is not known. */
  readonly snap: number;
}

export const LARGEST_SIZE = 1024;

export const DEFAULT_TOOL: ToolState = {
  name: "brush",
  color: "#000000",
  background: "#ffffff",
  size: 40,
  hardness: 0.8,
  opacity: 1,
  flow: 1,
  pressure: { size: true, opacity: false, flow: false, hardness: false },
  tolerance: 32,
  contiguous: true,
  sample: "all",
  gradient: "linear",
  toTransparent: false,
  selecting: "replace",
  segmenter: "",
  snap: 8,
};

/** The key of each tool while the stage has the focus. */
export const TOOL_KEYS: Readonly<Record<ToolName, string>> = {
  brush: "b",
  eraser: "e",
  fill: "g",
  gradient: "d",
  rectangle: "m",
  ellipse: "o",
  lasso: "l",
  object: "w",
  picker: "i",
  move: "v",
  box: "c",
  pan: "h",
};
