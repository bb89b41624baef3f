import { useEffect, useState } from "react";
import { api } from "@/api/client";
import { isAborted } from "@/api/http";
import type { SavedVersion } from "@/api/schema";
import { Badge, Button, Spinner } from "@/components/ui";
import { t } from "@/i18n";
import { toldOf } from "@/store/notices";
import styles from "./SavedList.module.css";
import { exactTime, sinceText } from "./times";

interface Props {
  readonly name: string;
  /** Undefined for the newest one. */
  readonly onOpen: (version: number | undefined) => void;
}

/** The states that a saved workflow was in, the newest first. */
export function VersionRows({ name, onOpen }: Props) {
  const [versions, setVersions] = useState<readonly SavedVersion[] | null>(null);
  const [fault, setFault] = useState<unknown>(null);
  useEffect(() => {
    const asked = new AbortController();
    api
      .GET("/workflows/{name}/versions", { params: { path: { name } }, signal: asked.signal })
      .then(
        ({ items }) => setVersions([...items].sort((a, b) => b.version - a.version)),
        (error) => !isAborted(error) && setFault(error),
      );
    return () => asked.abort();
  }, [name]);
  if (fault !== null) return <p className={styles.problem}>{toldOf(fault)?.title}</p>;
  if (versions === null) return <Spinner label={t("files.loading")} />;
  return (
    <ol className={styles.versions}>
      {versions.map(({ version, saved }, index) => (
        <li key={version}>
          <span>{t("files.version", { version })}</span>
          {index === 0 && <Badge tone="good">{t("files.newest")}</Badge>}
          <span className={styles.time} title={exactTime(saved)}>
            {sinceText(saved)}
          </span>
          <Button
            size="s"
            variant="ghost"
            onClick={() => onOpen(index === 0 ? undefined : version)}
          >
            {t("files.openVersion")}
          </Button>
        </li>
      ))}
    </ol>
  );
}
