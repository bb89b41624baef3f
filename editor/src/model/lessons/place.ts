/** Where a lesson's card stands, so that it doesn't cover what it points at. */

export interface Rect {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Extent {
  readonly width: number;
  readonly height: number;
}

export interface Corner {
  readonly left: number;
  readonly top: number;
}

const GAP = 14;
export const MARGIN = 12;

/** The part of a rectangle that lies in another; null if none does. */
export function visiblePart(rect: Rect, within: Rect): Rect | null {
  const left = Math.max(rect.left, within.left);
  const top = Math.max(rect.top, within.top);
  const right = Math.min(rect.left + rect.width, within.left + within.width);
  const bottom = Math.min(rect.top + rect.height, within.top + within.height);
  return right - left < 1 || bottom - top < 1
    ? null
    : { left, top, width: right - left, height: bottom - top };
}

/**
 * The card's corner: below its target if there is room, else above, beside, or in the corner of the
 * area that covers least of the target. Without a target, in the lower left corner.
 *
 * @param area Where it may be: the part of the window that no bar takes.
 */
export function placeCard(target: Rect | null, card: Extent, area: Rect): Corner {
  const corners = cornersOf(card, area);
  if (target === null) return corners[0];
  const right = target.left + target.width + GAP;
  const besides: readonly Corner[] = [
    { left: target.left, top: target.top + target.height + GAP },
    { left: target.left, top: target.top - card.height - GAP },
    { left: right, top: target.top },
    { left: target.left - card.width - GAP, top: target.top },
  ];
  const places = [...besides.map((corner) => bounded(corner, card, area)), ...corners];
  const covered = places.map((corner) => overlap({ ...corner, ...card }, target));
  return places[covered.indexOf(Math.min(...covered))] ?? corners[0];
}

function cornersOf(card: Extent, area: Rect): readonly [Corner, Corner, Corner, Corner] {
  const left = area.left + MARGIN;
  const top = area.top + MARGIN;
  const right = area.left + area.width - card.width - MARGIN;
  const bottom = area.top + area.height - card.height - MARGIN;
  return [
    { left, top: bottom },
    { left: right, top: bottom },
    { left, top },
    { left: right, top },
  ];
}

function bounded({ left, top }: Corner, card: Extent, area: Rect): Corner {
  const within = (value: number, start: number, room: number) =>
    Math.max(start + MARGIN, Math.min(value, start + room - MARGIN));
  return {
    left: within(left, area.left, area.width - card.width),
    top: within(top, area.top, area.height - card.height),
  };
}

function overlap(a: Rect, b: Rect): number {
  const part = visiblePart(a, b);
  return part === null ? 0 : part.width * part.height;
}
