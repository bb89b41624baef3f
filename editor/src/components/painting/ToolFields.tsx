/** A bar with the settings of a tool. */
import { type ReactNode, type RefObject, useId } from "react";
import { Select, Slider, Toggle } from "@/components/ui";
import { t } from "@/i18n";
import { ObjectFields } from "./ObjectFields";
import { SelectionButtons } from "./SelectionButtons";
import type { StageHandle } from "./stage/stageProps";
import { LARGEST_SIZE, type ToolName, type ToolState } from "./stage/tools";
import styles from "./ToolSettings.module.css";

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

interface Props {
  readonly tool: ToolState;
  readonly onTool: (changes: Partial<ToolState>) => void;
  readonly stage: RefObject<StageHandle | null>;
  readonly hasSelection: boolean;
  /** What lies before the settings. */
  readonly before: ReactNode;
  /** What lies at the end. */
  readonly children: ReactNode;
  /** Whether what is selected can become a layer. */
  readonly hasLayers?: boolean;
}

export function ToolFields(props: Props) {
  const { tool, onTool, stage, hasSelection, hasLayers = false } = props;
  return (
    <div className={styles.bar}>
      {props.before}
      {SETTINGS[tool.name].map((setting) => (
        <SettingFields
          key={setting}
          setting={setting}
          tool={tool}
          onTool={onTool}
          stage={stage}
          hasSelection={hasSelection}
        />
      ))}
      {SETTINGS[tool.name].length === 0 && (
        <span className={styles.hint}>{t(`painting.toolHint.${tool.name}`)}</span>
      )}
      <span className={styles.gap} />
      {hasSelection && <SelectionButtons stage={stage} hasLayers={hasLayers} />}
      <span className={styles.end}>{props.children}</span>
    </div>
  );
}

interface FieldsProps {
  readonly setting: Setting;
  readonly tool: ToolState;
  readonly onTool: Props["onTool"];
  readonly stage: Props["stage"];
  readonly hasSelection: boolean;
}

function SettingFields({ setting, tool, onTool, stage, hasSelection }: FieldsProps) {
  switch (setting) {
    case "size":
      return (
        <Range
          name="size"
          value={tool.size}
          min={1}
          max={LARGEST_SIZE}
          shown={`${Math.round(tool.size)} px`}
          onChange={(size) => onTool({ size })}
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
          onChange={(percent) => onTool({ [setting]: percent / 100 })}
        />
      );
    case "pressure":
      return <Pressure tool={tool} onTool={onTool} />;
    case "fill":
      return <FillFields tool={tool} onTool={onTool} />;
    case "gradient":
      return <GradientFields tool={tool} onTool={onTool} />;
    case "object":
      return (
        <ObjectFields
          setting={tool.segmenter}
          onSetting={(segmenter) => onTool({ segmenter })}
          stage={stage}
          hasSelection={hasSelection}
        />
      );
    case "selecting":
      return (
        <Select
          className={styles.select}
          label={t("painting.selecting")}
          value={tool.selecting}
          options={choices("selecting", ["replace", "add", "subtract"])}
          onChange={(selecting) => onTool({ selecting: selecting as ToolState["selecting"] })}
        />
      );
  }
}

type ToolProps = Pick<Props, "tool" | "onTool">;

function choices(setting: string, values: readonly string[]) {
  return values.map((value) => ({ value, label: t(`painting.${setting}.${value}`) }));
}

function Pressure({ tool, onTool }: ToolProps) {
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
        onTool({
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

function FillFields({ tool, onTool }: ToolProps) {
  return (
    <>
      <Range
        name="tolerance"
        value={tool.tolerance}
        min={0}
        max={255}
        shown={String(tool.tolerance)}
        onChange={(tolerance) => onTool({ tolerance })}
      />
      <Switch
        name="contiguous"
        checked={tool.contiguous}
        onChange={(contiguous) => onTool({ contiguous })}
      />
      <Select
        className={styles.select}
        label={t("painting.sample")}
        value={tool.sample}
        options={choices("sample", ["all", "layer"])}
        onChange={(sample) => onTool({ sample: sample as ToolState["sample"] })}
      />
    </>
  );
}

function GradientFields({ tool, onTool }: ToolProps) {
  return (
    <>
      <Select
        className={styles.select}
        label={t("painting.gradient")}
        value={tool.gradient}
        options={choices("gradient", ["linear", "radial"])}
        onChange={(gradient) => onTool({ gradient: gradient as ToolState["gradient"] })}
      />
      <Switch
        name="toTransparent"
        checked={tool.toTransparent}
        onChange={(toTransparent) => onTool({ toTransparent })}
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
