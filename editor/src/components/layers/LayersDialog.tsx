import { Brush, Eraser, Trash2, Undo2 } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import type { ArtifactEntry } from "@/api/schema";
import { Button, Dialog, Field, IconButton, NumberField, Slider, Tabs } from "@/components/ui";
import { FilePicker } from "@/components/widgets/FilePicker";
import { nameOf } from "@/components/widgets/FileWidget";
import { useWidgetServices, WidgetServicesProvider } from "@/components/widgets/services";
import { storeServices } from "@/components/widgets/storeServices";
import { t } from "@/i18n";
import {
  isPainted,
  isWider,
  type Margins,
  NO_MARGINS,
  type PaintedLayer,
  STEP,
  type Stroke,
  withMargin,
} from "@/model/strokes";
import { confirm } from "@/store/ui";
import { LayerStage } from "./LayerStage";
import styles from "./LayersDialog.module.css";
import { writeLayers } from "./writing";

interface Props {
  readonly artifact: ArtifactEntry;
  /** Of the graph that is shown, whose picture it is. */
  readonly node: string | null;
  readonly onClose: () => void;
}

const SIDES = ["left", "top", "right", "bottom"] as const;
type Layer = "base" | PaintedLayer | "reference";
const LAYERS: readonly Layer[] = ["base", "mask", "sketch", "reference"];

/** A picture on a canvas with layers, which become nodes. */
export default function LayersDialog({ artifact, node, onClose }: Props) {
  const [layer, setLayer] = useState<Layer>("base");
  const [frame, setFrame] = useState<Margins>(NO_MARGINS);
  const [strokes, setStrokes] = useState<readonly Stroke[]>([]);
  const [size, setSize] = useState(Math.round((artifact.width ?? 512) / 10));
  const [color, setColor] = useState("#d03030");
  const [erases, setErases] = useState(false);
  const [reference, setReference] = useState<string | null>(null);
  const [saving, setSaving] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const painted = layer === "mask" || layer === "sketch" ? layer : null;
  const own = strokes.filter((stroke) => stroke.layer === painted);
  const hasAny =
    isWider(frame) ||
    isPainted(strokes, "mask") ||
    isPainted(strokes, "sketch") ||
    reference !== null;

  const leave = async () => {
    if (saving || (hasAny && !(await mayLeave()))) return;
    onClose();
  };
  const write = async () => {
    setSaving(true);
    setFault(null);
    try {
      await writeLayers({ artifact, node, frame, strokes, reference });
      onClose();
    } catch (problem) {
      setFault(problem instanceof Error ? problem.message : String(problem));
      setSaving(false);
    }
  };
  return (
    <Dialog
      title={t("layers.title")}
      size="full"
      padded={false}
      dismissable={false}
      onClose={() => void leave()}
      footer={
        <>
          {fault !== null && (
            <p role="alert" className={styles.fault}>
              {t("layers.failed", { reason: fault })}
            </p>
          )}
          <Button onClick={() => void leave()}>{t("shell.cancel")}</Button>
          <Button variant="primary" busy={saving} disabled={!hasAny} onClick={() => void write()}>
            {t("layers.write")}
          </Button>
        </>
      }
    >
      <WidgetServicesProvider value={storeServices}>
        <div className={styles.body}>
          <LayerStage
            artifact={artifact}
            frame={frame}
            strokes={strokes}
            brush={painted && { layer: painted, color, size, erases }}
            onFrame={setFrame}
            onStroke={(stroke) => setStrokes([...strokes, stroke])}
          />
          <aside className={styles.side} aria-label={t("layers.layers")}>
            <Tabs
              label={t("layers.layers")}
              active={layer}
              onChange={(id) => setLayer(id as Layer)}
              tabs={LAYERS.map((id) => ({ id, label: t(`layers.${id}`) }))}
            >
              <div className={styles.fields}>
                <p className={styles.help}>{t(`layers.help.${layer}`)}</p>
                {layer === "base" && <FrameFields frame={frame} onChange={setFrame} />}
                {painted !== null && (
                  <>
                    <BrushFields
                      size={size}
                      onSize={setSize}
                      color={painted === "sketch" ? color : null}
                      onColor={setColor}
                    />
                    <div className={styles.tools}>
                      <IconButton
                        icon={erases ? Eraser : Brush}
                        label={t("layers.eraser")}
                        pressed={erases}
                        onClick={() => setErases(!erases)}
                      />
                      <IconButton
                        icon={Undo2}
                        label={t("layers.undo")}
                        disabled={own.length === 0}
                        onClick={() => setStrokes(withoutLast(strokes, painted))}
                      />
                      <IconButton
                        icon={Trash2}
                        label={t("layers.clear")}
                        disabled={own.length === 0}
                        onClick={() => setStrokes(strokes.filter((each) => each.layer !== painted))}
                      />
                    </div>
                  </>
                )}
                {layer === "reference" && (
                  <ReferenceField value={reference} onChange={setReference} />
                )}
              </div>
            </Tabs>
          </aside>
        </div>
      </WidgetServicesProvider>
    </Dialog>
  );
}

function mayLeave(): Promise<boolean> {
  return confirm({
    title: t("layers.leave"),
    detail: t("mask.leaveDetail"),
    confirm: t("mask.leaveConfirm"),
    danger: true,
  });
}

function withoutLast(strokes: readonly Stroke[], layer: PaintedLayer): readonly Stroke[] {
  const last = strokes.findLastIndex((stroke) => stroke.layer === layer);
  return last < 0 ? strokes : strokes.toSpliced(last, 1);
}

interface FrameProps {
  readonly frame: Margins;
  readonly onChange: (frame: Margins) => void;
}

function FrameFields({ frame, onChange }: FrameProps) {
  const id = useId();
  return (
    <div className={styles.sides}>
      {SIDES.map((side) => (
        <Field key={side} id={`${id}-${side}`} label={t(`layers.side.${side}`)}>
          <NumberField
            id={`${id}-${side}`}
            value={frame[side]}
            min={0}
            max={2048}
            step={STEP}
            integer
            onChange={(value) => onChange(withMargin(frame, side, value ?? 0))}
          />
        </Field>
      ))}
    </div>
  );
}

interface BrushProps {
  readonly size: number;
  readonly onSize: (size: number) => void;
  /** Null of a mask. */
  readonly color: string | null;
  readonly onColor: (color: string) => void;
}

function BrushFields({ size, onSize, color, onColor }: BrushProps) {
  const id = useId();
  return (
    <>
      <Field id={`${id}-size`} label={t("layers.size")}>
        <Slider id={`${id}-size`} value={size} min={1} max={256} step={1} onChange={onSize} />
      </Field>
      {color !== null && (
        <Field id={`${id}-color`} label={t("layers.color")}>
          <input
            id={`${id}-color`}
            type="color"
            className={styles.color}
            value={color}
            onChange={(event) => onColor(event.target.value)}
          />
        </Field>
      )}
    </>
  );
}

interface ReferenceProps {
  readonly value: string | null;
  readonly onChange: (value: string | null) => void;
}

/** A picture that was brought, or that a workflow gave. */
function ReferenceField({ value, onChange }: ReferenceProps) {
  const services = useWidgetServices();
  const button = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState(false);
  const [anchor, setAnchor] = useState<Element | null>(null);
  useEffect(() => setAnchor(button.current), []);
  const picture = services.usePicture(value ?? "");
  return (
    <div ref={button} className={styles.reference}>
      {value !== null && picture !== null && (
        <img src={picture.small} alt={t("widgets.pictureOf", { name: nameOf(value) })} />
      )}
      <div className={styles.tools}>
        <Button size="s" onClick={() => setOpen(!open)}>
          {t("layers.choose")}
        </Button>
        {value !== null && (
          <Button size="s" onClick={() => onChange(null)}>
            {t("layers.remove")}
          </Button>
        )}
      </div>
      {open && anchor && (
        <FilePicker
          anchor={anchor}
          kind="image"
          value={value ?? ""}
          onClose={() => setOpen(false)}
          onChoose={(chosen) => {
            setOpen(false);
            onChange(chosen);
          }}
        />
      )}
    </div>
  );
}
