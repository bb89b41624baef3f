import { HardDriveDownload } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { api } from "@/api/client";
import { Button, Dialog, Field, TextField } from "@/components/ui";
import { useAnswer } from "@/hooks/useAnswer";
import { useMayRun } from "@/hooks/useConnection";
import { t } from "@/i18n";
import { currentWorkflow, documentById, useDocuments } from "@/store/documents";
import styles from "./SaveAsDialog.module.css";
import { nameFault, suggestedName } from "./savedNames";
import { saveFile, saveOnServer } from "./saving";

interface Props {
  readonly onClose: () => void;
  /** Its id; the active one if not given. */
  readonly document?: string;
}

/** Asks for a name on the server, or for a file. */
export default function SaveAsDialog({ onClose, document: given }: Props) {
  const [id] = useState(() => given ?? useDocuments.getState().active);
  const [name, setName] = useState(() => firstName(id));
  const [isBusy, setIsBusy] = useState(false);
  const taken = useTaken();
  const field = useId();
  const allowed = useMayRun();
  const fault = faultOf(name, allowed);
  const known = documentById(id)?.savedName === name;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() === "" || fault !== null || isBusy) return;
    setIsBusy(true);
    const over = known ? (documentById(id)?.savedEtag ?? null) : "new";
    const saved = await saveOnServer(id, name.trim(), over, titleFor(id, name.trim()));
    setIsBusy(false);
    // Whoever wants another name stays here.
    if (saved === "saved" || saved === "open") onClose();
  };
  const intoFile = async () => {
    if (await saveFile(id)) onClose();
  };
  return (
    <Dialog title={t("files.saveTitle")} size="s" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)} className={styles.form}>
        <Field
          id={field}
          label={t("files.name")}
          help={helpFor(known, taken.includes(name.trim()))}
          error={fault}
        >
          <TextField
            id={field}
            value={name}
            onChange={setName}
            invalid={fault !== null}
            data-autofocus=""
            maxLength={120}
          />
        </Field>
        <div className={styles.buttons}>
          <Button icon={HardDriveDownload} variant="ghost" onClick={() => void intoFile()}>
            {t("files.intoFile")}
          </Button>
          <Button onClick={onClose}>{t("files.cancel")}</Button>
          <Button
            type="submit"
            variant="primary"
            busy={isBusy}
            disabled={name.trim() === "" || fault !== null}
          >
            {t("files.saveHere")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function faultOf(name: string, allowed: boolean): string | null {
  if (!allowed) return t("files.mayNotSave");
  return name === "" ? null : nameFault(name);
}

function helpFor(isKnown: boolean, isTaken: boolean): string {
  if (isKnown) return t("files.newVersionHelp");
  return t(isTaken ? "files.takenHelp" : "files.nameHelp");
}

function firstName(id: string): string {
  const document = documentById(id);
  if (!document) return "";
  return document.savedName ?? suggestedName(currentWorkflow(document).title);
}

/** Their titles are those of what they were made from. */
const BORROWED: ReadonlySet<string> = new Set(["new", "template", "picture", "share", "import"]);

/** What a new workflow is called that is saved under another name than its title's. */
function titleFor(id: string, name: string): string | undefined {
  const document = documentById(id);
  if (!document || document.savedName !== null || !BORROWED.has(document.origin)) return undefined;
  return suggestedName(currentWorkflow(document).title) === name ? undefined : name;
}

const MOST = 1000;

/** The names that there are; without them the server still asks before it replaces anything. */
function useTaken(): readonly string[] {
  const { data } = useAnswer({
    queryKey: ["workflows", MOST],
    queryFn: ({ signal }) => api.GET("/workflows", { params: { query: { limit: MOST } }, signal }),
  });
  return data?.items.map(({ name }) => name) ?? [];
}
