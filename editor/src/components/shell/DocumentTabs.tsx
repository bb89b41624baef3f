import { Plus, X } from "lucide-react";
import {
  type DragEvent,
  type KeyboardEvent,
  memo,
  type RefObject,
  useEffect,
  useRef,
  useState,
} from "react";
import { useShallow } from "zustand/react/shallow";
import { run } from "@/commands";
import { ContextMenu, commandItems, cx, IconButton, tip } from "@/components/ui";
import { t } from "@/i18n";
import { currentWorkflow, type Document, isDirty, useDocuments } from "@/store/documents";
import styles from "./DocumentTabs.module.css";

export function titleOf(document: Document): string {
  return currentWorkflow(document).title || document.savedName || t("shell.untitled");
}

const MENU = ["tabs.rename", "-", "tabs.close", "tabs.closeOthers", "tabs.reopen"];

/** The open workflows. Drag to sort, middle click to close, double click to rename. */
export function DocumentTabs() {
  const ids = useDocuments(useShallow((state) => state.documents.map(({ id }) => id)));
  const active = useDocuments((state) => state.active);
  const list = useRef<HTMLDivElement>(null);
  const [menu, setMenu] = useState<{ id: string; x: number; y: number } | null>(null);
  useActiveSeen(list, active, ids.length);
  const onKeyDown = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const next = by === undefined ? undefined : ids[ids.indexOf(active) + by];
    if (next === undefined) return;
    event.preventDefault();
    useDocuments.getState().activate(next);
    list.current?.querySelector<HTMLElement>(`[data-tab="${CSS.escape(next)}"]`)?.focus();
  };
  return (
    <div className={styles.bar}>
      <div
        ref={list}
        role="tablist"
        aria-label={t("shell.openWorkflows")}
        className={styles.list}
        onKeyDown={onKeyDown}
      >
        {ids.map((id, index) => (
          <DocumentTab
            key={id}
            id={id}
            index={index}
            isActive={id === active}
            onMenu={(x, y) => setMenu({ id, x, y })}
          />
        ))}
      </div>
      <IconButton
        icon={Plus}
        label={t("shell.newTab")}
        size="s"
        className={styles.add}
        onClick={() => run("file.new")}
      />
      <ContextMenu
        at={menu}
        label={t("shell.tabMenu")}
        items={menu ? commandItems(MENU, menu.id) : []}
        onClose={() => setMenu(null)}
      />
    </div>
  );
}

/** Keeps the active tab in view, its cross included, as tabs come and go and the bar changes size. */
function useActiveSeen(
  list: RefObject<HTMLDivElement | null>,
  active: string,
  count: number,
): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: others beside it move it, too
  useEffect(() => {
    const bar = list.current;
    if (bar === null) return;
    const see = () => {
      const name = bar.querySelector(`[data-tab="${CSS.escape(active)}"]`);
      name?.parentElement?.scrollIntoView?.({ block: "nearest", inline: "nearest" });
    };
    see();
    if (typeof ResizeObserver === "undefined") return;
    const observer = new ResizeObserver(see);
    observer.observe(bar);
    for (const tab of bar.children) observer.observe(tab);
    return () => observer.disconnect();
  }, [list, active, count]);
}

interface TabProps {
  readonly id: string;
  readonly index: number;
  readonly isActive: boolean;
  readonly onMenu: (x: number, y: number) => void;
}

const DRAGGED = "application/x-nodegraph-tab";

const DocumentTab = memo(function DocumentTab({ id, index, isActive, onMenu }: TabProps) {
  const [title, dirty] = useDocuments(
    useShallow((state) => {
      const found = state.documents.find((document) => document.id === id);
      return found ? [titleOf(found), isDirty(found)] : ["", false];
    }),
  );
  const onDrop = (event: DragEvent) => {
    const moved = event.dataTransfer.getData(DRAGGED);
    if (moved === "") return;
    event.preventDefault();
    event.stopPropagation();
    useDocuments.getState().move(moved, index);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the tab within it takes the keys, this takes drags
    <div
      className={cx(styles.tab, isActive && styles.active)}
      draggable
      onDragStart={(event) => event.dataTransfer.setData(DRAGGED, id)}
      onDragOver={(event) => event.dataTransfer.types.includes(DRAGGED) && event.preventDefault()}
      onDrop={onDrop}
      onAuxClick={(event) => event.button === 1 && run("tabs.close", id)}
      onContextMenu={(event) => {
        event.preventDefault();
        onMenu(event.clientX, event.clientY);
      }}
    >
      <button
        type="button"
        role="tab"
        data-tab={id}
        aria-selected={isActive}
        aria-keyshortcuts="Delete"
        tabIndex={isActive ? 0 : -1}
        className={styles.name}
        onClick={() => useDocuments.getState().activate(id)}
        onDoubleClick={() => run("tabs.rename", id)}
        onKeyDown={(event) => {
          const command = { F2: "tabs.rename", Delete: "tabs.close" }[event.key];
          if (command === undefined) return;
          run(command, id);
          // The same keys rename and delete what is selected on the canvas.
          event.preventDefault();
        }}
        {...tip(dirty ? `${title}\n${t("shell.unsaved")}` : title)}
      >
        {title}
      </button>
      <button
        type="button"
        tabIndex={-1}
        // A list of tabs may hold nothing else; with the keyboard, Delete on the tab closes it.
        aria-hidden
        aria-label={t("shell.closeTab", { title })}
        className={cx(styles.close, dirty && styles.dirty)}
        onClick={() => run("tabs.close", id)}
      >
        <X aria-hidden size={13} className={styles.cross} />
      </button>
    </div>
  );
});
