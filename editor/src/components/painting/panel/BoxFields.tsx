/** The part of the canvas that the model paints, and the size at which it does. */
import { useId } from "react";
import { Field, NumberField, Select } from "@/components/ui";
import { t } from "@/i18n";
import {
  type CanvasBox,
  type PaintCanvas,
  sampledFor,
  sampledSize,
  setBox,
  snapped,
} from "@/model/painting";
import { familyAt } from "@/model/search";
import { modelFamilies, useCatalogue } from "@/store/catalogue";
import { useActive } from "@/store/documents";
import { edit, ofDrag } from "../layerActions";
import styles from "./BoxFields.module.css";

const SIDE = { min: 8, max: 16384, step: 8, integer: true } as const;

export function BoxFields({ canvas }: { readonly canvas: PaintCanvas }) {
  const { box } = canvas;
  const id = useId();
  const set = (changes: Partial<CanvasBox>) => changeBox({ ...box, ...changes }, true);
  const sampled = sampledSize(box);
  const text = (size: { width: number; height: number }) => `${size.width} × ${size.height}`;
  const family = useFamily(canvas);
  const sizes = [snapped(box), ...(family === null ? [] : [sampledFor(family, box)]), sampled];
  const options = [...new Map(sizes.map((size) => [text(size), size]))].map(([label, size]) => ({
    value: label,
    label,
    size,
  }));
  return (
    <div className={styles.fields}>
      <Field id={`${id}-width`} label={t("painting.boxSize")}>
        <span className={styles.pair}>
          <NumberField
            {...SIDE}
            id={`${id}-width`}
            label={t("painting.width")}
            value={box.width}
            onChange={(width) => set({ width })}
          />
          <NumberField
            {...SIDE}
            label={t("painting.height")}
            value={box.height}
            onChange={(height) => set({ height })}
          />
        </span>
      </Field>
      <Field id={`${id}-sampled`} label={t("painting.sampledSize")}>
        <Select
          id={`${id}-sampled`}
          value={text(sampled)}
          options={options}
          onChange={(chosen) => {
            const size = options.find(({ value }) => value === chosen)?.size;
            if (size) set({ sampledWidth: size.width, sampledHeight: size.height });
          }}
        />
      </Field>
    </div>
  );
}

/** The family of the model that samples the canvas; null where it isn't known. */
function useFamily({ sampler, box }: PaintCanvas): string | null {
  useCatalogue((catalogue) => catalogue.models);
  return useActive((_document, workflow, scope) =>
    familyAt(workflow, scope, sampler?.node ?? box.node, modelFamilies()),
  );
}

/** A drag of the box is one step to undo. */
export function changeBox(box: CanvasBox, done: boolean): void {
  edit(
    "painting.edit.box",
    ({ ground, canvas }) => setBox(ground, canvas, box),
    `box:${box.node}#${ofDrag(done)}`,
  );
}
