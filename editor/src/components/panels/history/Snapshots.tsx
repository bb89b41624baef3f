/** Named states of the workflow, and how each differs from what there is now. */
import { Camera, GitCompare, MoreHorizontal, RotateCcw } from "lucide-react";
import { useId, useState } from "react";
import {
  deleteSnapshot,
  renameSnapshot,
  restoreSnapshot,
  takeSnapshot,
} from "@/commands/snapshots";
import { Button, IconButton, MenuButton } from "@/components/ui";
import { t } from "@/i18n";
import { moment } from "@/i18n/format";
import { type Change, changesBetween } from "@/model/changes";
import { changeText } from "@/model/changes/words";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, type Snapshot, useActive } from "@/store/documents";
import { focusNode } from "@/store/focus";
import styles from "./Snapshots.module.css";

export function Snapshots() {
  const snapshots = useActive((document) => document.snapshots);
  const workflow = useActive((_, current) => current);
  const [compared, setCompared] = useState<string | null>(null);
  const id = useId();
  return (
    <section aria-labelledby={id} className={styles.section}>
      <div className={styles.head}>
        <h3 id={id} className={styles.title}>
          {t("panels.snapshots.title")}
        </h3>
        <Button size="s" variant="ghost" icon={Camera} onClick={() => void takeSnapshot()}>
          {t("panels.snapshots.take")}
        </Button>
      </div>
      {snapshots.length > 0 && (
        <ul className={styles.list}>
          {snapshots.toReversed().map((snapshot) => (
            <Row
              key={snapshot.id}
              snapshot={snapshot}
              workflow={workflow}
              isCompared={snapshot.id === compared}
              onCompare={() => setCompared(snapshot.id === compared ? null : snapshot.id)}
            />
          ))}
        </ul>
      )}
    </section>
  );
}

interface RowProps {
  readonly snapshot: Snapshot;
  readonly workflow: Workflow;
  readonly isCompared: boolean;
  readonly onCompare: () => void;
}

function Row({ snapshot, workflow, isCompared, onCompare }: RowProps) {
  const { name, at, value } = snapshot;
  const isCurrent = value === workflow;
  return (
    <li className={styles.item} aria-current={isCurrent || undefined}>
      <div className={styles.row}>
        <span className={styles.name} title={name}>
          {name}
        </span>
        <time className={styles.time}>{moment(at / 1000, new Date())}</time>
        <IconButton
          icon={GitCompare}
          size="s"
          label={t("panels.snapshots.compare", { name })}
          pressed={isCompared}
          onClick={onCompare}
        />
        <IconButton
          icon={RotateCcw}
          size="s"
          label={t("panels.snapshots.restore", { name })}
          disabled={isCurrent}
          onClick={() => restoreSnapshot(snapshot)}
        />
        <MenuButton
          label={t("panels.snapshots.more", { name })}
          icon={MoreHorizontal}
          items={[
            {
              label: t("panels.snapshots.sideBySide"),
              disabled: isCurrent,
              run: () => void compareBeside(snapshot),
            },
            { label: t("panels.snapshots.rename"), run: () => void renameSnapshot(snapshot) },
            {
              label: t("panels.snapshots.delete"),
              danger: true,
              run: () => void deleteSnapshot(snapshot),
            },
          ]}
        />
      </div>
      {isCompared && <Comparison before={value} after={workflow} />}
    </li>
  );
}

/** Beside what there is now; what compares is fetched only now. */
async function compareBeside({ id }: Snapshot): Promise<void> {
  const { compareStates } = await import("@/components/comparison/sides");
  await compareStates(activeDocument().id, { first: `snapshot ${id}` });
}

/** What was done since; a click leads to the node. */
function Comparison({ before, after }: { readonly before: Workflow; readonly after: Workflow }) {
  const types = useCatalogue((state) => state.types);
  const changes = changesBetween(before, after, types);
  if (changes.length === 0) return <p className={styles.none}>{t("panels.snapshots.same")}</p>;
  return (
    <ul aria-label={t("panels.snapshots.since")} className={styles.changes}>
      {changes.map((change, index) => (
        <li key={index}>
          {change.node === null ? (
            changeText(change)
          ) : (
            <button type="button" className={styles.change} onClick={() => show(change)}>
              {changeText(change)}
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

function show({ scope, node }: Change): void {
  if (node === null) return;
  const path = scope === null ? [] : [scope];
  focusNode({ document: activeDocument().id, path, node, port: null });
}
