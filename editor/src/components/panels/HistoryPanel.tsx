/** Every state that the document had, as a tree: what was undone stays on a branch of its own. */
import { GitCompare, Redo2, Save, Undo2 } from "lucide-react";
import { useId, useMemo, useState } from "react";
import { IconButton } from "@/components/ui";
import { hasText, t } from "@/i18n";
import { moment } from "@/i18n/format";
import { changesBetween } from "@/model/changes";
import { changesText, changeText } from "@/model/changes/words";
import { canRedo, canUndo, type Entry, type History } from "@/model/history";
import type { NodeTypes } from "@/model/spec";
import type { Workflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, useActive, useDocuments } from "@/store/documents";
import styles from "./HistoryPanel.module.css";
import { type Row, rowsOf } from "./history/lanes";
import { redoWay } from "./history/redo";
import { Snapshots } from "./history/Snapshots";
import panel from "./lib/Panel.module.css";
import { RowList } from "./lib/RowList";

const ROW = 42;
const LANE = 14;
/** Lanes beyond this are drawn on top of each other rather than pushing the words out. */
const MOST_LANES = 8;

export default function HistoryPanel() {
  const history = useActive((document) => document.history);
  const types = useCatalogue((state) => state.types);
  const { undo, redo, jump } = useDocuments.getState();
  const id = useId();
  const rows = useMemo(() => rowsOf(history.entries, history.current, redoWay(history)), [history]);
  const here = rows.findIndex((row) => row.entry.id === history.current);
  const [chosen, setChosen] = useState<{ at: number; current: number } | null>(null);
  // Moving by keys keeps its row until the document itself has moved on.
  const active = chosen?.current === history.current ? chosen.at : here;
  const lanes = Math.min(MOST_LANES, Math.max(0, ...rows.map((row) => row.lane)) + 1);
  const now = new Date();
  return (
    <div className={panel.panel}>
      <Snapshots />
      <div className={panel.bar}>
        <span className={`${panel.grow} ${panel.count}`}>
          {t("panels.history.count", { count: rows.length })}
        </span>
        <IconButton
          icon={GitCompare}
          size="s"
          label={t("panels.history.compare")}
          onClick={() => void compare()}
        />
        <IconButton
          icon={Undo2}
          size="s"
          label={t("panels.history.undo")}
          disabled={!canUndo(history)}
          onClick={undo}
        />
        <IconButton
          icon={Redo2}
          size="s"
          label={t("panels.history.redo")}
          disabled={!canRedo(history)}
          onClick={redo}
        />
      </div>
      <RowList
        id={`${id}-history`}
        label={t("panels.history.title")}
        items={rows}
        height={ROW}
        keyOf={(row) => String(row.entry.id)}
        active={Math.min(active, rows.length - 1)}
        onActive={(at) => setChosen({ at, current: history.current })}
        onOpen={(row) => jump(row.entry.id)}
        opensByClick
        onKey={(event, row) => {
          if (event.key !== "c" || event.ctrlKey || event.metaKey || event.altKey) return false;
          void compare(`step ${row.entry.id}`);
          return true;
        }}
        aria={(row) => (row.entry.id === history.current ? { "aria-current": true } : {})}
      >
        {(row) => (
          <div
            className={styles.row}
            data-current={row.entry.id === history.current || undefined}
            data-off={!row.onLine || undefined}
          >
            <Lanes row={row} lanes={lanes} current={row.entry.id === history.current} />
            <StepLabel history={history} entry={row.entry} types={types} />
            {row.entry.id === history.saved && (
              <Save size={12} aria-label={t("panels.history.saved")} />
            )}
            <time className={styles.time}>{moment(row.entry.at / 1000, now)}</time>
          </div>
        )}
      </RowList>
    </div>
  );
}

/** Compare states of the active document; what compares is fetched only now. */
async function compare(first?: string): Promise<void> {
  const { compareStates } = await import("@/components/comparison/sides");
  await compareStates(activeDocument().id, { first });
}

interface LanesProps {
  readonly row: Row<{ readonly id: number; readonly parent: number | null }>;
  readonly lanes: number;
  readonly current: boolean;
}

/** The lines of the tree that pass through one row. */
function Lanes({ row, lanes, current }: LanesProps) {
  const width = lanes * LANE;
  const x = (lane: number) => Math.min(lane, lanes - 1) * LANE + LANE / 2;
  const middle = ROW / 2;
  return (
    <svg aria-hidden="true" width={width} height={ROW} className={styles.lanes}>
      {row.above.map((lane) => (
        <path key={`a${lane}`} d={`M${x(lane)} 0V${middle}`} data-main={lane === 0} />
      ))}
      {row.below.map((lane) => (
        <path key={`b${lane}`} d={`M${x(lane)} ${middle}V${ROW}`} data-main={lane === 0} />
      ))}
      {row.forks.map((lane) => (
        <path
          key={`f${lane}`}
          d={`M${x(lane)} 0C${x(lane)} ${middle} ${x(row.lane)} 2 ${x(row.lane)} ${middle}`}
        />
      ))}
      <circle cx={x(row.lane)} cy={middle} r={current ? 5 : 3.5} data-current={current} />
    </svg>
  );
}

interface StepProps {
  readonly history: History<Workflow>;
  readonly entry: Entry<Workflow>;
  readonly types: NodeTypes | null;
}

/** What was done in a step: what differs, or its label where that says more. */
function StepLabel({ history, entry, types }: StepProps) {
  const before = entry.parent === null ? undefined : history.entries.get(entry.parent);
  const label = labelText(entry.label);
  const changes =
    entry.named || before === undefined ? [] : changesBetween(before.value, entry.value, types);
  const all = [label, ...changes.map(changeText)].join("\n");
  return (
    <span className={styles.label} title={all}>
      {changesText(changes) || label}
    </span>
  );
}

/** Labels are keys where an area wrote them so, and texts otherwise. */
function labelText(label: string): string {
  return hasText(label) ? t(label) : label;
}
