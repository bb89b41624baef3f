/** Runs the workflow once for each row of a table, whose columns are its parameters. */
import { FileUp } from "lucide-react";
import { type DragEvent, useId, useMemo, useRef, useState } from "react";
import { Button, cx, Dialog, Field, TextArea } from "@/components/ui";
import { t } from "@/i18n";
import { type CheckedTable, cellText, checkTable, readTable, type Table } from "@/model/table";
import { useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { notifyFault } from "@/store/notices";
import { runRows } from "@/store/running";
import styles from "./RowsDialog.module.css";

/** Rows and faults that are shown; all of them are checked. */
const MOST_ROWS = 50;
const MOST_FAULTS = 20;
const LARGEST = 8 << 20;

export default function RowsDialog({ onClose }: { readonly onClose: () => void }) {
  const types = useCatalogue((catalogue) => catalogue.types);
  const { document, workflow } = useActive((active, found) => ({
    document: active.id,
    workflow: found,
  }));
  const [text, setText] = useState("");
  const [isOver, setOver] = useState(false);
  const [isSending, setSending] = useState(false);
  const [refused, setRefused] = useState<string | null>(null);
  const picker = useRef<HTMLInputElement>(null);
  const id = useId();
  const read = useMemo(() => (text.trim() === "" ? null : readTable(text)), [text]);
  const table = read !== null && "table" in read ? read.table : null;
  const fault = read !== null && "fault" in read ? read.fault : null;
  const checked = useMemo(
    () => (table && types ? checkTable(table, workflow, types) : null),
    [table, workflow, types],
  );
  const faults = checked === null || table === null ? [] : faultsOf(table, checked);
  const parameters = [...workflow.parameters.keys()];
  const open = async (file: File | undefined) => {
    if (file === undefined) return;
    if (file.size > LARGEST) {
      setRefused(t("library.rows.large"));
      return;
    }
    change(await file.text());
  };
  const change = (next: string) => {
    setText(next);
    setRefused(null);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    event.stopPropagation();
    setOver(false);
    void open(event.dataTransfer.files[0]);
  };
  const start = async () => {
    setSending(true);
    try {
      await runRows(document, text);
      onClose();
    } catch (error) {
      notifyFault(error, { title: t("library.rows.failed") });
      setSending(false);
    }
  };
  const count = table?.rows.length ?? 0;
  const message =
    refused ??
    (fault === null ? null : t(`library.rows.fault.${fault.code}`, { line: fault.line ?? 1 }));
  return (
    <Dialog
      title={t("library.rows.title")}
      size="l"
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>{t("shell.cancel")}</Button>
          <Button
            variant="primary"
            busy={isSending}
            disabled={count === 0 || faults.length > 0}
            onClick={() => void start()}
          >
            {count < 2 ? t("shell.run") : t("running.runTimes", { count })}
          </Button>
        </>
      }
    >
      {/* biome-ignore lint/a11y/noStaticElementInteractions: dropping is one way; the button is another */}
      <div
        className={cx(styles.body, isOver && styles.over)}
        role="presentation"
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <Field
          id={id}
          label={t("library.rows.table")}
          help={
            parameters.length === 0
              ? t("library.rows.helpInputs")
              : t("library.rows.help", { names: parameters.join(", ") })
          }
          error={message}
        >
          <TextArea
            id={id}
            data-autofocus=""
            className={styles.text}
            rows={5}
            value={text}
            spellCheck={false}
            invalid={message !== null}
            placeholder={example(parameters)}
            onChange={change}
          />
        </Field>
        <div className={styles.choose}>
          <Button size="s" icon={FileUp} onClick={() => picker.current?.click()}>
            {t("library.rows.open")}
          </Button>
          <span>{t("library.rows.drop")}</span>
          <input
            ref={picker}
            type="file"
            hidden
            accept=".csv,.tsv,.jsonl,.ndjson,.txt,text/csv"
            aria-label={t("library.rows.open")}
            onChange={(event) => {
              void open(event.target.files?.[0]);
              event.target.value = "";
            }}
          />
        </div>
        {faults.length > 0 && (
          <ul className={styles.faults} role="alert">
            {faults.slice(0, MOST_FAULTS).map((each) => (
              <li key={each}>{each}</li>
            ))}
            {faults.length > MOST_FAULTS && (
              <li>{t("library.rows.more", { count: faults.length - MOST_FAULTS })}</li>
            )}
          </ul>
        )}
        {table && checked && <Preview table={table} checked={checked} />}
      </div>
    </Dialog>
  );
}

/** What is wrong, by row and column, in words; a wrong column once. */
function faultsOf(table: Table, { columns, faults }: CheckedTable): readonly string[] {
  return [
    ...columns.flatMap(({ name, input, isLinked }) => {
      if (isLinked) return t("library.rows.linked", { column: name });
      return input === null ? t("library.rows.unknown", { column: name }) : [];
    }),
    ...faults.map(({ row, column, fault }) =>
      t("library.rows.cell", { row: row + 1, column: table.columns[column] ?? "", fault }),
    ),
  ];
}

function example(parameters: readonly string[]): string {
  const [first = "positive.text", second = "sample.seed"] = parameters;
  return `${first},${second}\n…,1\n…,2`;
}

function Preview({ table, checked }: { readonly table: Table; readonly checked: CheckedTable }) {
  const wrong = new Map(checked.faults.map((each) => [`${each.row},${each.column}`, each.fault]));
  const more = table.rows.length - MOST_ROWS;
  return (
    <div className={styles.scroll}>
      <table className={styles.preview} aria-label={t("library.rows.preview")}>
        <thead>
          <tr>
            <th scope="col">
              <span className={styles.hidden}>{t("library.rows.number")}</span>#
            </th>
            {checked.columns.map(({ name, input, isLinked }) => (
              <th key={name} scope="col" data-wrong={input === null || isLinked || undefined}>
                {name}
                <small>{input === null ? t("library.rows.noInput") : input.type}</small>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.slice(0, MOST_ROWS).map((cells, row) => (
            <tr key={row}>
              <th scope="row">{row + 1}</th>
              {cells.map((cell, column) => {
                const fault = wrong.get(`${row},${column}`);
                return (
                  <td key={column} data-wrong={fault !== undefined || undefined} title={fault}>
                    {cell === null ? <i>{t("library.rows.asItIs")}</i> : cellText(cell)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      {more > 0 && <p className={styles.more}>{t("library.rows.moreRows", { count: more })}</p>}
    </div>
  );
}
