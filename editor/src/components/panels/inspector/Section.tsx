/** A titled part of the inspector that can be folded away; which ones are, is kept. */
import { ChevronRight } from "lucide-react";
import { type ReactNode, useId, useState } from "react";
import { cx } from "@/components/ui";
import { readStored, writeStored } from "@/store/persisted";
import styles from "./Inspector.module.css";

interface Props {
  /** Under which its state is kept. */
  readonly name: string;
  readonly title: string;
  readonly children: ReactNode;
  readonly count?: number;
  readonly closed?: boolean;
}

const KEY = "nodegraph.inspector";

export function Section({ name, title, children, count, closed = false }: Props) {
  const [open, setOpen] = useState(() => stored()[name] ?? !closed);
  const id = useId();
  const toggle = () => {
    writeStored(KEY, { ...stored(), [name]: !open });
    setOpen(!open);
  };
  return (
    <section className={styles.section}>
      <h3>
        <button
          type="button"
          className={styles.fold}
          aria-expanded={open}
          aria-controls={id}
          onClick={toggle}
        >
          <ChevronRight aria-hidden size={13} className={cx(styles.chevron, open && styles.open)} />
          {title}
          {count !== undefined && <small>{count}</small>}
        </button>
      </h3>
      <div id={id} hidden={!open} className={styles.content}>
        {open && children}
      </div>
    </section>
  );
}

function stored(): Readonly<Record<string, boolean>> {
  const found = readStored(KEY);
  return typeof found === "object" && found !== null ? (found as Record<string, boolean>) : {};
}
