import { useEffect, useRef } from "react";
import { Button, NumberField, Slider } from "@/components/ui";
import { useWidgetServices } from "@/components/widgets/services";
import { t } from "@/i18n";
import { CELL, modelNamed, sizeFor, sizesOf } from "@/model/generate";
import { useCatalogue } from "@/store/catalogue";
import { choose, useGenerate } from "@/store/generate";
import styles from "./GeneratePage.module.css";
import { NodeField, Setting } from "./Setting";

/** An image to start from, how far it is changed, and the part of it that is. */
export function StartSettings() {
  const { start, strength } = useGenerate((page) => page.settings);
  const value = start?.value ?? "";
  useSizeOf(value);
  return (
    <div className={styles.group}>
      <NodeField
        field="start"
        type="LoadImage"
        port="path"
        value={value}
        onMasked={(masked) => choose({ start: { value: masked, isMasked: true }, strength: 1 })}
        onChange={(next) => {
          const file = typeof next === "string" ? next : "";
          choose({ start: file === "" ? null : { value: file, isMasked: false } });
        }}
        end={
          start && (
            <Button size="s" variant="ghost" onClick={() => choose({ start: null })}>
              {t("generate.removeStart")}
            </Button>
          )
        }
      />
      {start?.isMasked && (
        <p className={styles.note}>
          {t("generate.masked")}{" "}
          <Button
            size="s"
            variant="ghost"
            onClick={() => choose({ start: { ...start, isMasked: false } })}
          >
            {t("generate.removeMask")}
          </Button>
        </p>
      )}
      {start && (
        <Setting field="strength" id="generate/strength" label={t("generate.field.strength")}>
          <div className={styles.strength}>
            <Slider
              value={strength}
              min={0}
              max={1}
              step={0.01}
              label={t("generate.strengthSlider")}
              onChange={(next) => choose({ strength: next })}
            />
            <NumberField
              id="generate/strength"
              value={strength}
              min={0}
              max={1}
              step={0.01}
              className={styles.amount}
              onChange={(next) => choose({ strength: next })}
            />
          </div>
          <p className={styles.note}>{t("generate.strengthHint")}</p>
        </Setting>
      )}
    </div>
  );
}

/** An image that is chosen brings the size of its ratio that suits the model. */
function useSizeOf(value: string): void {
  const address = useWidgetServices().usePicture(value)?.full ?? null;
  const sized = useRef(value);
  useEffect(() => {
    if (address === null || sized.current === value) return;
    const image = new Image();
    image.onload = () => {
      sized.current = value;
      const { settings } = useGenerate.getState();
      if (settings.start?.value !== value) return;
      choose(sizeOf(image.naturalWidth, image.naturalHeight, settings.model));
    };
    image.src = address;
    return () => {
      image.onload = null;
    };
  }, [address, value]);
}

/** Its own size where that is what the model makes, in area; else one of the family's. */
function sizeOf(width: number, height: number, model: string) {
  const family = sizesOf(modelNamed(useCatalogue.getState().models ?? [], model), model);
  const usual = sizeFor(family, width / height);
  const isNear = width * height <= 1.3 * usual.width * usual.height && width >= 0.7 * usual.width;
  if (!isNear) return usual;
  return { width: width - (width % CELL), height: height - (height % CELL) };
}
