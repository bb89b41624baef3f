/** Rows and cells of grids that aren't tables: laid out freely, and only what is seen is made. */
import type { HTMLAttributes } from "react";

type Props = HTMLAttributes<HTMLDivElement> & { readonly "data-item"?: number };

const ROW = "row";
const CELL = "gridcell";

export function GridRow(props: Props) {
  return <div {...props} role={ROW} />;
}

export function GridCell(props: Props) {
  return <div {...props} role={CELL} />;
}
