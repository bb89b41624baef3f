/** What the chosen layer is blended with, and what applies it. */
import { useEffect, useId, useMemo, useRef, useState } from "react";
import { Select, Slider } from "@/components/ui";
import { t } from "@/i18n";
import { isLink, linkOf } from "@/model/links";
import type { PaintEntry, PaintLayer } from "@/model/painting";
import { isLayer } from "@/model/painting";
import { nodesOf } from "@/model/scope";
import { inputOf } from "@/model/spec";
import { widgetOf } from "@/model/widgets";
import { useCatalogue } from "@/store/catalogue";
import { controlPicture } from "@/store/controlPictures";
import { useActive, useDocuments } from "@/store/documents";
import { faultText } from "@/store/notices";
import { change } from "../layerActions";
import styles from "./LayerDetails.module.css";
import { LayerModel } from "./LayerModel";
import { NodeField } from "./NodeField";

const NOTHING: Partial<Pick<PaintLayer, "control" | "region">> = {};
/** Milliseconds: strokes and sliders in a row make one picture. */
const SOON = 500;
/** Of what applies a layer: how strongly, and in which part of the sampling. */
const CONTROL_PORTS = ["strength", "weight", "start", "end"] as const;

export function LayerDetails({ entry }: { readonly entry: PaintEntry }) {
  const modes = useModes();
  const hasBlend = entry.kind === "raster" || entry.kind === "control";
  const { control, region } = isLayer(entry) ? entry : NOTHING;
  return (
    <div className={styles.details}>
      {entry.kind !== "reference" && <Opacity entry={entry} />}
      {hasBlend && (
        <Select
          label={t("painting.mode")}
          value={entry.mode}
          options={modes.map((mode) => ({
            value: mode,
            label: t(`painting.mode.${mode.replaceAll(" ", "-")}`),
          }))}
          onChange={(mode) => change(entry.node, { mode })}
        />
      )}
      {isLayer(entry) && control && <LayerModel layer={entry} />}
      {control && (
        <div className={styles.fields}>
          {control.preprocessor !== null && (
            <Preprocessor node={control.preprocessor} layer={entry as PaintLayer} />
          )}
          {CONTROL_PORTS.map((port) => (
            <NodeField key={port} node={control.apply} port={port} />
          ))}
        </div>
      )}
      {region && (
        <div className={styles.fields}>
          <NodeField
            node={region.prompt}
            port={region.port ?? "text"}
            title={t("painting.regionPrompt")}
          />
        </div>
      )}
    </div>
  );
}

/** What makes the picture that a control net takes: its kind, and what it makes of the layer. */
function Preprocessor({ node, layer }: { readonly node: string; readonly layer: PaintLayer }) {
  const document = useDocuments((state) => state.active);
  const kind = useActive((_document, workflow, scope) => {
    const written = nodesOf(workflow, scope).get(node)?.inputs.get("preprocessor");
    return isLink(written) ? (linkOf(written)?.node ?? null) : null;
  });
  const settings = useActive((_document, workflow, scope) => {
    const inputs = kind === null ? undefined : nodesOf(workflow, scope).get(kind)?.inputs;
    return JSON.stringify([...(inputs ?? [])]);
  });
  const { picture: file, placement, visible, opacity, mode } = layer;
  const made = JSON.stringify([file?.value, placement, visible, opacity, mode, settings]);
  const { picture, fault } = usePreprocessed(document, node, made);
  return (
    <>
      {kind !== null && <NodeField node={kind} port="kind" />}
      {picture !== null && (
        <img src={picture} alt={t("painting.preprocessed")} className={styles.made} />
      )}
      {fault !== null && <p className={styles.fault}>{fault}</p>}
    </>
  );
}

interface Preprocessed {
  readonly picture: string | null;
  readonly fault: string | null;
}

/** A moment after each change of what it is made of; the one before is shown until then. */
function usePreprocessed(document: string, node: string, made: string): Preprocessed {
  const [shown, setShown] = useState<Preprocessed>({ picture: null, fault: null });
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is made anew of what it is made of
  useEffect(() => {
    let isWanted = true;
    const show = (next: Preprocessed) => {
      if (isWanted) setShown(next);
    };
    const timer = setTimeout(() => {
      controlPicture(document, node).then(
        (picture) => picture !== null && show({ picture, fault: null }),
        (fault: unknown) => show({ picture: null, fault: faultText(fault) }),
      );
    }, SOON);
    return () => {
      isWanted = false;
      clearTimeout(timer);
    };
  }, [document, node, made]);
  return shown;
}

/** The blend modes that the server's layers have. */
function useModes(): readonly string[] {
  const types = useCatalogue((catalogue) => catalogue.types);
  return useMemo(() => {
    const spec = types?.byName.get("AddLayer");
    const input = spec ? inputOf(spec, "mode") : null;
    const widget = input && widgetOf(input);
    return widget?.kind === "choice" ? widget.options.map(String) : [];
  }, [types]);
}

function Opacity({ entry }: { readonly entry: PaintEntry }) {
  const id = useId();
  // A drag is one step to undo; the next one is another.
  const drag = useRef(0);
  const percent = Math.round(entry.opacity * 100);
  return (
    <div className={styles.opacity}>
      <label htmlFor={id}>{t("painting.opacity")}</label>
      <Slider
        id={id}
        min={0}
        max={100}
        step={1}
        value={percent}
        onChange={(value) => change(entry.node, { opacity: value / 100 }, String(drag.current))}
        onCommit={() => {
          drag.current += 1;
        }}
      />
      <output htmlFor={id}>{percent} %</output>
    </div>
  );
}
