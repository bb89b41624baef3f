/** What a problem means and what to do about it, in the person's language and without a network. */
import { useEffect, useState } from "react";
import type { Finding } from "@/api/schema";
import { MendButtons } from "@/components/panels/problems/MendButtons";
import { Dialog, Spinner } from "@/components/ui";
import { shownLanguage, t } from "@/i18n";
import { problemText } from "@/i18n/format";
import { type HelpText, topicOf } from "@/model/problemHelp";
import styles from "./ProblemHelp.module.css";

type Texts = Readonly<Record<string, HelpText>>;

/** By language; each is fetched when a help is first opened in it. */
const TEXTS = import.meta.glob<Texts>("./texts/*.json", { import: "default" });
const PAGE = "docs/errors.md";

interface Props {
  readonly finding: Finding;
  readonly isOfRun?: boolean;
  readonly onClose: () => void;
}

export default function ProblemHelp({ finding, isOfRun = false, onClose }: Props) {
  const topic = topicOf(finding.code, isOfRun);
  const [help, setHelp] = useState<HelpText | "loading" | "failed">("loading");
  useEffect(() => {
    textsIn(shownLanguage()).then(
      (texts) => setHelp(texts[topic] ?? "failed"),
      () => setHelp("failed"),
    );
  }, [topic]);
  const isThere = typeof help !== "string";
  return (
    <Dialog
      title={isThere ? help.title : t("problemhelp.learnMore")}
      size="s"
      onClose={onClose}
      footer={<MendButtons finding={finding} onMend={onClose} />}
    >
      <div className={styles.help}>
        <blockquote>{problemText(finding)}</blockquote>
        {help === "loading" && <Spinner label={t("problemhelp.learnMore")} />}
        {help === "failed" && <p role="alert">{t("problemhelp.failed")}</p>}
        {isThere && (
          <>
            <p>{help.what}</p>
            <h3>{t("problemhelp.fix")}</h3>
            <p>{help.fix}</p>
          </>
        )}
        <p className={styles.page}>
          {t("problemhelp.docs", { page: `${PAGE}#${topic}` })} <code>{finding.code}</code>
        </p>
      </div>
    </Dialog>
  );
}

async function textsIn(language: string): Promise<Texts> {
  const load = TEXTS[`./texts/${language}.json`] ?? TEXTS["./texts/en.json"];
  return load === undefined ? {} : load();
}
