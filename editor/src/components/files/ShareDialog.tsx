import { Check, Copy, FileCode, FileJson, Image, type LucideIcon } from "lucide-react";
import { useId, useMemo, useState } from "react";
import { copyText } from "@/components/shell/copyText";
import { Button, Dialog, Field, TextField } from "@/components/ui";
import { t } from "@/i18n";
import { linkOfWorkflow, ShareFault } from "@/model/share";
import { useActive } from "@/store/documents";
import { notifyFault } from "@/store/notices";
import { exportJsonFile, exportPythonFile, exportSvgFile } from "./exporting";
import styles from "./ShareDialog.module.css";

interface Props {
  readonly onClose: () => void;
}

/** A link that holds the whole workflow, and files of other kinds. */
export default function ShareDialog({ onClose }: Props) {
  return (
    <Dialog title={t("files.shareTitle")} size="m" onClose={onClose}>
      <div className={styles.sections}>
        <LinkSection />
        <section className={styles.section}>
          <h3>{t("files.exportTitle")}</h3>
          <div className={styles.ways}>
            <Way icon={FileJson} name="json" onClick={exportJsonFile} />
            <Way icon={FileCode} name="python" onClick={exportPythonFile} />
            <Way icon={Image} name="svg" onClick={exportSvgFile} />
          </div>
        </section>
      </div>
    </Dialog>
  );
}

function LinkSection() {
  const { workflow } = useActive((_, found) => ({ workflow: found }));
  const [isCopied, setIsCopied] = useState(false);
  const id = useId();
  const link = useMemo(() => {
    try {
      return { text: linkOfWorkflow(workflow, window.location.href), fault: null };
    } catch (fault) {
      if (fault instanceof ShareFault) return { text: "", fault: fault.message };
      throw fault;
    }
  }, [workflow]);
  const copy = async () => setIsCopied(await copyText(link.text));
  if (link.fault !== null) return <p className={styles.fault}>{link.fault}</p>;
  return (
    <section className={styles.section}>
      <Field id={id} label={t("files.link")} help={linkHelp()}>
        <div className={styles.link}>
          <TextField
            id={id}
            readOnly
            value={link.text}
            onChange={() => undefined}
            onFocus={(event) => event.target.select()}
          />
          <Button
            variant="primary"
            icon={isCopied ? Check : Copy}
            data-autofocus=""
            onClick={() => void copy()}
          >
            {t(isCopied ? "files.copied" : "files.copyLink")}
          </Button>
        </div>
      </Field>
      <span role="status" className={styles.status}>
        {isCopied ? t("files.linkCopied") : ""}
      </span>
    </section>
  );
}

/** A link to this very machine leads nowhere from another one. */
function linkHelp(): string {
  const isLocal = /^(localhost|127\.|\[::1\])/.test(window.location.hostname);
  return t(isLocal ? "files.linkHelpLocal" : "files.linkHelp");
}

interface WayProps {
  readonly icon: LucideIcon;
  readonly name: "json" | "python" | "svg";
  readonly onClick: () => void | Promise<void>;
}

function Way({ icon: Icon, name, onClick }: WayProps) {
  const run = () => Promise.resolve(onClick()).catch((fault: unknown) => notifyFault(fault));
  return (
    <button type="button" className={styles.way} onClick={() => void run()}>
      <Icon aria-hidden size={20} />
      <strong>{t(`files.as.${name}`)}</strong>
      <span>{t(`files.as.${name}Help`)}</span>
    </button>
  );
}
