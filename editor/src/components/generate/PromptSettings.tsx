import { Clock, Palette, Tags, X } from "lucide-react";
import { useMemo, useRef } from "react";
import type { TagListEntry } from "@/api/schema";
import { download } from "@/components/shell/download";
import { MenuButton, type MenuEntry, tip } from "@/components/ui";
import { t } from "@/i18n";
import { numeral } from "@/i18n/format";
import {
  csvOfStyles,
  type GenerateSettings,
  merged,
  promptsOf,
  type Style,
} from "@/model/generate";
import type { EmbeddingSource, LoraSource } from "@/model/promptCompletion";
import { addStyles, choose, removeStyle, useGenerate } from "@/store/generate";
import { notifyFault } from "@/store/notices";
import { forgetPrompts, keptPrompts } from "@/store/promptHistory";
import { forgetTagList, leaveTagList, takeTagList, useTagList } from "@/store/tagList";
import { askText, confirm } from "@/store/ui";
import { importStyles, importTags } from "./actions";
import { chooseFile } from "./chooseFile";
import styles from "./GeneratePage.module.css";
import { NodeField } from "./Setting";

/** The prompts, with styles, earlier prompts and tags. */
export function PromptSettings() {
  const prompt = useGenerate(({ settings }) => settings.prompt);
  const negative = useGenerate(({ settings }) => settings.negative);
  const loras = usePromptLoras();
  return (
    <div className={styles.group}>
      <NodeField
        field="prompt"
        type="EncodePrompt"
        port="text"
        value={prompt}
        loras={loras}
        className={styles.prompt}
        onChange={(value) => choose({ prompt: String(value) })}
        end={
          <span className={styles.tools}>
            <HistoryMenu />
            <TagsMenu />
            <StylesMenu />
          </span>
        }
      />
      <ChosenStyles />
      <NodeField
        field="negative"
        type="EncodePrompt"
        port="text"
        value={negative}
        hint={t("generate.negativeHint")}
        onChange={(value) => choose({ negative: String(value) })}
      />
    </div>
  );
}

/** LoRAs and textual inversions that are taken in the prompt become cards beside it. */
function usePromptLoras() {
  const before = useRef<GenerateSettings | null>(null);
  return useMemo(() => {
    const put = (change: Partial<GenerateSettings>) => {
      before.current = useGenerate.getState().settings;
      choose(change);
    };
    return {
      areMeant: () => true,
      areWordsTaught: () => true,
      put: ({ name }: LoraSource, prompt: string) => {
        const { loras } = useGenerate.getState().settings;
        const isThere = loras.some((lora) => lora.name === name);
        put({ prompt, ...(isThere ? {} : { loras: [...loras, { name, strength: 1 }] }) });
      },
      teach: ({ file }: EmbeddingSource, prompt: string) => {
        const { embeddings } = useGenerate.getState().settings;
        const isNew = file !== null && !embeddings.includes(file);
        put({ prompt, ...(isNew ? { embeddings: [...embeddings, file] } : {}) });
      },
      undo: () => {
        if (before.current !== null) choose(before.current);
        before.current = null;
      },
    };
  }, []);
}

const MOST_PROMPTS = 20;

function HistoryMenu() {
  const items = (): readonly MenuEntry[] => {
    const prompts = keptPrompts().slice(0, MOST_PROMPTS);
    if (prompts.length === 0) return [{ heading: t("generate.noPrompts") }];
    return [
      { heading: t("generate.prompts") },
      ...prompts.map((prompt) => ({ label: prompt, run: () => choose({ prompt }) })),
      "separator",
      { label: t("generate.forgetPrompts"), danger: true, run: forgetPrompts },
    ];
  };
  return <MenuButton icon={Clock} size="s" label={t("generate.prompts")} items={items} />;
}

function TagsMenu() {
  const { name, known } = useTagList();
  const pick = () => void chooseFile(".csv,text/csv").then((file) => file && importTags(file));
  const titleOf = (list: TagListEntry) =>
    t("generate.tagList", { name: list.name, number: numeral(list.tags), count: list.tags });
  const items = (): readonly MenuEntry[] => [
    { heading: t(known.length === 0 ? "generate.tagsHint" : "generate.tags") },
    ...known.map((list) => ({
      label: titleOf(list),
      checked: list.name === name,
      run: () => (list.name === name ? leaveTagList() : takeTagList(list)),
    })),
    { label: t("generate.chooseTags"), run: pick },
    ...(known.length === 0
      ? []
      : [
          {
            label: t("generate.forgetTags"),
            items: known.map((list) => ({
              label: list.name,
              danger: true,
              run: () => void removeTags(list.name),
            })),
          },
        ]),
  ];
  return <MenuButton icon={Tags} size="s" label={t("generate.tags")} items={items} />;
}

async function removeTags(name: string): Promise<void> {
  const isSure = await confirm({
    title: t("generate.deleteTags", { name }),
    confirm: t("generate.delete"),
    danger: true,
  });
  if (isSure) await forgetTagList(name).catch((fault) => notifyFault(fault));
}

function StylesMenu() {
  const known = useGenerate((page) => page.styles);
  const chosen = useGenerate(({ settings }) => settings.styles);
  const names = new Set(chosen.map(({ name }) => name));
  const pick = () => void chooseFile(".csv,text/csv").then((file) => file && importStyles(file));
  const items = (): readonly MenuEntry[] => [
    { heading: known.length === 0 ? t("generate.stylesHint") : t("generate.styles") },
    ...known.map((style) => ({
      label: style.name,
      checked: names.has(style.name),
      run: () => toggle(style, chosen),
    })),
    "separator",
    { label: t("generate.newStyle"), run: () => void saveAsStyle() },
    { label: t("generate.importStyles"), run: pick },
    ...(known.length === 0
      ? []
      : [
          {
            label: t("generate.exportStyles"),
            run: () => download("styles.csv", csvOfStyles(known), "text/csv"),
          },
          {
            label: t("generate.deleteStyle"),
            items: known.map(({ name }) => ({
              label: name,
              danger: true,
              run: () => void remove(name),
            })),
          },
        ]),
  ];
  return <MenuButton icon={Palette} size="s" label={t("generate.styles")} items={items} />;
}

function toggle(style: Style, chosen: readonly Style[]): void {
  const others = chosen.filter(({ name }) => name !== style.name);
  choose({ styles: others.length < chosen.length ? others : merged(chosen, [style]) });
}

/** Keep the prompts as a style: where `{prompt}` stands, other prompts are put. */
async function saveAsStyle(): Promise<void> {
  const { settings } = useGenerate.getState();
  const { positive, negative } = promptsOf(settings);
  const name = await askText({
    title: t("generate.newStyle"),
    detail: t("generate.newStyleDetail"),
    confirm: t("generate.save"),
    text: {
      label: t("generate.styleName"),
      value: "",
      check: (text) => (text.trim() === "" ? t("generate.nameMissing") : null),
    },
  });
  if (name !== null) addStyles([{ name: name.trim(), prompt: positive, negative }]);
}

async function remove(name: string): Promise<void> {
  const isSure = await confirm({
    title: t("generate.deleteStyleNamed", { name }),
    confirm: t("generate.delete"),
    danger: true,
  });
  if (isSure) removeStyle(name);
}

/** The styles that are put around the prompts; a click takes one off. */
function ChosenStyles() {
  const chosen = useGenerate(({ settings }) => settings.styles);
  if (chosen.length === 0) return null;
  return (
    <ul className={styles.chips} aria-label={t("generate.styles")}>
      {chosen.map((style) => (
        <li key={style.name}>
          <button
            type="button"
            className={styles.chip}
            aria-label={t("generate.takeOff", { name: style.name })}
            {...tip([style.prompt, style.negative].filter(Boolean).join("\n"))}
            onClick={() => toggle(style, chosen)}
          >
            {style.name}
            <X aria-hidden size={13} />
          </button>
        </li>
      ))}
    </ul>
  );
}
