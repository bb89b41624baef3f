/** Folders of other programs whose models are used where they are. */
import { FolderPlus, Unlink } from "lucide-react";
import { type FormEvent, useEffect, useId, useState } from "react";
import { type Abortable, api } from "@/api/client";
import type { LinkedFolderEntry } from "@/api/schema";
import { Badge, Button, IconButton, TextField } from "@/components/ui";
import { t } from "@/i18n";
import { useCatalogue } from "@/store/catalogue";
import { faultText, notifyFault } from "@/store/notices";
import styles from "./Folders.module.css";
import get from "./Get.module.css";

export function Folders() {
  const [folders, setFolders] = useState<readonly LinkedFolderEntry[]>([]);
  const tell = (fault: unknown) =>
    notifyFault(fault, { title: t("models.failed.folders"), key: "folders" });
  useEffect(() => {
    const leaving = new AbortController();
    listed(leaving).then(setFolders, (fault) =>
      notifyFault(fault, { title: t("models.failed.folders"), key: "folders" }),
    );
    return () => leaving.abort();
  }, []);
  const remove = async (folder: string) => {
    try {
      await api.DELETE("/models/links", { params: { query: { folder } } });
      setFolders(await listed());
      await useCatalogue.getState().loadModels();
    } catch (fault) {
      tell(fault);
    }
  };
  return (
    <details className={styles.folders}>
      <summary>
        {t("models.folders")}
        <span className={styles.count}>{folders.length > 0 ? folders.length : PROGRAMS}</span>
      </summary>
      <p className={get.description}>{t("models.foldersHint")}</p>
      {folders.length > 0 && (
        <ul aria-label={t("models.folders")}>
          {folders.map((each) => (
            <Folder key={each.folder} folder={each} onRemove={() => void remove(each.folder)} />
          ))}
        </ul>
      )}
      <AddFolder onAdded={setFolders} />
    </details>
  );
}

async function listed(asking: Abortable = {}): Promise<readonly LinkedFolderEntry[]> {
  return (await api.GET("/models/links", { signal: asking.signal })).items;
}

const PROGRAMS = "ComfyUI, A1111, InvokeAI";

interface FolderProps {
  readonly folder: LinkedFolderEntry;
  readonly onRemove: () => void;
}

function Folder({ folder: { folder, exists, models }, onRemove }: FolderProps) {
  return (
    <li>
      <span className={styles.path}>
        {folder}
        <span className={styles.facts}>
          {exists ? (
            t("models.count", { count: models })
          ) : (
            <Badge tone="warn">{t("models.folderGone")}</Badge>
          )}
        </span>
      </span>
      <IconButton
        icon={Unlink}
        size="s"
        label={t("models.unlink", { name: folder })}
        onClick={onRemove}
      />
    </li>
  );
}

interface AddProps {
  readonly onAdded: (folders: readonly LinkedFolderEntry[]) => void;
}

function AddFolder({ onAdded }: AddProps) {
  const [path, setPath] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const id = useId();
  const add = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    try {
      onAdded((await api.POST("/models/links", { body: { path: path.trim() } })).items);
      setPath("");
      await useCatalogue.getState().loadModels();
    } catch (fault) {
      setProblem(faultText(fault));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void add(event)}>
      <label htmlFor={id}>{t("models.folderPath")}</label>
      <span className={styles.line}>
        <TextField
          id={id}
          value={path}
          placeholder="/srv/ComfyUI"
          invalid={problem !== ""}
          onChange={(next) => {
            setPath(next);
            setProblem("");
          }}
        />
        <Button type="submit" icon={FolderPlus} busy={busy} disabled={path.trim() === ""}>
          {t("models.addFolder")}
        </Button>
      </span>
      {problem !== "" && (
        <p className={get.error} role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}
