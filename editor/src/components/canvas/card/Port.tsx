/** One port of a card: its dot, which links are drawn from and to, and its label. */
import { Handle, Position } from "@xyflow/react";
import { memo } from "react";
import { cx, tip } from "@/components/ui";
import { t } from "@/i18n";
import type { PortView } from "./card";
import styles from "./Port.module.css";

export type PortMatch = "none" | "fits" | "unfit" | "start";

interface PortProps {
  readonly port: PortView;
  readonly side: "input" | "output";
  readonly match: PortMatch;
  readonly problem: string | null;
  /** Whether a problem is only told, and not marked. */
  readonly quiet?: boolean;
  /** Whether links can be drawn here: cards far away and those not yet drawn in full show it only. */
  readonly live: boolean;
  /** Distance of the dot's middle from the top of the card. */
  readonly y: number;
  readonly hasLabel?: boolean;
  /** Whether no port stands on the other side of its row, so that its label may take all of it. */
  readonly isAlone?: boolean;
}

export const Port = memo(function Port({
  port,
  side,
  match,
  problem,
  quiet = false,
  live,
  y,
  hasLabel = true,
  isAlone = false,
}: PortProps) {
  const isWrong = problem !== null && !quiet;
  const classes = cx(
    styles.dot,
    styles[side],
    port.linked && styles.linked,
    port.type.startsWith("list[") && styles.list,
    (port.unknown || isWrong) && styles.wrong,
    match !== "none" && styles[match],
  );
  const style = { top: y, "--port": port.color };
  const text = portText(port, side, problem);
  const type = side === "input" ? "target" : "source";
  return (
    <>
      {live ? (
        <Handle
          type={type}
          id={port.name}
          position={side === "input" ? Position.Left : Position.Right}
          className={classes}
          style={style}
          data-port={port.name}
          role="img"
          aria-label={text}
          {...tip(text)}
        />
      ) : (
        <span className={classes} style={style} aria-hidden="true" />
      )}
      {hasLabel && (
        <span
          className={cx(
            styles.label,
            styles[`${side}Label`],
            isAlone && styles.aloneLabel,
            port.required && !port.linked && styles.required,
            isWrong && styles.wrongLabel,
            match !== "none" && styles[`${match}Label`],
          )}
          style={{ top: y }}
          data-input={side === "input" ? port.name : undefined}
          data-output={side === "output" ? port.name : undefined}
          {...(live ? tip(text) : {})}
        >
          {port.label}
        </span>
      )}
    </>
  );
});

function portText(port: PortView, side: "input" | "output", problem: string | null): string {
  const type = t(`canvas.port.${side}`, { name: port.label, type: port.type });
  const more = port.unknown ? t("canvas.port.unknown") : (problem ?? port.help);
  return more === "" ? type : `${type}\n${more}`;
}
