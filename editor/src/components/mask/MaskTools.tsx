import {
  Brush as BrushIcon,
  Contrast,
  Eraser,
  Maximize,
  PaintBucket,
  Redo2,
  Trash2,
  Undo2,
  ZoomIn,
  ZoomOut,
} from "lucide-react";
import { useId } from "react";
import { IconButton, Slider } from "@/components/ui";
import { t } from "@/i18n";
import styles from "./MaskTools.module.css";
import type { Brush, MaskLayer } from "./maskLayer";

interface Props {
  readonly brush: Brush;
  readonly largest: number;
  readonly layer: MaskLayer;
  readonly zooming: {
    readonly zoom: number;
    readonly zoomIn: () => void;
    readonly zoomOut: () => void;
    readonly fit: () => void;
    readonly actual: () => void;
  };
  readonly disabled: boolean;
  readonly onBrush: (brush: Brush) => void;
  readonly undo: () => void;
  readonly redo: () => void;
  readonly clear: () => void;
  readonly fill: () => void;
  readonly invert: () => void;
}

export function MaskTools(props: Props) {
  const { brush, largest, layer, zooming, disabled, onBrush } = props;
  return (
    <div className={styles.tools}>
      <fieldset className={styles.group} disabled={disabled}>
        <legend className={styles.hidden}>{t("mask.tool")}</legend>
        <IconButton
          icon={BrushIcon}
          label={t("mask.brush")}
          keys="b"
          pressed={!brush.erases}
          onClick={() => onBrush({ ...brush, erases: false })}
        />
        <IconButton
          icon={Eraser}
          label={t("mask.eraser")}
          keys="e"
          pressed={brush.erases}
          onClick={() => onBrush({ ...brush, erases: true })}
        />
      </fieldset>
      <Range
        label={t("mask.size")}
        value={brush.size}
        minimum={1}
        maximum={largest}
        shown={`${brush.size} px`}
        disabled={disabled}
        onChange={(size) => onBrush({ ...brush, size })}
      />
      <Range
        label={t("mask.feather")}
        value={Math.round(brush.feather * 100)}
        minimum={0}
        maximum={100}
        shown={`${Math.round(brush.feather * 100)} %`}
        disabled={disabled}
        onChange={(percent) => onBrush({ ...brush, feather: percent / 100 })}
      />
      <fieldset className={styles.group} disabled={disabled}>
        <IconButton
          icon={Undo2}
          label={t("mask.undo")}
          keys="mod+z"
          disabled={!layer.canUndo}
          onClick={props.undo}
        />
        <IconButton
          icon={Redo2}
          label={t("mask.redo")}
          keys="mod+shift+z"
          disabled={!layer.canRedo}
          onClick={props.redo}
        />
        <IconButton icon={Contrast} label={t("mask.invert")} keys="i" onClick={props.invert} />
        <IconButton icon={PaintBucket} label={t("mask.fill")} onClick={props.fill} />
        <IconButton icon={Trash2} label={t("mask.clear")} keys="delete" onClick={props.clear} />
      </fieldset>
      <div className={`${styles.group} ${styles.end}`}>
        <IconButton icon={ZoomOut} label={t("mask.zoomOut")} keys="-" onClick={zooming.zoomOut} />
        <button
          type="button"
          className={styles.zoom}
          title={t("mask.zoomActual")}
          onClick={zooming.actual}
        >
          {Math.round(zooming.zoom * 100)} %
        </button>
        <IconButton icon={ZoomIn} label={t("mask.zoomIn")} keys="plus" onClick={zooming.zoomIn} />
        <IconButton icon={Maximize} label={t("mask.zoomFit")} keys="0" onClick={zooming.fit} />
      </div>
    </div>
  );
}

interface RangeProps {
  readonly label: string;
  readonly value: number;
  readonly minimum: number;
  readonly maximum: number;
  readonly shown: string;
  readonly disabled: boolean;
  readonly onChange: (value: number) => void;
}

function Range({ label, value, minimum, maximum, shown, disabled, onChange }: RangeProps) {
  const id = useId();
  return (
    <div className={styles.range}>
      <label htmlFor={id}>{label}</label>
      <Slider
        id={id}
        min={minimum}
        max={maximum}
        step={1}
        value={value}
        disabled={disabled}
        className={styles.slider}
        onChange={onChange}
      />
      <output htmlFor={id}>{shown}</output>
    </div>
  );
}
