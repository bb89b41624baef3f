/** The stage of the canvas with one picture and the mask over it, and the tools that a mask takes. */
import { Contrast, Maximize, PaintBucket, Redo2, Trash2, Undo2 } from "lucide-react";
import {
  type KeyboardEvent as ReactKeyboardEvent,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { IconButton } from "@/components/ui";
import { t } from "@/i18n";
import { useCanvasUi } from "../canvasUi";
import type { Size } from "../stage/pixels/geometry";
import { KeptEdit } from "../stage/pixels/keptEdit";
import { fitted, resized } from "../stage/pixels/stageView";
import { Stage } from "../stage/Stage";
import { stageKey } from "../stage/stageKeys";
import type { StageHandle, StageView } from "../stage/stageProps";
import { DEFAULT_TOOL, LARGEST_SIZE, type ToolState } from "../stage/tools";
import { useStageSize } from "../stage/useStageSize";
import { findObject } from "../stageActions";
import { ToolButtons } from "../ToolBar";
import { ToolFields } from "../ToolFields";
import styles from "./MaskBoard.module.css";
import { actionOf, canvasOf, isText, MASK, MASK_TOOLS } from "./maskCanvas";
import { type MaskHistory, type MaskState, whitePixels } from "./maskHistory";
import type { MaskedPicture } from "./useMaskedPicture";

interface Props {
  readonly picture: MaskedPicture;
  readonly name: string;
  readonly disabled: boolean;
  readonly onPaint: () => void;
}

export function MaskBoard({ picture, name, disabled, onPaint }: Props) {
  const { pixels, history, shown } = picture;
  const stage = useRef<StageHandle>(null);
  const room = useRef<HTMLDivElement>(null);
  const [tool, setTool] = useMaskTool(pixels);
  const [hasSelection, setHasSelection] = useState(false);
  const [view, setView] = useFittedView(pixels, useStageSize(room));
  const state = useSyncExternalStore(history.subscribe, history.now);
  const share = useShare(history, state);
  const canvas = useMemo(() => canvasOf(pixels, shown, state), [pixels, shown, state]);
  useEffect(() => stage.current?.focus(), []);

  function whole(bytes: Uint8ClampedArray<ArrayBuffer>, label: string) {
    const { width, height } = pixels;
    const edit = new KeptEdit("replace", 1, { x: 0, y: 0, width, height }, bytes);
    stage.current?.draw(MASK, edit, label);
  }

  const actions = {
    undo: () => step(() => history.undo()),
    redo: () => step(() => history.redo()),
    fill: () => whole(whitePixels(new Uint8Array(size).fill(255)), "fill"),
    clear: () => whole(new Uint8ClampedArray(size * 4), "clear"),
    invert: async () => {
      // At once where possible, so that a key that is pressed next comes next.
      const mask = history.maskHere() ?? (await history.mask());
      whole(whitePixels(mask.map((byte) => 255 - byte)), "invert");
    },
  };
  const size = pixels.width * pixels.height;

  function step(work: () => void) {
    stage.current?.cancel();
    work();
    onPaint();
  }

  function pressed(event: ReactKeyboardEvent<HTMLElement>) {
    const action = disabled ? null : actionOf(event, hasSelection);
    if (action !== null) void actions[action]();
    else if (disabled || !isToolKey(event)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Keys of tools count everywhere but in fields of text; the stage has them for itself. */
  function isToolKey(event: ReactKeyboardEvent<HTMLElement>): boolean {
    const key = isStage(event.target) || isText(event.target) ? null : stageKey(event);
    if (key?.kind !== "tool" || !MASK_TOOLS.includes(key.name)) return false;
    setTool({ name: key.name });
    return true;
  }

  return (
    <div className={styles.board} onKeyDownCapture={pressed} inert={disabled}>
      <ToolButtons
        tools={MASK_TOOLS}
        chosen={tool.name}
        onChoose={(next) => setTool({ name: next })}
      />
      <div className={styles.middle}>
        <ToolFields
          tool={tool}
          onTool={setTool}
          stage={stage}
          hasSelection={hasSelection}
          before={
            <>
              <IconButton
                icon={Undo2}
                label={t("mask.undo")}
                keys="mod+z"
                disabled={!history.canUndo}
                onClick={actions.undo}
              />
              <IconButton
                icon={Redo2}
                label={t("mask.redo")}
                keys="mod+shift+z"
                disabled={!history.canRedo}
                onClick={actions.redo}
              />
            </>
          }
        >
          <IconButton
            icon={Contrast}
            label={t("mask.invert")}
            keys="i"
            onClick={() => void actions.invert()}
          />
          <IconButton icon={PaintBucket} label={t("mask.fill")} onClick={actions.fill} />
          <IconButton icon={Trash2} label={t("mask.clear")} keys="delete" onClick={actions.clear} />
          <IconButton
            icon={Maximize}
            label={t("mask.zoomFit")}
            keys="0"
            onClick={() => stage.current?.fit("box")}
          />
        </ToolFields>
        <div ref={room} className={styles.stage}>
          <Stage
            ref={stage}
            label={t("mask.canvas", { name })}
            keys={t("mask.keys")}
            canvas={canvas}
            active={MASK}
            tool={tool}
            pictureOf={(value) => history.addressOf(value)}
            sourceOf={() => null}
            candidate={null}
            progress={null}
            view={view}
            onView={setView}
            onPicture={async (_, { blob, placement }) => {
              onPaint();
              return history.push(blob, placement);
            }}
            onPlacements={nothing}
            onBox={nothing}
            onColor={nothing}
            onObject={findObject}
            onActive={nothing}
            onTool={setTool}
            onSelection={setHasSelection}
          />
        </div>
        <p className={styles.foot}>
          <span aria-live="polite">
            {t("mask.masked", { percent: Math.round(share * 1000) / 10 })}
          </span>
          <span className={styles.keys} aria-hidden>
            {t("mask.keys")}
          </span>
        </p>
      </div>
    </div>
  );
}

function nothing(): void {}

/** The painter's own brush, as large as the picture asks for, and with its full strength. */
function useMaskTool({ width, height }: Size) {
  const [tool, set] = useState<ToolState>(() => ({
    ...DEFAULT_TOOL,
    pressure: useCanvasUi.getState().tool.pressure,
    size: Math.min(LARGEST_SIZE, Math.max(2, Math.round(Math.min(width, height) / 8))),
  }));
  const change = (changes: Partial<ToolState>) => {
    if (changes.name !== undefined && !MASK_TOOLS.includes(changes.name)) return;
    // The model that selects objects is the same everywhere.
    if (changes.segmenter !== undefined)
      useCanvasUi.getState().setTool({ segmenter: changes.segmenter });
    set((now) => ({ ...now, ...changes }));
  };
  return [tool, change] as const;
}

function useFittedView({ width, height }: Size, room: Size) {
  const [view, setView] = useState<StageView | null>(null);
  const whole = { x: 0, y: 0, width, height };
  const first = fitted(whole, room);
  const isMeasured = room.width > 0 && room.height > 0;
  const before = useRef(room);
  useLayoutEffect(() => {
    const old = before.current;
    if (!isMeasured) return;
    before.current = room;
    if (view === null) setView(first);
    // A phone that is turned shows the same part of the picture.
    else if (old.width > 0 && (old.width !== room.width || old.height !== room.height))
      setView(resized(view, whole, old, room));
  });
  return [view ?? first, setView] as const;
}

/** Part of the picture that is masked, 0 to 1. */
function useShare(history: MaskHistory, state: MaskState): number {
  const [share, setShare] = useState(0);
  useEffect(() => {
    let isCurrent = history.now() === state;
    void history.mask().then(
      (mask) => {
        if (!isCurrent) return;
        const sum = mask.reduce((all, byte) => all + byte, 0);
        setShare(sum / (255 * Math.max(1, mask.length)));
      },
      () => undefined,
    );
    return () => {
      isCurrent = false;
    };
  }, [history, state]);
  return share;
}

function isStage(target: EventTarget): boolean {
  return target instanceof HTMLElement && target.dataset.stage !== undefined;
}
