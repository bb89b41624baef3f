/** The settings of the chosen tool, above the canvas. */
import { Maximize, Redo2, Undo2 } from "lucide-react";
import type { RefObject } from "react";
import { IconButton } from "@/components/ui";
import { t } from "@/i18n";
import { canRedo, canUndo } from "@/model/history";
import { useActive, useDocuments } from "@/store/documents";
import { useCanvasUi } from "./canvasUi";
import type { StageHandle } from "./stage/stageProps";
import { undoStep } from "./strokes";
import { ToolFields } from "./ToolFields";

interface Props {
  readonly stage: RefObject<StageHandle | null>;
  readonly hasSelection: boolean;
}

export function ToolSettings({ stage, hasSelection }: Props) {
  const { tool, setTool } = useCanvasUi();
  return (
    <ToolFields
      tool={tool}
      onTool={setTool}
      stage={stage}
      hasSelection={hasSelection}
      hasLayers
      before={<UndoButtons />}
    >
      <IconButton
        icon={Maximize}
        label={t("painting.fit")}
        onClick={() => stage.current?.fit("box")}
      />
    </ToolFields>
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
