import { Plus, X } from "lucide-react";
import { useId, useMemo } from "react";
import { Button, Combobox, Dialog, Field, IconButton, TextArea } from "@/components/ui";
import { t } from "@/i18n";
import { type Axis, countOf, MOST_AXES } from "@/model/sweeps";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { MOST_AT_ONCE, run } from "@/store/running";
import { type Marked, markedOf, newSweepId, useSweeps } from "@/store/sweeps";
import { useUi } from "@/store/ui";
import { type SweptInput, sweptInputs } from "./places";
import styles from "./SweepDialog.module.css";
import { sweepValues } from "./sweepValues";

const LETTERS = ["X", "Y", "Z"];

/** Runs the workflow once for each combination of values of one to three inputs. */
export default function SweepDialog({ onClose }: { readonly onClose: () => void }) {
  const types = useCatalogue((catalogue) => catalogue.types);
  const { document, workflow } = useActive((active, found) => ({
    document: active.id,
    workflow: found,
  }));
  const places = useMemo(() => (types ? sweptInputs(workflow, types) : []), [workflow, types]);
  const marked = useSweeps((sweeps) => markedOf(sweeps, document));
  const { setMarked } = useSweeps.getState();
  const placeOf = (target: string) => places.find(({ value }) => value === target);
  const known = marked.filter(({ target }) => placeOf(target));
  const first = places[0];
  const rows: readonly Marked[] =
    known.length > 0 ? known : first ? [{ target: first.value, text: "" }] : [];
  const axes = axesOf(rows, placeOf);
  const count = axes === null ? 0 : countOf(axes);
  const isTooMany = count > MOST_AT_ONCE;
  const free = places.find(({ value }) => !rows.some(({ target }) => target === value));
  const set = (index: number, row: Marked | null) =>
    setMarked(document, row ? rows.with(index, row) : rows.toSpliced(index, 1));
  const start = async () => {
    if (axes === null) return;
    onClose();
    const id = newSweepId();
    const jobs = await run({ sweep: { id, axes } });
    // Many jobs take a while to be sent: what was opened meanwhile stays.
    const isFree = useUi.getState().dialog === null;
    if (jobs.length > 0 && isFree) useUi.getState().openDialog("grid", { sweep: id });
  };
  return (
    <Dialog
      title={t("sweeps.title")}
      size="s"
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>{t("shell.cancel")}</Button>
          <Button
            variant="primary"
            disabled={count === 0 || isTooMany}
            onClick={() => void start()}
          >
            {count < 2 ? t("shell.run") : t("running.runTimes", { count })}
          </Button>
        </>
      }
    >
      <div className={styles.axes}>
        {rows.map((row, index) => (
          <AxisFields
            key={index}
            letter={rows.length > 1 ? (LETTERS[index] ?? "") : null}
            row={row}
            place={placeOf(row.target)}
            // An input is on one axis only.
            places={places.filter(
              ({ value }) => value === row.target || !rows.some(({ target }) => target === value),
            )}
            onChange={(next) => set(index, next)}
          />
        ))}
        {isTooMany && (
          <p role="alert" className={styles.fault}>
            {t("sweeps.tooMany", { count, most: MOST_AT_ONCE })}
          </p>
        )}
        {rows.length > 0 && rows.length < MOST_AXES && free && (
          <Button
            size="s"
            icon={Plus}
            className={styles.add}
            onClick={() => setMarked(document, [...rows, { target: free.value, text: "" }])}
          >
            {t("sweeps.add")}
          </Button>
        )}
      </div>
    </Dialog>
  );
}

/** What is written, as values; null while something of it isn't. */
function axesOf(
  rows: readonly Marked[],
  placeOf: (target: string) => SweptInput | undefined,
): readonly Axis[] | null {
  const axes = rows.map(({ target, text }) => ({
    target,
    values: sweepValues(text, placeOf(target)?.kind ?? "text"),
  }));
  const isWhole = (axis: (typeof axes)[number]): axis is Axis => axis.values !== null;
  return axes.every(isWhole) ? axes : null;
}

interface AxisProps {
  /** Null where there is just one axis. */
  readonly letter: string | null;
  readonly row: Marked;
  readonly place: SweptInput | undefined;
  readonly places: readonly SweptInput[];
  /** Null takes it away. */
  readonly onChange: (row: Marked | null) => void;
}

function AxisFields({ letter, row, place, places, onChange }: AxisProps) {
  const id = useId();
  const kind = place?.kind ?? "text";
  const isWrong = sweepValues(row.text, kind) === null;
  return (
    <fieldset className={styles.axis} aria-label={letter ?? t("sweeps.title")}>
      {letter !== null && (
        <legend className={styles.letter}>
          {letter} <span>{t(`sweeps.axis.${letter}`)}</span>
          <IconButton
            icon={X}
            size="s"
            label={t("sweeps.remove", { axis: letter })}
            onClick={() => onChange(null)}
          />
        </legend>
      )}
      <Field id={`${id}-input`} label={t("sweeps.input")}>
        <Combobox
          id={`${id}-input`}
          value={row.target}
          options={places}
          onChange={(target) => onChange({ ...row, target })}
        />
      </Field>
      <Field
        id={id}
        label={t("sweeps.values")}
        help={t(kind === "text" ? "sweeps.texts" : "sweeps.numbers")}
        error={isWrong ? t("sweeps.fault") : null}
      >
        <TextArea
          id={id}
          value={row.text}
          rows={letter === null ? 4 : 2}
          invalid={isWrong}
          placeholder={place?.example}
          onChange={(text) => onChange({ ...row, text })}
        />
      </Field>
    </fieldset>
  );
}
