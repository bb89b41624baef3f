import { type ReactNode, type Ref, useEffect, useImperativeHandle, useRef, useState } from "react";
import { cx } from "./cx";
import styles from "./VirtualList.module.css";

export interface VirtualListHandle {
  readonly scrollTo: (index: number) => void;
}

interface VirtualListProps {
  readonly count: number;
  /** Pixels of every row. */
  readonly rowHeight: number;
  readonly render: (index: number) => ReactNode;
  /** More than one makes it a grid. */
  readonly columns?: number;
  /** The end is near: time to ask for more. */
  readonly onEnd?: (() => void) | undefined;
  readonly label: string;
  readonly role?: "list" | "listbox" | "grid" | "tree" | undefined;
  readonly className?: string | undefined;
  readonly handle?: Ref<VirtualListHandle>;
}

const SPARE = 6;

/** A long list of which only what is seen is made. Each item says its own role in `render`. */
export function VirtualList(props: VirtualListProps) {
  const { count, rowHeight, render, columns = 1, onEnd, label, role = "list", className } = props;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  useEffect(() => follow(box.current, setView), []);
  useImperativeHandle(props.handle, () => ({
    scrollTo: (index) => reveal(box.current, Math.floor(index / columns) * rowHeight, rowHeight),
  }));

  const rows = Math.ceil(count / columns);
  const first = Math.max(0, Math.floor(view.top / rowHeight) - SPARE);
  const last = Math.min(rows, Math.ceil((view.top + view.height) / rowHeight) + SPARE);
  const isNearEnd = last >= rows;
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked once for each length of the list
  useEffect(() => {
    if (isNearEnd) onEnd?.();
  }, [isNearEnd, count]);

  const indexes = Array.from(
    { length: Math.max(0, Math.min(count, last * columns) - first * columns) },
    (_, index) => first * columns + index,
  );
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: each of its roles takes a name
    <div
      ref={box}
      role={role}
      aria-label={label}
      tabIndex={0}
      className={cx(styles.box, "nowheel", className)}
    >
      <div className={styles.all} role="presentation" style={{ height: rows * rowHeight }}>
        <div
          role="presentation"
          className={styles.seen}
          style={{
            transform: `translateY(${first * rowHeight}px)`,
            gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`,
            gridAutoRows: rowHeight,
          }}
        >
          {indexes.map(render)}
        </div>
      </div>
    </div>
  );
}

function follow(box: HTMLElement | null, set: (view: { top: number; height: number }) => void) {
  if (!box) return;
  const update = () => set({ top: box.scrollTop, height: box.clientHeight || 600 });
  update();
  box.addEventListener("scroll", update, { passive: true });
  const observer = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(update);
  observer?.observe(box);
  return () => {
    box.removeEventListener("scroll", update);
    observer?.disconnect();
  };
}

function reveal(box: HTMLElement | null, top: number, height: number): void {
  if (!box) return;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + height > box.scrollTop + box.clientHeight) {
    box.scrollTop = top + height - box.clientHeight;
  }
}
