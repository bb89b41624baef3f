import { Volume2 } from "lucide-react";
import { useId, useState } from "react";
import { Field, IconButton, Toggle } from "@/components/ui";
import { t } from "@/i18n";
import { setSetting, useSettings } from "@/store/settings";
import { type Consent, playSound, setNotifying } from "@/store/workEnd";
import { Section, ToggleRow } from "./rows";
import styles from "./rows.module.css";

export function RunSettings() {
  return (
    <>
      <ToggleRow name="previews" help />
      <ToggleRow name="resultsInNodes" help />
      <Section title={t("library.end.title")}>
        <p className={styles.hint}>{t("library.end.help")}</p>
        <NotificationRow />
        <SoundRow />
        <TitleRow />
      </Section>
    </>
  );
}

/** Turning it on has the browser ask; what it said against it stands here. */
function NotificationRow() {
  const isOn = useSettings(({ endNotification }) => endNotification);
  const [consent, setConsent] = useState<Consent>("granted");
  const id = useId();
  return (
    <Field
      inline
      id={id}
      label={t("library.end.notification")}
      error={consent === "granted" ? null : t(`library.end.${consent}`)}
    >
      <Toggle
        id={id}
        checked={isOn}
        onChange={(wanted) => void setNotifying(wanted).then(setConsent)}
      />
    </Field>
  );
}

function SoundRow() {
  const isOn = useSettings(({ endSound }) => endSound);
  const id = useId();
  return (
    <Field inline id={id} label={t("library.end.sound")}>
      <span className={styles.pair}>
        <IconButton
          icon={Volume2}
          size="s"
          label={t("library.end.hear")}
          onClick={() => playSound()}
        />
        <Toggle id={id} checked={isOn} onChange={(wanted) => setSetting("endSound", wanted)} />
      </span>
    </Field>
  );
}

function TitleRow() {
  const isOn = useSettings(({ endTitle }) => endTitle);
  const id = useId();
  return (
    <Field inline id={id} label={t("library.end.tab")}>
      <Toggle id={id} checked={isOn} onChange={(wanted) => setSetting("endTitle", wanted)} />
    </Field>
  );
}
