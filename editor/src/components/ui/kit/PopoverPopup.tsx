import { Popover } from "@base-ui/react/popover";
import type { ReactNode } from "react";
import { cx } from "../cx";
import { type Anchor, closingBy, placedAt } from "./anchor";
import styles from "./Popover.module.css";
import { useFocus } from "./useFocus";

export interface PopoverProps {
  readonly anchor: Anchor;
  readonly onClose: () => void;
  readonly label: string;
  readonly children: ReactNode;
  readonly side?: "bottom" | "top" | "right" | "left";
  readonly align?: "start" | "center" | "end";
  readonly className?: string | undefined;
  /** False: the focus stays where it is, as for a list of proposals under a field. */
  readonly takesFocus?: boolean;
}

export function PopoverPopup(props: PopoverProps) {
  const { anchor, onClose, label, children, className } = props;
  const { side = "bottom", align = "start", takesFocus = true } = props;
  const focus = useFocus((popup) => popup.querySelector<HTMLElement>("[data-autofocus]") ?? popup);
  return (
    <Popover.Root open onOpenChange={closingBy(anchor, onClose)}>
      <Popover.Portal>
        <Popover.Positioner
          {...placedAt(anchor)}
          side={side}
          align={align}
          sideOffset={6}
          className={styles.positioner}
        >
          <Popover.Popup
            ref={takesFocus ? focus : undefined}
            aria-label={label}
            initialFocus={false}
            finalFocus={false}
            className={cx(styles.popover, "nowheel", className)}
          >
            {children}
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  );
}
