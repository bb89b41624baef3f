import { ChevronDown, Play, Square, Zap } from "lucide-react";
import { useRef, useState } from "react";
import { useShallow } from "zustand/react/shallow";
import { commandById, keysOf, run } from "@/commands";
import { keyText } from "@/commands/keys";
import {
  commandItems,
  cx,
  Field,
  IconButton,
  NumberField,
  Popover,
  Toggle,
  tip,
} from "@/components/ui";
import { isItem } from "@/components/ui/menuTypes";
import { t } from "@/i18n";
import { duration, sentences } from "@/i18n/format";
import { mayRun, useConnection } from "@/store/connection";
import { USUAL_ON_CHANGE, useActive, useDocuments } from "@/store/documents";
import { isEnded, jobsOfDocument, useJobs } from "@/store/jobs";
import { countOf, MOST_AT_ONCE, useRunning } from "@/store/running";
import { WAYS_TO_RUN } from "./menus";
import styles from "./RunControls.module.css";

/** Run, how often, the other ways of running, and stop. */
export function RunControls() {
  const active = useDocuments((state) => state.active);
  const allowed = useConnection(mayRun);
  const count = useRunning((running) => countOf(running, active));
  const isSending = useRunning((running) => (running.submitting.get(active) ?? 0) > 0);
  const { progress, isOpen } = useJobs(
    useShallow((jobs) => {
      const open = jobsOfDocument(jobs, active).filter((job) => !isEnded(job));
      const running = open.find((job) => job.state === "running");
      return { isOpen: open.length > 0, progress: running?.progress ?? null };
    }),
  );
  return (
    <div className={styles.controls}>
      {isOpen && (
        <IconButton
          icon={Square}
          label={t("shell.stop")}
          keys={keyOf("cancel-run")}
          danger
          className={styles.stop}
          onClick={() => run("cancel-run")}
        />
      )}
      <OnChangeButton disabled={!allowed} />
      <div data-tour="run" className={styles.split}>
        <button
          type="button"
          aria-disabled={!allowed}
          aria-busy={isSending}
          aria-label={count > 1 ? t("running.runTimes", { count }) : t("shell.run")}
          className={styles.run}
          onClick={() => run("run")}
          {...tip(allowed ? t("shell.runTip") : t("shell.mayNotRun"), keyOf("run"))}
        >
          {progress !== null && (
            <span
              aria-hidden
              className={styles.progress}
              style={{ transform: `scaleX(${progress})` }}
            />
          )}
          <Play aria-hidden size={14} className={styles.icon} />
          <span className={styles.label}>{t("shell.run")}</span>
          {count > 1 && <span className={styles.times}>×{count}</span>}
        </button>
        <RunOptions document={active} count={count} disabled={!allowed} />
      </div>
    </div>
  );
}

/** Whether each edit is run by itself. */
function OnChangeButton({ disabled }: { readonly disabled: boolean }) {
  const { on, limit } = useActive((document) => document.onChange);
  const upTo = limit === null ? "" : t("running.onChange.upTo", { time: duration(limit) });
  return (
    <IconButton
      icon={Zap}
      label={sentences(t("running.onChange"), upTo)}
      pressed={on}
      disabled={disabled}
      onClick={() => run("run-on-change")}
    />
  );
}

/** How long what an edit runs may take. */
function OnChangeLimit() {
  const { limit } = useActive((document) => document.onChange);
  const { setOnChange } = useDocuments.getState();
  return (
    <>
      <Field
        inline
        id="on-change-all"
        label={t("running.onChange.all")}
        help={t("running.onChange.allHelp")}
        className={styles.all}
      >
        <Toggle
          id="on-change-all"
          checked={limit === null}
          onChange={(all) => setOnChange({ limit: all ? null : (USUAL_ON_CHANGE.limit ?? 1) })}
        />
      </Field>
      {limit !== null && (
        <Field
          inline
          id="on-change-limit"
          label={t("running.onChange.limit")}
          className={styles.count}
        >
          <NumberField
            id="on-change-limit"
            value={limit}
            min={0.1}
            max={MOST_SECONDS}
            suffix="s"
            onChange={(next) => setOnChange({ limit: next })}
          />
        </Field>
      )}
    </>
  );
}

const MOST_SECONDS = 3600;

function keyOf(id: string): string | undefined {
  const command = commandById(id);
  return command ? keysOf(command)[0] : undefined;
}

interface OptionsProps {
  readonly document: string;
  readonly count: number;
  readonly disabled: boolean;
}

function RunOptions({ document, count, disabled }: OptionsProps) {
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  return (
    <>
      <button
        ref={button}
        type="button"
        disabled={disabled}
        aria-haspopup="dialog"
        aria-expanded={open}
        aria-label={t("shell.runOptions")}
        className={cx(styles.run, styles.more)}
        onClick={() => setOpen(!open)}
        {...tip(t("shell.runOptions"))}
      >
        <ChevronDown aria-hidden size={14} />
      </button>
      {open && button.current && (
        <Popover
          anchor={button.current}
          align="end"
          label={t("shell.runOptions")}
          className={styles.popover}
          onClose={() => setOpen(false)}
        >
          <Field
            inline
            id="run-count"
            label={t("shell.count")}
            help={t("shell.countHelp")}
            className={styles.count}
          >
            <NumberField
              id="run-count"
              value={count}
              min={1}
              max={MOST_AT_ONCE}
              integer
              onChange={(next) => useRunning.getState().setCount(document, next)}
            />
          </Field>
          <OnChangeLimit />
          <WayList onDone={() => setOpen(false)} />
        </Popover>
      )}
    </>
  );
}

/** The ways of running that the commands offer. */
function WayList({ onDone }: { readonly onDone: () => void }) {
  return (
    <div className={styles.ways}>
      {commandItems(WAYS_TO_RUN).map((entry, index) =>
        isItem(entry) ? (
          <button
            key={entry.id ?? entry.label}
            type="button"
            disabled={entry.disabled}
            className={styles.way}
            onClick={() => {
              onDone();
              entry.run?.();
            }}
          >
            <span>{entry.label}</span>
            {entry.keys && <kbd className={styles.keys}>{keyText(entry.keys)}</kbd>}
          </button>
        ) : (
          <hr key={index} className={styles.line} />
        ),
      )}
    </div>
  );
}
