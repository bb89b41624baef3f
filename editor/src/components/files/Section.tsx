/** A part of a dialog that lists what lacks: a title, rows, and what to do. */
import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "@/components/ui";
import { t } from "@/i18n";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, useDocuments } from "@/store/documents";
import { placeOf } from "@/store/places";
import { useUi } from "@/store/ui";
import styles from "./MissingDialog.module.css";
import type { NodePlace } from "./missing";

interface SectionProps {
  readonly icon: LucideIcon;
  readonly title: string;
  /** Before the rows. */
  readonly head?: ReactNode;
  readonly help?: ReactNode;
  readonly children: ReactNode;
}

export function Section({ icon: Icon, title, head, help, children }: SectionProps) {
  return (
    <section className={styles.section}>
      <h3>
        <Icon aria-hidden size={16} /> {title}
      </h3>
      {head && <div className={styles.head}>{head}</div>}
      <ul className={styles.list}>{children}</ul>
      {help && <div className={styles.help}>{help}</div>}
    </section>
  );
}

interface NodeButtonProps {
  /** As in a run; "" for none. */
  readonly name: string;
  readonly onFocus: (node: string) => void;
}

export function NodeButton({ name, onFocus }: NodeButtonProps) {
  if (name === "") return null;
  return (
    <Button size="s" variant="ghost" onClick={() => onFocus(name)}>
      {t("files.showNode", { node: name })}
    </Button>
  );
}

interface PlaceButtonProps {
  readonly places: readonly NodePlace[];
  readonly onFocus: (node: string) => void;
}

/** Shows the first node that needs it; one within a block has no one name in a run. */
export function PlaceButton({ places, onFocus }: PlaceButtonProps) {
  const [first] = places;
  return <NodeButton name={first?.scope === null ? first.node : ""} onFocus={onFocus} />;
}

interface ModelHelpProps {
  readonly folders: readonly string[];
}

export function ModelHelp({ folders }: ModelHelpProps) {
  return (
    <>
      <p>{t("files.modelHelp")}</p>
      {folders.length > 0 && (
        <p>
          {t("files.modelFolders")}{" "}
          {folders.map((folder) => (
            <code key={folder}>{folder}</code>
          ))}
        </p>
      )}
    </>
  );
}

/** Show a node by the name that it has in a run. */
export function showNode(name: string): void {
  const document = activeDocument();
  const { entries, current } = document.history;
  const workflow = entries.get(current)?.value;
  const place = workflow && placeOf(workflow, useCatalogue.getState().types, name);
  if (!place) return;
  const { active } = useDocuments.getState();
  useUi
    .getState()
    .requestFocus({ document: active, path: place.path, node: place.node, port: null });
}
