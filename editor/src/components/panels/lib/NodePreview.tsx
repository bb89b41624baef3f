/** A node type drawn small: its title and coloured ports, those that fit marked. */
import { colorOf } from "@/model/compat";
import type { NodeSpec, NodeTypes } from "@/model/spec";
import styles from "./NodePreview.module.css";

interface Props {
  readonly types: NodeTypes;
  readonly spec: NodeSpec;
  /** Ports to be linked to; the one in `chosen` above all. */
  readonly fitting?: readonly string[];
  readonly side?: "input" | "output";
  readonly chosen?: string | null;
}

export function NodePreview({ types, spec, fitting = [], side, chosen = null }: Props) {
  const mark = (port: string, on: "input" | "output") => {
    if (on !== side) return undefined;
    if (port === chosen) return "chosen";
    return fitting.includes(port) ? "fits" : undefined;
  };
  return (
    <div className={styles.card} aria-hidden="true">
      <div className={styles.title}>{spec.label || spec.type}</div>
      <div className={styles.ports}>
        <ul className={styles.inputs}>
          {spec.inputs.map((port) => (
            <li key={port.name} data-mark={mark(port.name, "input")} data-optional={!port.required}>
              <Dot color={colorOf(types, port.type)} />
              {port.label ?? port.name}
            </li>
          ))}
        </ul>
        <ul className={styles.outputs}>
          {spec.outputs.map((port) => (
            <li key={port.name} data-mark={mark(port.name, "output")}>
              {port.label ?? port.name}
              <Dot color={colorOf(types, port.type)} />
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

export function Dot({ color }: { readonly color: string }) {
  return <span className={styles.dot} style={{ background: color }} />;
}
