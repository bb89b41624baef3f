/** A picture's place in a window: how large, and how far its centre is from the window's. */

export interface View {
  /** Screen pixels per picture pixel. */
  readonly scale: number;
  /** Screen pixels from the window's centre to the picture's. */
  readonly x: number;
  readonly y: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export const LARGEST = 64;

/** The scale at which the whole picture is seen; small ones are enlarged by whole numbers only. */
export function fitScale(picture: Size, frame: Size): number {
  if (picture.width <= 0 || picture.height <= 0) return 1;
  const scale = Math.min(frame.width / picture.width, frame.height / picture.height);
  if (!(scale > 0)) return 1;
  return scale >= 2 ? Math.floor(scale) : scale;
}

/** `view` with `factor` times the scale, keeping what lies at `point` (from the centre) there. */
export function zoomAt(
  view: View,
  factor: number,
  point: { x: number; y: number },
  smallest: number,
): View {
  const scale = clamp(view.scale * factor, smallest, LARGEST);
  const ratio = scale / view.scale;
  return {
    scale,
    x: point.x - (point.x - view.x) * ratio,
    y: point.y - (point.y - view.y) * ratio,
  };
}

/** `view` moved so that no more of the frame stays empty than has to. */
export function contained(view: View, picture: Size, frame: Size): View {
  const slack = (length: number, room: number) => Math.max(0, (length * view.scale - room) / 2);
  const x = slack(picture.width, frame.width);
  const y = slack(picture.height, frame.height);
  return { scale: view.scale, x: clamp(view.x, -x, x), y: clamp(view.y, -y, y) };
}

/** The scale one step up or down, on round numbers: …, 50 %, 100 %, 200 %, … */
export function nextScale(scale: number, direction: 1 | -1): number {
  const exponent = Math.log2(scale) * 2;
  const step = direction > 0 ? Math.floor(exponent + 1.001) : Math.ceil(exponent - 1.001);
  return 2 ** (step / 2);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, Math.min(low, high)), high);
}
