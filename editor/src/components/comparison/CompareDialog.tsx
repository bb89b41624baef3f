/** Two workflows side by side, with a list of what differs. */
import { ArrowLeftRight, LocateFixed } from "lucide-react";
import { useId, useMemo, useState } from "react";
import { compareWorkflows } from "@/api/comparison";
import { RowList } from "@/components/panels/lib/RowList";
import { Button, Combobox, Dialog, EmptyState, IconButton, Spinner, Toggle } from "@/components/ui";
import { useAnswer } from "@/hooks/useAnswer";
import { t } from "@/i18n";
import { type Entry, newNames, placeOf, placeOn, sideOf } from "@/model/comparison/entries";
import { nodeOf, type Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import { focusNode } from "@/store/focus";
import { toldOf } from "@/store/notices";
import styles from "./Comparison.module.css";
import { DrawingPair, entryAt, shownOf } from "./DrawingPair";
import { EntryRow } from "./EntryRow";
import { type ComparedWorkflow, NOW } from "./sides";
import { StepButtons, stepOf } from "./steps";

interface CompareDialogProps {
  readonly choices: readonly ComparedWorkflow[];
  /** Keys of the choices that it begins with. */
  readonly first?: string;
  readonly second?: string;
  /** The open document that the choice "now" is a state of. */
  readonly document?: string | null;
  readonly onClose: () => void;
}

const ROW = 46;

export default function CompareDialog(props: CompareDialogProps) {
  const { choices, document = null, onClose } = props;
  const [first, setFirst] = useState(props.first ?? choices.at(-1)?.key ?? "");
  const [second, setSecond] = useState(props.second ?? choices[0]?.key ?? "");
  const [left, right] = [useChosen(choices, first), useChosen(choices, second)];
  const swap = () => {
    setFirst(second);
    setSecond(first);
  };
  const options = choices.map(({ key, label, group }) => ({ value: key, label, group }));
  const both =
    left.workflow && right.workflow ? { left: left.workflow, right: right.workflow } : null;
  const fault = left.fault ?? right.fault;
  return (
    <Dialog title={t("comparison.title")} size="full" padded={false} onClose={onClose}>
      <div className={styles.layout}>
        <div className={styles.bar}>
          <Combobox
            label={t("comparison.left")}
            value={first}
            onChange={setFirst}
            options={options}
          />
          <IconButton icon={ArrowLeftRight} label={t("comparison.swap")} onClick={swap} />
          <Combobox
            label={t("comparison.right")}
            value={second}
            onChange={setSecond}
            options={options}
          />
        </div>
        {both === null ? (
          <Waiting fault={fault} />
        ) : (
          <Compared
            key={`${first} ${second}`}
            first={both.left}
            second={both.right}
            firstLabel={labelOf(choices, first)}
            secondLabel={labelOf(choices, second)}
            onJump={
              document === null || second !== NOW
                ? null
                : (node, scope) => {
                    onClose();
                    const path = scope === null ? [] : [scope];
                    // A dialog that closes gives the focus back to where it was.
                    requestAnimationFrame(() => focusNode({ document, path, node, port: null }));
                  }
            }
          />
        )}
      </div>
    </Dialog>
  );
}

function labelOf(choices: readonly ComparedWorkflow[], key: string): string {
  return choices.find((choice) => choice.key === key)?.label ?? "";
}

function useChosen(choices: readonly ComparedWorkflow[], key: string) {
  const dialog = useId();
  const choice = choices.find((each) => each.key === key);
  const { data, fault } = useAnswer<Workflow>({
    queryKey: ["compared workflow", dialog, key],
    queryFn: () => choice?.load() ?? Promise.reject(new Error(key)),
    enabled: choice !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  return { workflow: data, fault };
}

export function Waiting({ fault }: { readonly fault: Error | null }) {
  if (fault === null) return <Spinner label={t("comparison.loading")} />;
  return <EmptyState title={t("comparison.failed")}>{toldOf(fault)?.title}</EmptyState>;
}

interface ComparedProps {
  readonly first: Workflow;
  readonly second: Workflow;
  readonly firstLabel: string;
  readonly secondLabel: string;
  /** Shows a node of the second workflow in the graph; null where it isn't open. */
  readonly onJump: ((node: string, scope: Scope) => void) | null;
}

function Compared({ first, second, firstLabel, secondLabel, onJump }: ComparedProps) {
  const id = useId();
  const { data, fault } = useAnswer({
    queryKey: ["comparison", id],
    queryFn: ({ signal }) => compareWorkflows(first, second, { signal }),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  const [hasLayout, setHasLayout] = useState(false);
  const [at, setAt] = useState(0);
  const [graph, setGraph] = useState<number | null>(null);
  const entries = useMemo(
    () => data?.entries.filter((entry) => hasLayout || !entry.quiet) ?? [],
    [data, hasLayout],
  );
  if (data === undefined) return <Waiting fault={fault} />;
  const quiet = data.entries.filter((entry) => entry.quiet).length;
  const entry = entries[at];
  const choose = (index: number) => {
    setAt(Math.min(Math.max(index, 0), entries.length - 1));
    setGraph(null);
  };
  const target = entry === undefined ? null : targetOf(entry, data.entries, second);
  const jump = () => target !== null && onJump?.(target.node, target.scope);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys for all that is in it
    <div
      className={styles.columns}
      onKeyDown={(event) => {
        const by = stepOf(event);
        if (by === 0) return;
        choose(at + by);
        event.preventDefault();
      }}
    >
      <section className={styles.list} aria-label={t("comparison.entries")}>
        <div className={styles.tools}>
          <span className={styles.count} role="status">
            {t("comparison.count", { count: entries.length })}
          </span>
          <StepButtons at={at} count={entries.length} onStep={choose} />
          {onJump !== null && (
            <Button size="s" icon={LocateFixed} disabled={target === null} onClick={jump}>
              {t("comparison.jump")}
            </Button>
          )}
        </div>
        {quiet > 0 && (
          <span className={styles.quiet}>
            <Toggle
              checked={hasLayout}
              onChange={setHasLayout}
              label={t("comparison.layout", { count: quiet })}
            />
            {t("comparison.layout", { count: quiet })}
          </span>
        )}
        {entries.length === 0 ? (
          <p className={styles.none}>{t("comparison.same")}</p>
        ) : (
          <RowList
            id={`${id}-entries`}
            label={t("comparison.entries")}
            items={entries}
            height={ROW}
            keyOf={(each) => String(entries.indexOf(each))}
            active={at}
            onActive={choose}
            onOpen={jump}
          >
            {(each, { active }) => (
              <div className={styles.row} data-active={active || undefined}>
                <EntryRow entry={each} digests={data.digests} />
              </div>
            )}
          </RowList>
        )}
      </section>
      <DrawingPair
        first={first}
        second={second}
        firstLabel={firstLabel}
        secondLabel={secondLabel}
        entries={data.entries}
        shown={shownOf(entry)}
        graph={graph}
        onGraph={setGraph}
        onNode={(node, scope, side) => {
          const index = entryAt(entries, node, scope, side);
          if (index >= 0) choose(index);
        }}
      />
    </div>
  );
}

/** The node of an entry in the second workflow; null if it has none there. */
function targetOf(
  entry: Entry,
  entries: readonly Entry[],
  second: Workflow,
): { readonly node: string; readonly scope: Scope } | null {
  const own = placeOf(entry.path);
  if (own === null) return null;
  const { node, scope } = placeOn("second", own, sideOf(entry), newNames(entries));
  return node !== null && nodeOf(second, scope, node) ? { node, scope } : null;
}
