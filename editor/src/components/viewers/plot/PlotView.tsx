/** A plot that is looked into: series on and off, zoomed, spaced otherwise, as numbers. */
import { ChartLine, RotateCcw, Table2 } from "lucide-react";
import { useState } from "react";
import { Button, EmptyState, IconButton, Slider } from "@/components/ui";
import { t } from "@/i18n";
import type { Plot } from "@/model/plot";
import base from "../Viewers.module.css";
import { PlotCanvas, seriesName } from "./PlotCanvas";
import { PlotTable } from "./PlotTable";
import styles from "./PlotView.module.css";
import { isSmoothable, type PlotLook, usePlotLook } from "./usePlotView";

export interface PlotProps {
  readonly plot: Plot;
  /** What it is called where it has no title of its own. */
  readonly name: string;
}

export function PlotView({ plot, name }: PlotProps) {
  const look = usePlotLook(plot);
  const [isTable, setTable] = useState(false);
  const title = plot.title || name;
  const isEmpty = plot.series.every(({ y }) => y.length === 0);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    <div className={base.viewer} role="group" aria-label={t("viewers.plot.label", { title })}>
      <div className={styles.head}>
        <h3 className={styles.title}>{title}</h3>
        <Legend plot={plot} look={look} />
      </div>
      <div className={base.stage}>
        {isEmpty ? (
          <EmptyState icon={ChartLine} title={t("viewers.plot.empty")} />
        ) : isTable ? (
          <PlotTable plot={plot} hidden={look.hidden} />
        ) : (
          <PlotCanvas plot={plot} look={look} label={t("viewers.plot.label", { title })} />
        )}
      </div>
      {plot.notes.length > 0 && (
        <div className={styles.notes}>
          {plot.notes.map((note) => (
            <p key={note}>{note}</p>
          ))}
        </div>
      )}
      <Controls plot={plot} look={look} isTable={isTable} onTable={setTable} />
    </div>
  );
}

interface LookProps {
  readonly plot: Plot;
  readonly look: PlotLook;
}

/** Which series are seen; a double click shows just one. */
function Legend({ plot, look }: LookProps) {
  if (plot.series.length < 2 && !plot.series[0]?.name) return null;
  return (
    <fieldset className={styles.legend} aria-label={t("viewers.plot.series")}>
      {plot.series.map((series, number) => (
        <button
          key={number}
          type="button"
          aria-pressed={!look.hidden.has(number)}
          onClick={() => look.toggle(number)}
          onDoubleClick={() => look.only(number)}
        >
          <span className={styles.swatch} data-series={number % 8} />
          {seriesName(series, number)}
        </button>
      ))}
    </fieldset>
  );
}

interface ControlsProps extends LookProps {
  readonly isTable: boolean;
  readonly onTable: (isTable: boolean) => void;
}

function Controls({ plot, look, isTable, onTable }: ControlsProps) {
  const { scales, setScale } = look;
  const hasLines = plot.series.some(isSmoothable);
  const axes = plot.categories === null ? (["x", "y"] as const) : (["y"] as const);
  return (
    <div className={base.controls}>
      {axes.map((axis) => {
        const isLog = scales[axis] === "log";
        return (
          <Button
            key={axis}
            size="s"
            variant="ghost"
            className={styles.log}
            aria-pressed={isLog}
            data-tip={t(axis === "x" ? "viewers.plot.logX" : "viewers.plot.logY")}
            onClick={() => setScale(axis, isLog ? "linear" : "log")}
          >
            {`log ${axis}`}
          </Button>
        );
      })}
      {hasLines && (
        // biome-ignore lint/a11y/noLabelWithoutControl: the slider is in it
        <label className={styles.smoothing}>
          {t("viewers.plot.smooth")}
          <Slider
            value={look.smoothing}
            min={0}
            max={0.98}
            step={0.02}
            label={t("viewers.plot.smooth")}
            onChange={look.setSmoothing}
          />
        </label>
      )}
      <span className={base.gap} />
      <IconButton
        icon={Table2}
        label={t("viewers.plot.table")}
        pressed={isTable}
        onClick={() => onTable(!isTable)}
      />
      <IconButton
        icon={RotateCcw}
        label={t("viewers.plot.reset")}
        keys="0"
        disabled={look.part === null}
        onClick={() => look.setPart(null)}
      />
    </div>
  );
}
