/** The settings of the chosen tool, above the canvas. */
import { Maximize, Redo2, Undo2 } from "lucide-react";
import { type RefObject, useId } from "react";
import { IconButton, Select, Slider, Toggle } from "@/components/ui";
import { t } from "@/i18n";
import { canRedo, canUndo } from "@/model/history";
import { useActive, useDocuments } from "@/store/documents";
import { useCanvasUi } from "./canvasUi";
import { ObjectFields } from "./ObjectFields";
import { SelectionButtons } from "./SelectionButtons";
import type { StageHandle } from "./stage/stageProps";
import { LARGEST_SIZE, type ToolName, type ToolState } from "./stage/tools";
import { undoStep } from "./strokes";
import styles from "./ToolSettings.module.css";

interface Props {
  readonly stage: RefObject<StageHandle | null>;
  readonly hasSelection: boolean;
}

type Setting =
  | "size"
  | "hardness"
  | "opacity"
  | "flow"
  | "pressure"
  | "fill"
  | "gradient"
  | "selecting"
  | "object";

const SETTINGS: Readonly<Record<ToolName, readonly Setting[]>> = {
  brush: ["size", "hardness", "opacity", "flow", "pressure"],
  eraser: ["size", "hardness", "opacity", "pressure"],
  fill: ["opacity", "fill"],
  gradient: ["opacity", "gradient"],
  rectangle: ["selecting"],
  ellipse: ["selecting"],
  lasso: ["selecting"],
  object: ["selecting", "object"],
  picker: [],
  move: [],
  box: [],
  pan: [],
};

export function ToolSettings({ stage, hasSelection }: Props) {
  const tool = useCanvasUi((ui) => ui.tool);
  return (
    <div className={styles.bar}>
      <UndoButtons />
      {SETTINGS[tool.name].map((setting) => (
        <SettingFields
          key={setting}
          setting={setting}
          tool={tool}
          stage={stage}
          hasSelection={hasSelection}
        />
      ))}
      {SETTINGS[tool.name].length === 0 && (
        <span className={styles.hint}>{t(`painting.toolHint.${tool.name}`)}</span>
      )}
      <span className={styles.gap} />
      {hasSelection && <SelectionButtons stage={stage} />}
      <IconButton
        icon={Maximize}
        label={t("painting.fit")}
        onClick={() => stage.current?.fit("box")}
      />
    </div>
  );
}

/** What is still being written comes first: a step to undo is there once its picture has a name. */
function UndoButtons() {
  const { undoable, redoable } = useActive(({ history }) => ({
    undoable: canUndo(history),
    redoable: canRedo(history),
  }));
  return (
    <>
      <IconButton
        icon={Undo2}
        label={t("mask.undo")}
        keys="mod+z"
        disabled={!undoable}
        onClick={() => void undoStep()}
      />
      <IconButton
        icon={Redo2}
        label={t("mask.redo")}
        keys="mod+shift+z"
        disabled={!redoable}
        onClick={() => useDocuments.getState().redo()}
      />
    </>
  );
}

interface FieldsProps {
  readonly setting: Setting;
  readonly tool: ToolState;
  readonly stage: Props["stage"];
  readonly hasSelection: boolean;
}

function SettingFields({ setting, tool, stage, hasSelection }: FieldsProps) {
  const { setTool } = useCanvasUi.getState();
  switch (setting) {
    case "size":
      return (
        <Range
          name="size"
          value={tool.size}
          min={1}
          max={LARGEST_SIZE}
          shown={`${Math.round(tool.size)} px`}
          onChange={(size) => setTool({ size })}
        />
      );
    case "hardness":
    case "opacity":
    case "flow":
      return (
        <Range
          name={setting}
          value={Math.round(tool[setting] * 100)}
          min={setting === "hardness" ? 0 : 1}
          max={100}
          shown={`${Math.round(tool[setting] * 100)} %`}
          onChange={(percent) => setTool({ [setting]: percent / 100 })}
        />
      );
    case "pressure":
      return <Pressure tool={tool} />;
    case "fill":
      return <FillFields tool={tool} />;
    case "gradient":
      return <GradientFields tool={tool} />;
    case "object":
      return <ObjectFields stage={stage} hasSelection={hasSelection} />;
    case "selecting":
      return (
        <Select
          className={styles.select}
          label={t("painting.selecting")}
          value={tool.selecting}
          options={choices("selecting", ["replace", "add", "subtract"])}
          onChange={(selecting) => setTool({ selecting: selecting as ToolState["selecting"] })}
        />
      );
  }
}

function choices(setting: string, values: readonly string[]) {
  return values.map((value) => ({ value, label: t(`painting.${setting}.${value}`) }));
}

function Pressure({ tool }: { readonly tool: ToolState }) {
  const { setTool } = useCanvasUi.getState();
  const by = tool.pressure.size
    ? tool.pressure.opacity
      ? "both"
      : "size"
    : tool.pressure.opacity
      ? "opacity"
      : "none";
  return (
    <Select
      className={styles.select}
      label={t("painting.pressure")}
      value={by}
      options={choices("pressure", ["size", "opacity", "both", "none"])}
      onChange={(next) =>
        setTool({
          pressure: {
            ...tool.pressure,
            size: next === "size" || next === "both",
            opacity: next === "opacity" || next === "both",
          },
        })
      }
    />
  );
}

function FillFields({ tool }: { readonly tool: ToolState }) {
  const { setTool } = useCanvasUi.getState();
  return (
    <>
      <Range
        name="tolerance"
        value={tool.tolerance}
        min={0}
        max={255}
        shown={String(tool.tolerance)}
        onChange={(tolerance) => setTool({ tolerance })}
      />
      <Switch
        name="contiguous"
        checked={tool.contiguous}
        onChange={(contiguous) => setTool({ contiguous })}
      />
      <Select
        className={styles.select}
        label={t("painting.sample")}
        value={tool.sample}
        options={choices("sample", ["all", "layer"])}
        onChange={(sample) => setTool({ sample: sample as ToolState["sample"] })}
      />
    </>
  );
}

function GradientFields({ tool }: { readonly tool: ToolState }) {
  const { setTool } = useCanvasUi.getState();
  return (
    <>
      <Select
        className={styles.select}
        label={t("painting.gradient")}
        value={tool.gradient}
        options={choices("gradient", ["linear", "radial"])}
        onChange={(gradient) => setTool({ gradient: gradient as ToolState["gradient"] })}
      />
      <Switch
        name="toTransparent"
        checked={tool.toTransparent}
        onChange={(toTransparent) => setTool({ toTransparent })}
      />
    </>
  );
}

interface SwitchProps {
  readonly name: string;
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
}

function Switch({ name, checked, onChange }: SwitchProps) {
  const id = useId();
  return (
    <span className={styles.field}>
      <label htmlFor={id}>{t(`painting.${name}`)}</label>
      <Toggle id={id} checked={checked} onChange={onChange} />
    </span>
  );
}

interface RangeProps {
  readonly name: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly shown: string;
  readonly onChange: (value: number) => void;
}

function Range({ name, value, min, max, shown, onChange }: RangeProps) {
  const id = useId();
  return (
    <span className={styles.field}>
      <label htmlFor={id}>{t(`painting.${name}`)}</label>
      <Slider
        id={id}
        min={min}
        max={max}
        step={1}
        value={value}
        className={styles.slider}
        onChange={onChange}
      />
      <output htmlFor={id}>{shown}</output>
    </span>
  );
}
