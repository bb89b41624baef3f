/** Folders of other programs whose models are used where they are. */
import { FolderPlus, Unlink } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { api } from "@/api/client";
import type { LinkedFolderEntry } from "@/api/schema";
import { Badge, Button, IconButton, TextField } from "@/components/ui";
import { useAnswer, useTold } from "@/hooks/useAnswer";
import { t } from "@/i18n";
import { useCatalogue } from "@/store/catalogue";
import { faultText, notifyFault } from "@/store/notices";
import styles from "./Folders.module.css";
import get from "./Get.module.css";

export function Folders() {
  const { data, fault } = useAnswer({
    queryKey: ["models", "links"],
    queryFn: ({ signal }) => api.GET("/models/links", { signal }),
  });
  const folders = data?.items ?? [];
  const told = { title: t("models.failed.folders"), key: "folders" };
  useTold(fault, told);
  const remove = async (folder: string) => {
    try {
      await api.DELETE("/models/links", { params: { query: { folder } } });
      await useCatalogue.getState().loadModels();
    } catch (fault) {
      notifyFault(fault, told);
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
      <AddFolder />
    </details>
  );
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

function AddFolder() {
  const [path, setPath] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const id = useId();
  const add = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    try {
      await api.POST("/models/links", { body: { path: path.trim() } });
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
