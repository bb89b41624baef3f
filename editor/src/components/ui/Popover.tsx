import { type ReactNode, useLayoutEffect, useRef } from "react";
import { createPortal } from "react-dom";
import { cx } from "./cx";
import { useOverlayRoot } from "./overlay";
import styles from "./Popover.module.css";
import type { PlaceAlign, PlaceSide } from "./place";
import { type Anchor, useFloating } from "./useFloating";
import { useOutside } from "./useOutside";

interface PopoverProps {
  readonly anchor: Anchor;
  readonly onClose: () => void;
  readonly label: string;
  readonly children: ReactNode;
  readonly side?: PlaceSide;
  readonly align?: PlaceAlign;
  readonly className?: string | undefined;
  /** False: the focus stays where it is, as for a list of proposals under a field. */
  readonly takesFocus?: boolean;
}

/** A small panel beside its anchor; Escape or a click elsewhere closes it. */
export function Popover(props: PopoverProps) {
  const { anchor, onClose, label, children, className } = props;
  const { side = "bottom", align = "start", takesFocus = true } = props;
  const root = useOverlayRoot();
  const box = useRef<HTMLDivElement>(null);
  const style = useFloating(box, anchor, { side, align, gap: 6 });
  const inside = (target: Node) =>
    box.current?.contains(target) === true ||
    (anchor instanceof Element && anchor.contains(target)) ||
    (target instanceof Element && target.closest("[data-menu]") !== null);
  useOutside(inside, onClose);
  // Before it is seen: what is typed at the sight of it goes into it.
  useLayoutEffect(() => {
    if (!takesFocus) return;
    const before = document.activeElement;
    const first = box.current?.querySelector<HTMLElement>("[data-autofocus]") ?? box.current;
    first?.focus({ preventScroll: true });
    return () => {
      if (before instanceof HTMLElement && before.isConnected)
        before.focus({ preventScroll: true });
    };
  }, [takesFocus]);
  return createPortal(
    <div
      ref={box}
      role="dialog"
      aria-label={label}
      tabIndex={-1}
      className={cx(styles.popover, "nowheel", className)}
      style={style}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        event.stopPropagation();
        onClose();
      }}
    >
      {children}
    </div>,
    root,
  );
}
