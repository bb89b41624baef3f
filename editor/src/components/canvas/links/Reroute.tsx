/** A point that a link runs through. */
import type { NodeProps } from "@xyflow/react";
import { memo } from "react";
import type { RerouteNode } from "@/components/canvas/adapt";
import { vars } from "@/components/canvas/vars";
import { cx } from "@/components/ui";
import styles from "./Reroute.module.css";

export const Reroute = memo(
  function Reroute({ data, selected }: NodeProps<RerouteNode>) {
    return (
      <div
        className={cx(styles.point, selected && styles.selected)}
        style={vars({ "--port": data.color })}
      />
    );
  },
  (a, b) => a.data === b.data && a.selected === b.selected,
);
