import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from "react";
import { allCommands, type Command, canRun, keysOf, run } from "@/commands";
import { groupLabel } from "@/commands/groups";
import { cx, Dialog, Kbd, TextField } from "@/components/ui";
import { t } from "@/i18n";
import { useDocuments } from "@/store/documents";
import styles from "./CommandPalette.module.css";
import { titleOf } from "./DocumentTabs";
import { type Ranked, rank } from "./rank";
import { recentCommands, rememberCommand } from "./recentCommands";

interface Entry {
  readonly id: string;
  readonly label: string;
  readonly group: string;
  readonly keys: string | undefined;
  readonly icon: Command["icon"];
  readonly run: () => void;
}

const MOST = 60;

/** Everything that can be done now, found by typing. */
export default function CommandPalette({ onClose }: { readonly onClose: () => void }) {
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const entries = useMemo(() => [...commandEntries(), ...tabEntries()], []);
  const found = useMemo(() => rank(entries, query).slice(0, MOST), [entries, query]);
  useEffect(() => {
    list.current?.querySelector("[data-active=true]")?.scrollIntoView?.({ block: "nearest" });
  });
  const choose = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    rememberCommand(entry.id);
    // After the dialog is gone, so that what opens next gets the focus.
    setTimeout(entry.run);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setActive((active + 1) % Math.max(1, found.length));
    else if (event.key === "ArrowUp")
      setActive((active - 1 + found.length) % Math.max(1, found.length));
    else if (event.key === "Enter") choose(found[active]?.entry);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog
      title={t("shell.commands")}
      bare
      padded={false}
      onClose={onClose}
      className={styles.dialog ?? ""}
    >
      <TextField
        value={query}
        label={t("shell.commands")}
        placeholder={t("shell.commandsHint")}
        role="combobox"
        aria-expanded
        aria-controls={id}
        aria-activedescendant={found[active] ? `${id}-${active}` : undefined}
        data-autofocus=""
        className={styles.query}
        onChange={(text) => {
          setQuery(text);
          setActive(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div
        ref={list}
        id={id}
        role="listbox"
        aria-label={t("shell.commands")}
        className={styles.list}
      >
        {found.map((ranked, index) => (
          <Row
            key={ranked.entry.id}
            id={`${id}-${index}`}
            ranked={ranked}
            isActive={index === active}
            onPoint={() => setActive(index)}
            onChoose={() => choose(ranked.entry)}
          />
        ))}
        {found.length === 0 && <p className={styles.none}>{t("shell.noCommand")}</p>}
      </div>
    </Dialog>
  );
}

interface RowProps {
  readonly id: string;
  readonly ranked: Ranked<Entry>;
  readonly isActive: boolean;
  readonly onPoint: () => void;
  readonly onChoose: () => void;
}

function Row({ id, ranked, isActive, onPoint, onChoose }: RowProps) {
  const { entry, marks } = ranked;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents lint/a11y/useFocusableInteractive: the field above has the focus and the keys
    <div
      id={id}
      role="option"
      aria-selected={isActive}
      data-active={isActive}
      className={cx(styles.row)}
      onPointerMove={onPoint}
      onClick={onChoose}
    >
      <span className={styles.icon}>{entry.icon && <entry.icon aria-hidden size={15} />}</span>
      <span className={styles.label}>
        <Marked text={entry.label} marks={marks} />
        <span className={styles.group}>{entry.group}</span>
      </span>
      {entry.keys && <Kbd keys={entry.keys} />}
    </div>
  );
}

function Marked({ text, marks }: { readonly text: string; readonly marks: ReadonlySet<number> }) {
  return [...text].map((letter, index) =>
    marks.has(index) ? <mark key={index}>{letter}</mark> : letter,
  );
}

function commandEntries(): readonly Entry[] {
  const recent = recentCommands();
  const order = (id: string) => (recent.includes(id) ? recent.indexOf(id) : recent.length);
  return allCommands()
    .filter((command) => !command.hidden && canRun(command))
    .map((command) => ({
      id: command.id,
      label: t(command.label),
      group: groupLabel(command.group),
      keys: keysOf(command)[0],
      icon: command.icon,
      run: () => run(command.id),
    }))
    .sort((a, b) => order(a.id) - order(b.id));
}

function tabEntries(): readonly Entry[] {
  const { documents, active, activate } = useDocuments.getState();
  return documents
    .filter((document) => document.id !== active)
    .map((document) => ({
      id: `tab:${document.id}`,
      label: t("shell.goToTab", { title: titleOf(document) }),
      group: groupLabel("tabs"),
      keys: undefined,
      icon: undefined,
      run: () => activate(document.id),
    }));
}
