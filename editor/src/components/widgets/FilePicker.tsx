import { useEffect, useState } from "react";
import { Popover, SearchField, Spinner } from "@/components/ui";
import { t } from "@/i18n";
import styles from "./FilePicker.module.css";
import { type FileChoice, useWidgetServices } from "./services";

interface Props {
  readonly anchor: Element;
  readonly kind: string;
  readonly value: string;
  readonly onChoose: (value: string) => void;
  readonly onClose: () => void;
}

/** The files that were brought before, with small pictures. */
export function FilePicker({ anchor, kind, value, onChoose, onClose }: Props) {
  const { recentFiles } = useWidgetServices();
  const [files, setFiles] = useState<readonly FileChoice[] | null>(null);
  const [fault, setFault] = useState(false);
  const [query, setQuery] = useState("");
  useEffect(() => {
    let wanted = true;
    recentFiles(kind).then(
      (found) => wanted && setFiles(found),
      () => wanted && setFault(true),
    );
    return () => {
      wanted = false;
    };
  }, [kind, recentFiles]);

  const found = (files ?? []).filter((file) =>
    file.name.toLowerCase().includes(query.trim().toLowerCase()),
  );
  return (
    <Popover anchor={anchor} onClose={onClose} label={t("widgets.files")}>
      <div className={styles.picker}>
        <SearchField autoFocus value={query} onChange={setQuery} label={t("widgets.searchFiles")} />
        {fault && <p role="alert">{t("widgets.filesFailed")}</p>}
        {files === null && !fault && <Spinner label={t("widgets.reading")} />}
        {files !== null && found.length === 0 && (
          <p className={styles.none}>
            {t(files.length === 0 ? "widgets.noFiles" : "widgets.noMatch")}
          </p>
        )}
        <ul className={styles.grid}>
          {found.map((file) => (
            <li key={file.value}>
              <button
                type="button"
                className={styles.choice}
                aria-pressed={file.value === value}
                title={file.name}
                onClick={() => onChoose(file.value)}
              >
                {file.picture === null ? (
                  <span className={styles.blank} />
                ) : (
                  <img src={file.picture} alt="" loading="lazy" decoding="async" />
                )}
                <span className={styles.name}>{file.name}</span>
                <span className={styles.detail}>{file.detail}</span>
              </button>
            </li>
          ))}
        </ul>
      </div>
    </Popover>
  );
}
