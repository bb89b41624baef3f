import { useEffect, useRef, useState } from "react";
import { onCommandFault } from "@/commands";
import { ErrorBoundary } from "@/components/shell/ErrorBoundary";
import { Shell } from "@/components/shell/Shell";
import { useTitle } from "@/hooks/useTitle";
import { shownLanguage, switchLanguage, t } from "@/i18n";
import { notifyFault } from "@/store/notices";
import { chosenLanguage, useSettings } from "@/store/settings";
import { applyMotion, followTheme } from "@/theme/apply";

/** The editor with the person's theme and language. */
export function App() {
  const language = useLanguage();
  useTheme();
  useEffect(tellCommandFaults, []);
  return (
    <ErrorBoundary area="page" whole>
      <Title />
      <Shell key={language} />
    </ErrorBoundary>
  );
}

function tellCommandFaults(): void {
  onCommandFault((fault, { label }) =>
    notifyFault(fault, { title: t("shell.commandFailed", { command: t(label) }) }),
  );
}

function Title() {
  useTitle();
  return null;
}

function useTheme(): void {
  const theme = useSettings((settings) => settings.theme);
  const animations = useSettings((settings) => settings.animations);
  useEffect(() => followTheme(theme), [theme]);
  useEffect(() => applyMotion(animations), [animations]);
}

/** The language that is shown: another one is shown once its words are there. */
function useLanguage(): string {
  const language = useSettings((settings) => settings.language);
  const ownWords = useSettings((settings) => settings.ownWords);
  const [shown, setShown] = useState(shownLanguage);
  const loaded = useRef(0);
  useEffect(() => {
    const isOwn = language === "own";
    // An own file may be loaded again, with other words: they are another language.
    if (isOwn) loaded.current += 1;
    const name = isOwn ? `own-${loaded.current}` : chosenLanguage();
    switchLanguage(name, isOwn ? ownWords : undefined).then(
      () => setShown(shownLanguage()),
      (fault) => notifyFault(fault, { title: t("settings.languageFailed") }),
    );
  }, [language, ownWords]);
  return shown;
}
