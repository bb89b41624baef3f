import { ArrowLeftRight, ChevronRight, Dices, Lock, Shuffle } from "lucide-react";
import { IconButton, NumberField, Select, TextField, Toggle } from "@/components/ui";
import { t } from "@/i18n";
import {
  CELL,
  DEFAULT_SETTINGS,
  type Hires,
  loadedBy,
  MOST_IMAGES,
  modelNamed,
  RATIOS,
  ratioOf,
  ratioOfSize,
  seedFrom,
  sizeFor,
  sizesOf,
  USUAL_HIRES,
  upscalerOf,
} from "@/model/generate";
import { drawSeed } from "@/model/seeds";
import { useCatalogue } from "@/store/catalogue";
import { choose, useGenerate } from "@/store/generate";
import styles from "./GeneratePage.module.css";
import { NodeField, number, Setting } from "./Setting";

/** Size, number, seed, and the row of what is changed less often. */
export function ImageSettings() {
  return (
    <div className={styles.group}>
      <Size />
      <div className={styles.row}>
        <Count />
        <Seed />
      </div>
      <Advanced />
    </div>
  );
}

/** Ratios that a button has; the size may be any. */
const SHOWN = RATIOS.filter((ratio) => ratio !== "5:4" && ratio !== "16:10" && ratio !== "2:1");

function Size() {
  const { width, height, model } = useGenerate((page) => page.settings);
  const family = useCatalogue(({ models }) => sizesOf(modelNamed(models ?? [], model), model));
  const ratio = ratioOfSize(family, { width, height });
  const isStanding = height > width;
  const take = (name: string) => {
    const wide = ratioOf(name);
    choose(sizeFor(family, isStanding ? 1 / wide : wide));
  };
  return (
    <Setting
      field="size"
      id="generate/width"
      label={t("generate.field.size")}
      end={
        <span className={styles.pixels}>
          <NumberField
            id="generate/width"
            label={t("generate.width")}
            value={width}
            min={CELL}
            max={8192}
            step={CELL}
            integer
            onChange={(next) => choose({ width: next })}
          />
          <span aria-hidden>×</span>
          <NumberField
            label={t("generate.height")}
            value={height}
            min={CELL}
            max={8192}
            step={CELL}
            integer
            onChange={(next) => choose({ height: next })}
          />
        </span>
      }
    >
      <fieldset className={styles.ratios} aria-label={t("generate.ratio")}>
        {SHOWN.map((name) => (
          <button
            key={name}
            type="button"
            className={styles.ratio}
            aria-pressed={name === ratio}
            onClick={() => take(name)}
          >
            <Shape ratio={ratioOf(name)} isStanding={isStanding} />
            {isStanding ? name.split(":").reverse().join(":") : name}
          </button>
        ))}
        <IconButton
          icon={ArrowLeftRight}
          label={t("generate.turn")}
          disabled={width === height}
          onClick={() => choose({ width: height, height: width })}
        />
      </fieldset>
    </Setting>
  );
}

const SHAPE = 16;

function Shape({ ratio, isStanding }: { readonly ratio: number; readonly isStanding: boolean }) {
  const short = SHAPE / ratio;
  const [width, height] = isStanding ? [short, SHAPE] : [SHAPE, short];
  return (
    <svg viewBox="0 0 18 18" width={18} height={18} aria-hidden="true">
      <rect
        x={9 - width / 2}
        y={9 - height / 2}
        width={width}
        height={height}
        rx={1.5}
        fill="none"
        stroke="currentColor"
        strokeWidth={1.4}
      />
    </svg>
  );
}

function Count() {
  const count = useGenerate(({ settings }) => settings.count);
  return (
    <div className={styles.setting}>
      <div className={styles.settingHead}>
        <label htmlFor="generate/count" className={styles.label}>
          {t("generate.count")}
        </label>
      </div>
      <NumberField
        id="generate/count"
        value={count}
        min={1}
        max={MOST_IMAGES}
        step={1}
        integer
        onChange={(next) => choose({ count: next })}
      />
    </div>
  );
}

function Seed() {
  const { seed, isRandom } = useGenerate((page) => page.settings);
  return (
    <Setting field="seed" id="generate/seed" label={t("generate.field.seed")}>
      <div className={styles.seed}>
        <TextField
          id="generate/seed"
          inputMode="numeric"
          value={isRandom ? "" : seed}
          placeholder={t("generate.randomSeed")}
          onChange={(text) => {
            const digits = seedFrom(text.replaceAll(/\D/g, ""));
            choose(digits === null ? { isRandom: true } : { seed: digits, isRandom: false });
          }}
        />
        <IconButton
          icon={Dices}
          label={t("widgets.drawSeed")}
          onClick={() => choose({ seed: String(drawSeed(Math.random)), isRandom: false })}
        />
        <IconButton
          icon={isRandom ? Shuffle : Lock}
          label={t("generate.keepSeed")}
          pressed={!isRandom}
          onClick={() => choose({ isRandom: !isRandom })}
        />
      </div>
    </Setting>
  );
}

function Advanced() {
  const settings = useGenerate((page) => page.settings);
  const { steps, cfg, sampler, schedule, clipSkip, guidance } = settings;
  const usual = DEFAULT_SETTINGS;
  return (
    <details className={styles.advanced}>
      <summary>
        <ChevronRight aria-hidden size={15} className={styles.arrow} />
        <span>{t("generate.advanced")}</span>
        <span className={styles.summary}>
          {t("generate.advancedSummary", { steps, cfg, sampler })}
        </span>
      </summary>
      <div className={styles.grid}>
        <NodeField
          field="steps"
          type="KSampler"
          port="steps"
          value={steps}
          onChange={(value) => choose({ steps: number(value, usual.steps) })}
        />
        <NodeField
          field="cfg"
          type="KSampler"
          port="cfg"
          value={cfg}
          onChange={(value) => choose({ cfg: number(value, usual.cfg) })}
        />
        <NodeField
          field="sampler"
          type="KSampler"
          port="sampler"
          value={sampler}
          onChange={(value) => choose({ sampler: String(value) })}
        />
        <NodeField
          field="schedule"
          type="KSampler"
          port="schedule"
          value={schedule}
          onChange={(value) => choose({ schedule: String(value) })}
        />
        <OptionalNumber
          field="clipSkip"
          value={clipSkip}
          min={1}
          max={24}
          step={1}
          onChange={(value) => choose({ clipSkip: value })}
        />
        <OptionalNumber
          field="guidance"
          value={guidance}
          min={0}
          max={100}
          step={0.1}
          onChange={(value) => choose({ guidance: value })}
        />
      </div>
      <HiresField />
    </details>
  );
}

interface OptionalNumberProps {
  readonly field: "clipSkip" | "guidance";
  readonly value: number | null;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly onChange: (value: number | null) => void;
}

/** A number that most models need no value of: empty for their own. */
function OptionalNumber({ field, value, min, max, step, onChange }: OptionalNumberProps) {
  const id = `generate/${field}`;
  return (
    <Setting field={field} id={id} label={t(`generate.field.${field}`)}>
      <TextField
        id={id}
        inputMode="decimal"
        value={value === null ? "" : String(value)}
        placeholder={t("generate.asModel")}
        onChange={(text) => {
          const plain = text.trim().replace(",", ".");
          const next = Number(plain);
          if (plain === "") onChange(null);
          else if (Number.isFinite(next)) {
            const whole = step === 1 ? Math.round(next) : next;
            onChange(Math.min(max, Math.max(min, whole)));
          }
        }}
      />
    </Setting>
  );
}

/** A second pass at a larger size. */
function HiresField() {
  const { hires, start } = useGenerate((page) => page.settings);
  const models = useCatalogue((state) => state.models) ?? [];
  const usual: Hires = { ...USUAL_HIRES, upscaler: upscalerOf(models) ?? "" };
  const change = (part: Partial<Hires>) => choose({ hires: { ...(hires ?? usual), ...part } });
  const upscalers = loadedBy(models, "LoadUpscaleModel").map(({ name }) => ({
    value: name,
    label: name.replace(/\.safetensors$/, ""),
  }));
  return (
    <Setting
      field="hires"
      id="generate/hires"
      label={t("generate.field.hires")}
      className={styles.hires}
      end={
        <Toggle
          id="generate/hires"
          checked={hires !== null && !start?.isMasked}
          disabled={start?.isMasked}
          onChange={(isOn) => choose({ hires: isOn ? usual : null })}
        />
      }
    >
      {hires !== null && !start?.isMasked && (
        <div className={styles.grid}>
          <div className={styles.setting}>
            <label htmlFor="generate/factor" className={styles.label}>
              {t("generate.factor")}
            </label>
            <NumberField
              id="generate/factor"
              value={hires.factor}
              min={1}
              max={8}
              step={0.25}
              onChange={(factor) => change({ factor })}
            />
          </div>
          <div className={styles.setting}>
            <label htmlFor="generate/redraw" className={styles.label}>
              {t("generate.field.strength")}
            </label>
            <NumberField
              id="generate/redraw"
              value={hires.denoise}
              min={0}
              max={1}
              step={0.05}
              onChange={(denoise) => change({ denoise })}
            />
          </div>
          <div className={styles.setting}>
            <label htmlFor="generate/upscaler" className={styles.label}>
              {t("generate.enlargedBy")}
            </label>
            <Select
              id="generate/upscaler"
              value={hires.upscaler}
              options={[{ value: "", label: t("generate.byLatent") }, ...upscalers]}
              onChange={(upscaler) => change({ upscaler })}
            />
          </div>
        </div>
      )}
    </Setting>
  );
}
