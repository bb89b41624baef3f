/** The tools of the canvas and the two colours that they paint with. */
import {
  ArrowLeftRight,
  Blend,
  BoxSelect,
  Brush,
  Circle,
  Crop,
  Eraser,
  Hand,
  Lasso,
  type LucideIcon,
  Move,
  PaintBucket,
  Pipette,
  ScanSearch,
} from "lucide-react";
import type { ReactNode } from "react";
import { IconButton, tip } from "@/components/ui";
import { t } from "@/i18n";
import { useCanvasUi } from "./canvasUi";
import { TOOL_KEYS, TOOLS, type ToolName } from "./stage/tools";
import styles from "./ToolBar.module.css";

const ICONS: Readonly<Record<ToolName, LucideIcon>> = {
  brush: Brush,
  eraser: Eraser,
  fill: PaintBucket,
  gradient: Blend,
  rectangle: BoxSelect,
  ellipse: Circle,
  lasso: Lasso,
  object: ScanSearch,
  picker: Pipette,
  move: Move,
  box: Crop,
  pan: Hand,
};

export function ToolBar() {
  const { tool, setTool } = useCanvasUi();
  return (
    <ToolButtons tools={TOOLS} chosen={tool.name} onChoose={(name) => setTool({ name })}>
      <div className={styles.colors}>
        <Color
          label={t("painting.color")}
          value={tool.color}
          onChange={(color) => setTool({ color })}
        />
        <Color
          label={t("painting.background")}
          value={tool.background}
          onChange={(background) => setTool({ background })}
        />
        <IconButton
          size="s"
          icon={ArrowLeftRight}
          label={t("painting.swap")}
          keys="x"
          onClick={() => setTool({ color: tool.background, background: tool.color })}
        />
      </div>
    </ToolButtons>
  );
}

interface ButtonsProps {
  readonly tools: readonly ToolName[];
  readonly chosen: ToolName;
  readonly onChoose: (name: ToolName) => void;
  /** What follows the tools. */
  readonly children?: ReactNode;
}

/** The tools of a stage, one of which is chosen. */
export function ToolButtons({ tools, chosen, onChoose, children }: ButtonsProps) {
  return (
    <div
      role="toolbar"
      aria-orientation="vertical"
      aria-label={t("painting.tools")}
      className={styles.bar}
    >
      {tools.map((name) => (
        <IconButton
          key={name}
          icon={ICONS[name]}
          label={t(`painting.tool.${name}`)}
          keys={TOOL_KEYS[name]}
          pressed={chosen === name}
          onClick={() => onChoose(name)}
        />
      ))}
      {children}
    </div>
  );
}

interface ColorProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (color: string) => void;
}

function Color({ label, value, onChange }: ColorProps) {
  return (
    <input
      type="color"
      className={styles.color}
      aria-label={label}
      value={value}
      onChange={(event) => onChange(event.target.value)}
      {...tip(label)}
    />
  );
}
