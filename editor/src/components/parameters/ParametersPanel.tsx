import { AppWindow, ListChecks } from "lucide-react";
import { type DragEvent, useMemo, useState } from "react";
import { run } from "@/commands/registry";
import { Button, Combobox, EmptyState } from "@/components/ui";
import { t } from "@/i18n";
import { exposeParameter, reorderParameters } from "@/model/edits";
import { useCatalogue } from "@/store/catalogue";
import { useActive, useDocuments } from "@/store/documents";
import { ParameterRow } from "./ParameterRow";
import styles from "./ParametersPanel.module.css";
import { candidatesOf } from "./resolve";

/** The list of a workflow's named parameters: which inputs people vary, and what they are called. */
export default function ParametersPanel() {
  const parameters = useActive((_, workflow) => workflow.parameters);
  const [open, setOpen] = useState<string | null>(null);
  const [said, setSaid] = useState("");
  const names = [...parameters.keys()];
  const dragging = useReorder(names, place);

  function place(name: string, index: number) {
    const others = names.filter((other) => other !== name);
    const order = others.toSpliced(index, 0, name);
    if (order.every((other, at) => other === names[at])) return;
    useDocuments.getState().change("parameters.ordered", (w) => reorderParameters(w, order));
    setSaid(t("parameters.moved", { name, place: index + 1, count: names.length }));
  }

  return (
    <div className={styles.panel}>
      <p className={styles.about}>{t("parameters.about")}</p>
      {names.length === 0 ? (
        <EmptyState icon={ListChecks} title={t("parameters.none")}>
          {t("parameters.noneHint")}
        </EmptyState>
      ) : (
        <ul className={styles.list}>
          {[...parameters].map(([name, parameter], index) => (
            <ParameterRow
              // By place: a name that is being changed keeps its fields.
              key={index}
              name={name}
              parameter={parameter}
              index={index}
              count={names.length}
              isOpen={open === name}
              isOver={dragging.over === index}
              onOpen={(opened) => setOpen(opened ? name : null)}
              onRenamed={setOpen}
              onMove={(to) => place(name, to)}
              {...dragging.row(name, index)}
            />
          ))}
        </ul>
      )}
      <AddParameter onAdded={setOpen} />
      <Button icon={AppWindow} disabled={names.length === 0} onClick={() => run("parameters.app")}>
        {t("parameters.openApp")}
      </Button>
      <p className={styles.said} aria-live="polite">
        {said}
      </p>
    </div>
  );
}

function AddParameter({ onAdded }: { readonly onAdded: (name: string) => void }) {
  const types = useCatalogue((state) => state.types);
  const workflow = useActive((_, w) => w);
  const found = useMemo(() => candidatesOf(types, workflow), [types, workflow]);

  function add(target: string) {
    const candidate = found.find((item) => item.target === target);
    if (candidate === undefined) return;
    let added = "";
    useDocuments.getState().change("parameters.exposed", (w) => {
      const { node, port } = candidate;
      const made = exposeParameter(w, w.parameters.has(port) ? `${node}_${port}` : port, target);
      added = made.name;
      return made.workflow;
    });
    onAdded(added);
  }

  return (
    <Combobox
      value=""
      label={t("parameters.add")}
      placeholder={found.length === 0 ? t("parameters.nothingLeft") : t("parameters.addHint")}
      disabled={found.length === 0}
      options={found.map(({ target, node, port, value }) => ({
        value: target,
        label: port,
        group: node,
        hint: value || undefined,
      }))}
      onChange={add}
    />
  );
}

const DRAGGED = "application/x-nodegraph-parameter";

/** Rows that are dragged to another place. */
function useReorder(names: readonly string[], place: (name: string, index: number) => void) {
  const [over, setOver] = useState<number | null>(null);
  const isOurs = (event: DragEvent) => [...event.dataTransfer.types].includes(DRAGGED);
  return {
    over,
    row: (name: string, index: number) => ({
      onDragStart: (event: DragEvent) => {
        event.dataTransfer.setData(DRAGGED, name);
        event.dataTransfer.effectAllowed = "move";
      },
      onDragOver: (event: DragEvent) => {
        if (!isOurs(event)) return;
        event.preventDefault();
        event.dataTransfer.dropEffect = "move";
        setOver(index);
      },
      onDragEnd: () => setOver(null),
      onDrop: (event: DragEvent) => {
        if (!isOurs(event)) return;
        event.preventDefault();
        setOver(null);
        const dragged = event.dataTransfer.getData(DRAGGED);
        if (names.includes(dragged)) place(dragged, index);
      },
    }),
  };
}
