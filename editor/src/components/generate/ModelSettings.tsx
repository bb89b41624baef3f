import { Download, Plus, X } from "lucide-react";
import { useMemo } from "react";
import type { ModelEntry } from "@/api/schema";
import type { Option } from "@/components/ui";
import { Button, Combobox, IconButton, NumberField, Slider } from "@/components/ui";
import { t } from "@/i18n";
import { bytes } from "@/i18n/format";
import {
  type ChosenLora,
  comesInParts,
  isUsable,
  loadedBy,
  MOST_ENCODERS,
  modelNamed,
} from "@/model/generate";
import { loraTitle } from "@/model/promptCompletion";
import { useCatalogue } from "@/store/catalogue";
import { choose, chooseModel, useGenerate } from "@/store/generate";
import { useModelOffers } from "@/store/modelOffers";
import { useUi } from "@/store/ui";
import styles from "./GeneratePage.module.css";
import { Setting } from "./Setting";

const NO_MODELS: readonly ModelEntry[] = [];

function useModels(): readonly ModelEntry[] {
  return useCatalogue(({ models }) => models ?? NO_MODELS);
}

/** The model, what it needs besides, and the LoRAs on it. */
export function ModelSettings() {
  const models = useModels();
  const types = useCatalogue((state) => state.types);
  const { model, vae } = useGenerate((page) => page.settings);
  const usable = useMemo(
    () => (types ? models.filter((each) => isUsable(each, types)) : NO_MODELS),
    [models, types],
  );
  const isInParts = comesInParts(modelNamed(models, model));
  return (
    <div className={styles.group}>
      <Setting
        field="model"
        id="generate/model"
        label={t("generate.field.model")}
        end={
          <Button size="s" variant="ghost" icon={Download} onClick={() => getModels(model)}>
            {t("models.get")}
          </Button>
        }
      >
        <Combobox
          id="generate/model"
          value={model}
          options={usable.map(optionOf)}
          placeholder={t("generate.chooseModel")}
          onChange={chooseModel}
        />
      </Setting>
      {isInParts ? <Parts models={models} /> : vae !== "" && <Vae models={models} />}
      <Loras models={models} />
    </div>
  );
}

/** Look for the model that is chosen, where the server lacks it. */
function getModels(model: string): void {
  const { models } = useCatalogue.getState();
  const isLacking = model !== "" && models !== null && modelNamed(models, model) === null;
  const { find, search } = useModelOffers.getState();
  if (isLacking) void find({ ...search, text: nameOf(model) });
  useUi.getState().openDialog("getModels");
}

function optionOf(model: ModelEntry): Option {
  const { name, family, part, thumbnail } = model;
  const hint = [family, part, bytes(model.bytes)].filter(Boolean).join(" · ");
  return { value: name, label: nameOf(name), hint, picture: thumbnail ?? undefined };
}

/** Without the ending, which says nothing here. */
function nameOf(name: string): string {
  return name.replace(/\.(safetensors|gguf)$/, "");
}

/** The text encoder's files and the VAE of a diffusion model that comes without them. */
function Parts({ models }: { readonly models: readonly ModelEntry[] }) {
  const { encoders } = useGenerate((page) => page.settings);
  const readers = loadedBy(models, "LoadTextEncoder") as readonly ModelEntry[];
  const left = readers.filter(({ name }) => !encoders.includes(name));
  return (
    <>
      <Setting field="encoders" id="generate/encoders" label={t("generate.field.encoders")}>
        {encoders.length > 0 && (
          <ul className={styles.chips}>
            {encoders.map((name) => (
              <li key={name}>
                <button
                  type="button"
                  className={styles.chip}
                  aria-label={t("generate.takeOff", { name })}
                  onClick={() => choose({ encoders: encoders.filter((each) => each !== name) })}
                >
                  {nameOf(name)}
                  <X aria-hidden size={13} />
                </button>
              </li>
            ))}
          </ul>
        )}
        {encoders.length < MOST_ENCODERS && (
          <Combobox
            id="generate/encoders"
            value=""
            options={left.map(optionOf)}
            placeholder={t(left.length > 0 ? "generate.addEncoder" : "generate.noEncoders")}
            onChange={(name) => choose({ encoders: [...encoders, name] })}
          />
        )}
      </Setting>
      <Vae models={models} />
    </>
  );
}

/** The VAE, of a file of its own; a whole model has one that can be taken again. */
function Vae({ models }: { readonly models: readonly ModelEntry[] }) {
  const { model, vae } = useGenerate((page) => page.settings);
  const vaes = loadedBy(models, "LoadVae") as readonly ModelEntry[];
  const isWhole = !comesInParts(modelNamed(models, model));
  return (
    <Setting
      field="vae"
      id="generate/vae"
      label={t("generate.field.vae")}
      end={
        isWhole && (
          <Button size="s" variant="ghost" onClick={() => choose({ vae: "" })}>
            {t("generate.removeStart")}
          </Button>
        )
      }
    >
      <Combobox
        id="generate/vae"
        value={vae}
        options={vaes.map(optionOf)}
        placeholder={t(vaes.length > 0 ? "ui.choose" : "generate.noVae")}
        onChange={(name) => choose({ vae: name })}
      />
    </Setting>
  );
}

/** A card for each LoRA, with how strongly it changes the model. */
function Loras({ models }: { readonly models: readonly ModelEntry[] }) {
  const { loras, embeddings } = useGenerate((page) => page.settings);
  const known = models.filter(({ use, problem }) => use === "lora" && problem === null);
  const left = known.filter(({ name }) => !loras.some((lora) => lora.name === name));
  if (known.length === 0 && loras.length === 0 && embeddings.length === 0) return null;
  const change = (changed: ChosenLora) =>
    choose({ loras: loras.map((lora) => (lora.name === changed.name ? changed : lora)) });
  return (
    <Setting field="loras" id="generate/loras" label={t("generate.field.loras")}>
      {loras.length > 0 && (
        <ul className={styles.cards}>
          {loras.map((lora) => (
            <LoraCard
              key={lora.name}
              lora={lora}
              model={known.find(({ name }) => name === lora.name) ?? null}
              onChange={change}
            />
          ))}
        </ul>
      )}
      {left.length > 0 && (
        <Combobox
          id="generate/loras"
          value=""
          options={left.map(loraOption)}
          placeholder={t("generate.addLora")}
          onChange={(name) => choose({ loras: [...loras, { name, strength: 1 }] })}
        />
      )}
      {embeddings.length > 0 && <Embeddings names={embeddings} />}
    </Setting>
  );
}

function loraOption(model: ModelEntry): Option {
  const hint = [model.trigger_words.join(", "), bytes(model.bytes)].filter(Boolean).join(" · ");
  return { ...optionOf(model), label: loraTitle({ name: model.name, words: "" }), hint };
}

interface CardProps {
  readonly lora: ChosenLora;
  /** Null where the server hasn't got it. */
  readonly model: ModelEntry | null;
  readonly onChange: (lora: ChosenLora) => void;
}

const STRONGEST = 2;

function LoraCard({ lora, model, onChange }: CardProps) {
  const title = loraTitle({ name: lora.name, words: "" });
  const words = model?.trigger_words.join(", ") ?? "";
  const set = (strength: number) => onChange({ ...lora, strength });
  return (
    <li className={styles.card}>
      {model?.thumbnail ? (
        <img className={styles.cardImage} src={model.thumbnail} alt="" loading="lazy" />
      ) : (
        <span className={styles.cardLetter} aria-hidden>
          {title.charAt(0).toUpperCase()}
        </span>
      )}
      <div className={styles.cardBody}>
        <span className={styles.cardTitle}>{title}</span>
        {words !== "" && <TriggerWords words={words} />}
        <div className={styles.strength}>
          <Slider
            value={lora.strength}
            min={Math.min(0, lora.strength)}
            max={Math.max(STRONGEST, lora.strength)}
            step={0.05}
            label={t("generate.loraSlider", { name: title })}
            onChange={set}
          />
          <NumberField
            value={lora.strength}
            min={-10}
            max={10}
            step={0.05}
            label={t("generate.loraStrength", { name: title })}
            className={styles.amount}
            onChange={set}
          />
        </div>
      </div>
      <IconButton
        icon={X}
        size="s"
        label={t("generate.takeOff", { name: title })}
        onClick={() => {
          const { loras } = useGenerate.getState().settings;
          choose({ loras: loras.filter(({ name }) => name !== lora.name) });
        }}
      />
    </li>
  );
}

/** What prompts say for what a LoRA was taught; a click writes it into the prompt. */
function TriggerWords({ words }: { readonly words: string }) {
  const prompt = useGenerate(({ settings }) => settings.prompt);
  const isThere = prompt.includes(words);
  return (
    <button
      type="button"
      className={styles.chip}
      disabled={isThere}
      aria-label={t("generate.addWords", { words })}
      onClick={() => choose({ prompt: prompt.trim() === "" ? words : `${prompt}, ${words}` })}
    >
      {!isThere && <Plus aria-hidden size={12} />}
      {words}
    </button>
  );
}

/** Textual inversions that the prompts use. */
function Embeddings({ names }: { readonly names: readonly string[] }) {
  return (
    <ul className={styles.chips} aria-label={t("generate.field.embeddings")}>
      {names.map((file) => {
        const name = nameOf(file.slice(file.lastIndexOf("/") + 1));
        return (
          <li key={file}>
            <button
              type="button"
              className={styles.chip}
              aria-label={t("generate.takeOff", { name })}
              onClick={() => choose({ embeddings: names.filter((each) => each !== file) })}
            >
              {name}
              <X aria-hidden size={13} />
            </button>
          </li>
        );
      })}
    </ul>
  );
}
