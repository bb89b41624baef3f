/** What is done with what is selected on the canvas. */
import {
  ClipboardCopy,
  Contrast,
  Eraser,
  PaintBucket,
  Scissors,
  SquareDashed,
  X,
} from "lucide-react";
import type { RefObject } from "react";
import { IconButton } from "@/components/ui";
import { t } from "@/i18n";
import type { StageHandle } from "./stage/stageProps";
import { layerFromSelection, maskFromSelection } from "./stageActions";
import styles from "./ToolSettings.module.css";

interface Props {
  readonly stage: RefObject<StageHandle | null>;
  /** Whether it can become a layer. */
  readonly hasLayers: boolean;
}

export function SelectionButtons({ stage, hasLayers }: Props) {
  const asLayers = [
    { name: "mask", icon: SquareDashed, act: maskFromSelection },
    { name: "copy", icon: ClipboardCopy, act: (on: StageHandle) => layerFromSelection(on, false) },
    { name: "cut", icon: Scissors, act: (on: StageHandle) => layerFromSelection(on, true) },
  ] as const;
  const actions = [
    ...(hasLayers ? asLayers : []),
    { name: "fill", icon: PaintBucket, act: (on: StageHandle) => on.fillSelection() },
    { name: "erase", icon: Eraser, act: (on: StageHandle) => on.eraseSelection() },
    { name: "invert", icon: Contrast, act: (on: StageHandle) => on.invertSelection() },
    { name: "clear", icon: X, act: (on: StageHandle) => on.clearSelection() },
  ] as const;
  return (
    <div className={styles.group}>
      {actions.map(({ name, icon, act }) => (
        <IconButton
          key={name}
          icon={icon}
          label={t(`painting.selection.${name}`)}
          onClick={() => {
            // The stage is there once something is selected on it.
            if (stage.current) void act(stage.current);
          }}
        />
      ))}
    </div>
  );
}
