/** A plot of a node that still runs: small in its card, or in full. */
import { useMemo } from "react";
import { t } from "@/i18n";
import { readPlot } from "@/model/plot";
import { PlotCanvas } from "./PlotCanvas";
import { PlotView } from "./PlotView";
import styles from "./PlotView.module.css";
import { usePlotLook } from "./usePlotView";

interface Props {
  /** As the server told of it. */
  readonly given: unknown;
  readonly name: string;
  readonly isSmall?: boolean;
}

export default function LivePlot({ given, name, isSmall = false }: Props) {
  const plot = useMemo(() => readPlot(given), [given]);
  if (plot === null) return null;
  return isSmall ? <Small plot={plot} name={name} /> : <PlotView plot={plot} name={name} />;
}

function Small({ plot, name }: { plot: NonNullable<ReturnType<typeof readPlot>>; name: string }) {
  const look = usePlotLook(plot);
  return (
    <div className={styles.small}>
      <PlotCanvas
        plot={plot}
        look={look}
        label={t("viewers.plot.label", { title: plot.title || name })}
        isSmall
      />
    </div>
  );
}
