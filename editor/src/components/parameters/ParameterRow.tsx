import {
  ArrowDown,
  ArrowUp,
  ChevronDown,
  ChevronRight,
  GripVertical,
  Locate,
  Trash2,
} from "lucide-react";
import { type DragEvent, useId, useMemo, useRef, useState } from "react";
import { cx, IconButton } from "@/components/ui";
import { t } from "@/i18n";
import { removeParameter } from "@/model/edits";
import type { Parameter } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, useActive, useDocuments } from "@/store/documents";
import { useUi } from "@/store/ui";
import { ParameterForm } from "./ParameterForm";
import styles from "./ParametersPanel.module.css";
import { resolveParameter } from "./resolve";

interface Props {
  readonly name: string;
  readonly parameter: Parameter;
  readonly index: number;
  readonly count: number;
  readonly isOpen: boolean;
  readonly isOver: boolean;
  readonly onOpen: (open: boolean) => void;
  readonly onRenamed: (name: string) => void;
  readonly onMove: (index: number) => void;
  readonly onDragStart: (event: DragEvent) => void;
  readonly onDragOver: (event: DragEvent) => void;
  readonly onDragEnd: () => void;
  readonly onDrop: (event: DragEvent) => void;
}

export function ParameterRow(props: Props) {
  const { name, parameter, index, count, isOpen, isOver, onOpen, onMove } = props;
  const [grabbed, setGrabbed] = useState(false);
  const row = useRef<HTMLLIElement>(null);
  const problem = useProblem(parameter);
  const formId = useId();

  function remove() {
    useDocuments.getState().change("parameters.removed", (w) => removeParameter(w, name));
  }

  return (
    <li
      ref={row}
      className={cx(styles.row, isOver && styles.over)}
      draggable={grabbed}
      onDragStart={props.onDragStart}
      onDragOver={props.onDragOver}
      onDrop={props.onDrop}
      onDragEnd={() => {
        setGrabbed(false);
        props.onDragEnd();
      }}
    >
      <div className={styles.line}>
        {/* Only the grip begins a drag, so that texts in the row can be selected. */}
        <span
          aria-hidden
          className={styles.grip}
          title={t("parameters.drag", { name })}
          onPointerDown={() => setGrabbed(true)}
          onPointerUp={() => setGrabbed(false)}
        >
          <GripVertical size={14} />
        </span>
        <button
          type="button"
          className={styles.open}
          aria-expanded={isOpen}
          aria-controls={isOpen ? formId : undefined}
          onClick={() => onOpen(!isOpen)}
        >
          {isOpen ? <ChevronDown aria-hidden size={14} /> : <ChevronRight aria-hidden size={14} />}
          <span className={styles.names}>
            <span className={styles.name}>{parameter.label || name}</span>
            <span className={styles.target}>{parameter.input}</span>
          </span>
        </button>
        <IconButton
          icon={ArrowUp}
          size="s"
          label={t("parameters.up", { name })}
          disabled={index === 0}
          onClick={() => onMove(index - 1)}
        />
        <IconButton
          icon={ArrowDown}
          size="s"
          label={t("parameters.down", { name })}
          disabled={index === count - 1}
          onClick={() => onMove(index + 1)}
        />
        <IconButton
          icon={Locate}
          size="s"
          label={t("parameters.goto", { target: parameter.input })}
          onClick={() => show(parameter.input)}
        />
        <IconButton
          icon={Trash2}
          size="s"
          danger
          label={t("parameters.remove", { name })}
          onClick={remove}
        />
      </div>
      {problem !== null && (
        <p role="alert" className={styles.fault}>
          {problem}
        </p>
      )}
      {isOpen && (
        <ParameterForm id={formId} name={name} parameter={parameter} onRenamed={props.onRenamed} />
      )}
    </li>
  );
}

/** Why the parameter's value can't be given; null if it can. */
function useProblem(parameter: Parameter): string | null {
  const types = useCatalogue((state) => state.types);
  const workflow = useActive((_, w) => w);
  return useMemo(() => {
    const { state, target } = resolveParameter(types, workflow, parameter);
    // Types that weren't read yet are no fault of the parameter.
    if (state === "good" || (state === "unknown" && types === null)) return null;
    return t(`parameters.${state}`, { target });
  }, [types, workflow, parameter]);
}

function show(target: string): void {
  const dot = target.indexOf(".");
  const { id } = activeDocument();
  const [node, port] = [target.slice(0, dot), target.slice(dot + 1)];
  useUi.getState().setView("graph");
  useUi.getState().requestFocus({ document: id, path: [], node, port });
}
