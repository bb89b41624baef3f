import { useId, useRef, useState } from "react";
import { Button, Field, Select } from "@/components/ui";
import { languageFor, languageName, languages, t, wordsOf } from "@/i18n";
import { setSetting, useSettings } from "@/store/settings";
import { download } from "../download";
import styles from "./LanguageSettings.module.css";
import { readWords } from "./readWords";
import { Section } from "./rows";

const OWN = "own";

/** The language, and a way to bring one's own: a file of the English words, translated. */
export function LanguageSettings() {
  const language = useSettings((settings) => settings.language);
  const ownWords = useSettings((settings) => settings.ownWords);
  const [fault, setFault] = useState<string | null>(null);
  const file = useRef<HTMLInputElement>(null);
  const id = useId();
  const hasOwn = Object.keys(ownWords).length > 0;
  const own = hasOwn ? [{ value: OWN, label: t("settings.ownLanguage") }] : [];
  const ofBrowser = languageName(languageFor(navigator.languages));
  const options = [
    { value: "browser", label: t("settings.languageOfBrowser", { language: ofBrowser }) },
    ...languages().map((code) => ({ value: code, label: languageName(code) })),
    ...own,
  ];
  const read = async (chosen: File | undefined) => {
    const words = chosen ? readWords(await chosen.text(), await wordsOf("en")) : null;
    setFault(words === null ? t("settings.languageFault") : null);
    if (words === null) return;
    setSetting("ownWords", words);
    setSetting("language", OWN);
  };
  return (
    <>
      <Field inline id={id} label={t("settings.language")}>
        <Select
          id={id}
          value={language}
          options={options}
          onChange={(next) => setSetting("language", next)}
        />
      </Field>
      <Section title={t("settings.translate")}>
        <p className={styles.text}>{t("settings.translateHelp")}</p>
        <div className={styles.buttons}>
          <Button onClick={() => void downloadEnglish()}>{t("settings.downloadWords")}</Button>
          <Button onClick={() => file.current?.click()}>{t("settings.loadWords")}</Button>
          <input
            ref={file}
            type="file"
            accept=".json,application/json"
            hidden
            onChange={(event) => {
              void read(event.target.files?.[0]);
              event.target.value = "";
            }}
          />
        </div>
        {fault && (
          <p role="alert" className={styles.fault}>
            {fault}
          </p>
        )}
      </Section>
    </>
  );
}

/** The file that a translator starts from. */
async function downloadEnglish(): Promise<void> {
  const words = await wordsOf("en");
  download("nodegraph-english.json", JSON.stringify(words, null, 2));
}
