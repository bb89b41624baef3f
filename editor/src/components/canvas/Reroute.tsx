/** A point that a link runs through. */
import type { NodeProps } from "@xyflow/react";
import { memo } from "react";
import { cx } from "@/components/ui";
import type { RerouteNode } from "./adapt";
import styles from "./Reroute.module.css";
import { vars } from "./vars";

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
