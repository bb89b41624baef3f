/** A plot's numbers, to be read and copied. */
import { t } from "@/i18n";
import { type Plot, placesOf, type Series, valueText } from "@/model/plot";
import { seriesName } from "./PlotCanvas";
import styles from "./PlotView.module.css";

const MOST = 500;

interface Props {
  readonly plot: Plot;
  readonly hidden: ReadonlySet<number>;
}

export function PlotTable({ plot, hidden }: Props) {
  const columns = plot.series.flatMap((series, number) =>
    hidden.has(number) ? [] : [{ number, series, values: valuesOf(series) }],
  );
  const places = placesOf(columns.map(({ series }) => series));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: so that it can be scrolled by keys
    <section className={styles.table} aria-label={t("viewers.plot.table")} tabIndex={0}>
      <table>
        {places.length > MOST && (
          <caption>{t("viewers.plot.rows", { shown: MOST, count: places.length })}</caption>
        )}
        <thead>
          <tr>
            <th scope="col">{plot.xLabel || t("viewers.plot.place")}</th>
            {columns.map(({ number, series }) => (
              <th key={number} scope="col">
                {seriesName(series, number)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {places.slice(0, MOST).map((place) => (
            <tr key={place}>
              <th scope="row">{plot.categories?.[place] ?? valueText(place)}</th>
              {columns.map(({ number, values }) => (
                <td key={number}>{valueText(values.get(place) ?? Number.NaN)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function valuesOf({ x, y }: Series): ReadonlyMap<number, number> {
  return new Map([...x].map((place, at) => [place, y[at] ?? Number.NaN]));
}
