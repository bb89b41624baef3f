/** Finding a place on the screen for something that belongs to something else. */

export type PlaceSide = "bottom" | "top" | "right" | "left";
export type PlaceAlign = "start" | "center" | "end";

export interface Rect {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Placing {
  readonly side: PlaceSide;
  readonly align: PlaceAlign;
  readonly gap: number;
}

const MARGIN = 6;

/** The left and top corner for a box beside an anchor: the other side where there is more room. */
export function place(
  anchor: Rect,
  box: Size,
  view: Size,
  placing: Placing,
): { left: number; top: number } {
  const side = roomier(anchor, box, view, placing);
  const right = anchor.left + anchor.width;
  const bottom = anchor.top + anchor.height;
  const along = (start: number, length: number, own: number) =>
    placing.align === "start"
      ? start
      : placing.align === "end"
        ? start + length - own
        : start + (length - own) / 2;
  const corner = {
    bottom: { left: along(anchor.left, anchor.width, box.width), top: bottom + placing.gap },
    top: {
      left: along(anchor.left, anchor.width, box.width),
      top: anchor.top - placing.gap - box.height,
    },
    right: { left: right + placing.gap, top: along(anchor.top, anchor.height, box.height) },
    left: {
      left: anchor.left - placing.gap - box.width,
      top: along(anchor.top, anchor.height, box.height),
    },
  }[side];
  return {
    left: inside(corner.left, box.width, view.width),
    top: inside(corner.top, box.height, view.height),
  };
}

function roomier(anchor: Rect, box: Size, view: Size, { side, gap }: Placing): PlaceSide {
  const room = {
    bottom: view.height - anchor.top - anchor.height - gap - box.height,
    top: anchor.top - gap - box.height,
    right: view.width - anchor.left - anchor.width - gap - box.width,
    left: anchor.left - gap - box.width,
  };
  const other = ({ bottom: "top", top: "bottom", right: "left", left: "right" } as const)[side];
  return room[side] >= MARGIN || room[side] >= room[other] ? side : other;
}

function inside(start: number, length: number, view: number): number {
  return Math.max(MARGIN, Math.min(start, view - length - MARGIN));
}
