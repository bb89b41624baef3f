/** Two versions of a workflow with a common one before them: what is kept is chosen one by one. */
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { compareWorkflows, type MergeSides, mergeWorkflows } from "@/api/comparison";
import { Badge, Button, Dialog } from "@/components/ui";
import { t } from "@/i18n";
import { type Entry, type Merged, placeOf } from "@/model/comparison/entries";
import { type Workflow, workflowFromJson } from "@/model/workflow";
import { Waiting } from "./CompareDialog";
import styles from "./Comparison.module.css";
import { DrawingPair, shownOf } from "./DrawingPair";
import {
  type Decisions,
  type Dispute,
  type OneSided,
  oneSided,
  type Pick,
  pickOf,
  skippedBy,
  undecided,
  withDisputes,
} from "./decisions";
import { EntryRow } from "./EntryRow";
import { StepButtons, stepOf } from "./steps";
import { kindText, placeText, sideText } from "./words";

interface MergeDialogProps {
  readonly name: string;
  readonly sides: MergeSides;
  /** The merged workflow, or null if it was called off. */
  readonly answer: (merged: Workflow | null) => void;
  readonly onClose: () => void;
}

/** A merge with what it changes of the common version. */
interface Preview {
  readonly merged: Merged;
  readonly result: Workflow;
  readonly entries: readonly Entry[];
}

export default function MergeDialog({ name, sides, answer, onClose }: MergeDialogProps) {
  const [decisions, setDecisions] = useState<Decisions>(new Map());
  const [disputes, setDisputes] = useState<readonly Dispute[]>([]);
  const [preview, setPreview] = useState<Preview | null>(null);
  const [isWaiting, setIsWaiting] = useState(true);
  const [fault, setFault] = useState<Error | null>(null);
  const skipped = useMemo(() => skippedBy(decisions, disputes), [decisions, disputes]);
  const wanted = JSON.stringify(skipped);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `wanted` is `skipped` by its content
  useEffect(() => {
    const abort = new AbortController();
    setIsWaiting(true);
    previewOf(sides, skipped, abort.signal)
      .then((found) => {
        if (abort.signal.aborted) return;
        setPreview(found);
        setFault(null);
        setIsWaiting(false);
        setDisputes((known) => withDisputes(known, found.merged.conflicts));
      })
      .catch((error: Error) => {
        if (!abort.signal.aborted) setFault(error);
      });
    return () => abort.abort();
  }, [sides, wanted]);
  const close = (merged: Workflow | null) => {
    onClose();
    answer(merged);
  };
  const open = undecided(decisions, disputes);
  const decideAll = (pick: Pick) =>
    setDecisions(new Map([...decisions, ...disputes.map(({ key }) => [key, pick] as const)]));
  return (
    <Dialog
      title={t("comparison.mergeTitle", { name })}
      size="full"
      padded={false}
      dismissable={false}
      onClose={() => close(null)}
      footer={
        <>
          <Button onClick={() => close(null)}>{t("comparison.back")}</Button>
          <Button
            variant="primary"
            busy={isWaiting && fault === null}
            disabled={preview === null || open.length > 0 || fault !== null}
            onClick={() => preview !== null && close(preview.result)}
          >
            {t("comparison.saveMerged")}
          </Button>
        </>
      }
    >
      {preview === null ? (
        <Waiting fault={fault} />
      ) : (
        <Merging
          sides={sides}
          preview={preview}
          disputes={disputes}
          decisions={decisions}
          fault={fault}
          onDecide={(key, pick) => setDecisions(new Map(decisions).set(key, pick))}
          onDecideAll={decideAll}
        />
      )}
    </Dialog>
  );
}

async function previewOf(
  sides: MergeSides,
  { ours, theirs }: ReturnType<typeof skippedBy>,
  signal: AbortSignal,
): Promise<Preview> {
  const merged = await mergeWorkflows(sides, ours, theirs, { signal });
  const result = workflowFromJson(merged.document);
  const { entries } = await compareWorkflows(sides.base, result, { signal });
  return { merged, result, entries };
}

interface MergingProps {
  readonly sides: MergeSides;
  readonly preview: Preview;
  readonly disputes: readonly Dispute[];
  readonly decisions: Decisions;
  readonly fault: Error | null;
  readonly onDecide: (key: string, pick: Pick) => void;
  readonly onDecideAll: (pick: Pick) => void;
}

function Merging(props: MergingProps) {
  const { sides, preview, disputes, decisions, fault, onDecide, onDecideAll } = props;
  const [shown, setShown] = useState<{ readonly key: string; readonly at: Shown } | null>(null);
  const [graph, setGraph] = useState<number | null>(null);
  const [conflicts, quietDisputes] = parted(disputes, ({ conflict }) => conflict.quiet);
  const changes = useMemo(() => oneSided(preview.merged, disputes), [preview, disputes]);
  const [loud, quiet] = parted(changes, ({ entry }) => entry.quiet);
  const theirs = loud.filter(({ side }) => side === "theirs");
  const ours = loud.filter(({ side }) => side === "ours");
  const layout = [...quietDisputes, ...quiet];
  const [hasLayout, setHasLayout] = useState(false);
  const items = [...conflicts, ...theirs, ...ours, ...(hasLayout ? layout : [])];
  const at = items.findIndex(({ key }) => key === shown?.key);
  const list = useRef<HTMLDivElement>(null);
  const open = undecided(decisions, conflicts);
  const choose = (key: string, at: Shown) => {
    setShown({ key, at });
    setGraph(null);
  };
  const step = (index: number) => {
    const item = items[index];
    if (item === undefined) return;
    choose(item.key, wordsOf(item).at);
    // Its buttons come next by Tab.
    const rows = list.current?.querySelectorAll<HTMLElement>(`fieldset > .${styles.show}`);
    rows?.[index]?.focus();
  };
  const row = (item: Dispute | OneSided) => (
    <Choice
      key={item.key}
      item={item}
      pick={pickOf(decisions, item)}
      isShown={item.key === shown?.key}
      onShow={(at) => choose(item.key, at)}
      onPick={(pick, at) => {
        onDecide(item.key, pick);
        choose(item.key, at);
      }}
    />
  );
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys for all that is in it
    <div
      className={styles.columns}
      onKeyDown={(event) => {
        const by = stepOf(event);
        if (by === 0) return;
        step(at + by);
        event.preventDefault();
      }}
    >
      <section className={styles.list} aria-label={t("comparison.entries")}>
        <div className={styles.tools}>
          <span className={styles.count} role="status">
            {fault === null ? t("comparison.open", { count: open.length }) : t("comparison.failed")}
          </span>
          <StepButtons at={at} count={items.length} onStep={step} />
          {conflicts.length > 0 && (
            <>
              <Button size="s" onClick={() => onDecideAll("ours")}>
                {t("comparison.allOurs")}
              </Button>
              <Button size="s" onClick={() => onDecideAll("theirs")}>
                {t("comparison.allTheirs")}
              </Button>
            </>
          )}
        </div>
        <div ref={list} className={styles.groups}>
          <Group title={t("comparison.conflicts")} count={conflicts.length}>
            {conflicts.map(row)}
          </Group>
          <Group title={t("comparison.onlyTheirs")} count={theirs.length}>
            {theirs.map(row)}
          </Group>
          <Group title={t("comparison.onlyOurs")} count={ours.length}>
            {ours.map(row)}
          </Group>
          {layout.length > 0 && (
            <details onToggle={(event) => setHasLayout(event.currentTarget.open)}>
              <summary className={styles.note}>
                {t("comparison.layout", { count: layout.length })}
              </summary>
              <div className={styles.choices}>{layout.map(row)}</div>
            </details>
          )}
        </div>
      </section>
      <DrawingPair
        first={sides.base}
        second={preview.result}
        firstLabel={t("comparison.base")}
        secondLabel={t("comparison.result")}
        entries={preview.entries}
        shown={shown?.at ?? null}
        graph={graph}
        onGraph={setGraph}
        onNode={() => undefined}
      />
    </div>
  );
}

type Shown = ReturnType<typeof shownOf>;

function parted<T>(
  items: readonly T[],
  isSecond: (item: T) => boolean,
): [readonly T[], readonly T[]] {
  return [items.filter((item) => !isSecond(item)), items.filter(isSecond)];
}

interface GroupProps {
  readonly title: string;
  readonly count: number;
  readonly children: React.ReactNode;
}

function Group({ title, count, children }: GroupProps) {
  const id = useId();
  if (count === 0) return null;
  return (
    <section className={styles.group} aria-labelledby={id}>
      <div className={styles.heading}>
        <h3 id={id}>{title}</h3>
        <Badge>{count}</Badge>
      </div>
      <div className={styles.choices}>{children}</div>
    </section>
  );
}

interface ChoiceProps {
  readonly item: Dispute | OneSided;
  readonly pick: Pick | null;
  readonly isShown: boolean;
  readonly onShow: (at: Shown) => void;
  readonly onPick: (pick: Pick, at: Shown) => void;
}

function Choice({ item, pick, isShown, onShow, onPick }: ChoiceProps) {
  const name = useId();
  const { label, at, ours, theirs } = wordsOf(item);
  return (
    <fieldset
      className={styles.choice}
      data-shown={isShown || undefined}
      data-open={pick === null || undefined}
      aria-label={label}
    >
      <button type="button" className={styles.show} onClick={() => onShow(at)}>
        {"conflict" in item ? (
          <span className={styles.words}>
            <span className={styles.place}>
              <small>{kindText(item.conflict.kind)}</small> {placeText(item.conflict.path)}
            </span>
            <span className={styles.note}>{t(`comparison.reason.${item.conflict.reason}`)}</span>
          </span>
        ) : (
          <EntryRow entry={item.entry} />
        )}
      </button>
      <div className={styles.picks}>
        {(["ours", "theirs"] as const).map((side) => (
          <label key={side} className={styles.pick}>
            <input
              type="radio"
              name={name}
              checked={pick === side}
              onChange={() => onPick(side, at)}
            />
            <span>
              <b>{t(`comparison.${side}`)}</b>
              <span className={styles.value}>{side === "ours" ? ours : theirs}</span>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** What a choice is about, and what each side has there. */
function wordsOf(item: Dispute | OneSided): {
  readonly label: string;
  readonly at: Shown;
  readonly ours: string;
  readonly theirs: string;
} {
  if ("conflict" in item) {
    const { kind, path, ours, theirs } = item.conflict;
    const place = placeOf(path);
    return {
      label: `${kindText(kind)} ${placeText(path)}`,
      at: place && { place, side: "second" },
      ours: sideText(ours),
      theirs: sideText(theirs),
    };
  }
  const { entry, side } = item;
  const made = sideText(entry.after);
  const kept = sideText(entry.before);
  return {
    label: `${kindText(entry.kind)} ${placeText(entry.path)}`,
    at: shownOf(entry),
    ours: side === "ours" ? made : kept,
    theirs: side === "theirs" ? made : kept,
  };
}
