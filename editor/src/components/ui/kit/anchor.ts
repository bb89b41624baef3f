/** What a menu, popover or tooltip stands beside: an element, or a point of the window. */
export type Anchor = Element | { readonly x: number; readonly y: number };

/** The kit's `anchor`, and how far its boxes stay from the edges of the window. */
export function placedAt(anchor: Anchor) {
  return {
    anchor: anchor instanceof Element ? anchor : atPoint(anchor),
    positionMethod: "fixed",
    collisionPadding: 6,
  } as const;
}

const points = new WeakMap<object, { readonly getBoundingClientRect: () => DOMRect }>();

/** The same object for the same point: the kit would begin anew with another one. */
function atPoint(point: { readonly x: number; readonly y: number }) {
  const known = points.get(point);
  if (known) return known;
  const { x, y } = point;
  const box = { x, y, left: x, right: x, top: y, bottom: y, width: 0, height: 0 } as DOMRect;
  const virtual = { getBoundingClientRect: () => box };
  points.set(point, virtual);
  return virtual;
}

/**
 * The kit's `onOpenChange`. A press on the anchor is the anchor's, which may close it itself; the
 * press takes the focus there before it is a click.
 */
export function closingBy(anchor: Anchor, onClose: () => void) {
  const isOnAnchor = ({ type, target, relatedTarget }: Partial<FocusEvent>) => {
    const at = type === "focusout" ? relatedTarget : target;
    return anchor instanceof Element && at instanceof Node && anchor.contains(at);
  };
  return (isOpen: boolean, { event }: { readonly event: Event }): void => {
    if (!isOpen && (event.type === "keydown" || !isOnAnchor(event))) onClose();
  };
}
