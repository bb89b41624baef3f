import { Check } from "lucide-react";
import { useId } from "react";
import { t } from "@/i18n";
import { setSetting, type ThemeChoice, useSettings } from "@/store/settings";
import styles from "./LookSettings.module.css";
import { Section, ToggleRow } from "./rows";

const THEMES: readonly ThemeChoice[] = ["system", "light", "dark", "contrast"];

export function LookSettings() {
  const theme = useSettings((settings) => settings.theme);
  const group = useId();
  return (
    <>
      <Section title={t("settings.theme")}>
        <div role="radiogroup" aria-label={t("settings.theme")} className={styles.themes}>
          {THEMES.map((choice) => (
            <label key={choice} className={styles.theme}>
              <input
                type="radio"
                name={group}
                checked={theme === choice}
                className={styles.radio}
                onChange={() => setSetting("theme", choice)}
              />
              <Sample choice={choice} />
              <span className={styles.name}>
                {t(`settings.theme.${choice}`)}
                {theme === choice && <Check aria-hidden size={14} />}
              </span>
            </label>
          ))}
        </div>
      </Section>
      <Section title={t("settings.motion")}>
        <ToggleRow name="animations" help />
        <ToggleRow name="pointers" help />
      </Section>
    </>
  );
}

/** A small picture of the editor in a theme; "system" shows light and dark, half each. */
function Sample({ choice }: { readonly choice: ThemeChoice }) {
  const themes = choice === "system" ? ["light", "dark"] : [choice];
  return (
    <span aria-hidden className={styles.sample}>
      {themes.map((theme) => (
        <span key={theme} data-sample={theme} className={styles.half}>
          <span className={styles.bar} />
          <span className={styles.node} />
          <span className={styles.second} />
        </span>
      ))}
    </span>
  );
}
