import { Tooltip } from "@base-ui/react/tooltip";
import { useEffect } from "react";
import { keyText } from "@/commands/keys";
import { placedAt } from "./anchor";
import styles from "./Tooltip.module.css";

interface Props {
  readonly target: HTMLElement;
}

const ID = "tooltip";

/** The text that an element has in `data-tip`, beside it. */
export function TooltipPopup({ target }: Props) {
  const text = target.dataset.tip ?? "";
  const [first = "", ...rest] = text.split("\n");
  const names = text === target.getAttribute("aria-label");
  useEffect(() => {
    if (names || target.hasAttribute("aria-describedby")) return;
    target.setAttribute("aria-describedby", ID);
    return () => target.removeAttribute("aria-describedby");
  }, [names, target]);
  return (
    <Tooltip.Root open>
      {/* Its text is read with what it describes, and stands in no landmark. */}
      <Tooltip.Portal aria-hidden>
        <Tooltip.Positioner
          {...placedAt(target)}
          side={target.dataset.tipSide === "right" ? "right" : "bottom"}
          sideOffset={7}
          className={styles.positioner}
        >
          <Tooltip.Popup id={ID} role="tooltip" className={styles.tip}>
            <span className={rest.length > 0 ? styles.title : undefined}>{first}</span>
            {target.dataset.tipKeys && (
              <kbd className={styles.keys}>{keyText(target.dataset.tipKeys)}</kbd>
            )}
            {rest.length > 0 && <div className={styles.rest}>{rest.join("\n")}</div>}
          </Tooltip.Popup>
        </Tooltip.Positioner>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}
