import type { ReactNode } from "react";
import styles from "./TwoLines.module.css";

interface Props {
  readonly note: string;
  readonly children: ReactNode;
}

/** A row of a list with a note below what it is; both are cut where there is no room. */
export function TwoLines({ note, children }: Props) {
  return (
    <div className={styles.row}>
      <span>{children}</span>
      <small>{note}</small>
    </div>
  );
}
