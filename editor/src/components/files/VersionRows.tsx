import { api } from "@/api/client";
import { Badge, Button, Spinner } from "@/components/ui";
import { useAnswer } from "@/hooks/useAnswer";
import { t } from "@/i18n";
import { toldOf } from "@/store/notices";
import styles from "./SavedList.module.css";
import { exactTime, sinceText } from "./times";

/** What compares is fetched only when it is asked for. */
async function compare(name: string, version: number): Promise<void> {
  const { compareVersions } = await import("@/components/comparison/sides");
  await compareVersions(name, version);
}

interface Props {
  readonly name: string;
  /** Undefined for the newest one. */
  readonly onOpen: (version: number | undefined) => void;
}

/** The states that a saved workflow was in, the newest first. */
export function VersionRows({ name, onOpen }: Props) {
  const { data, fault } = useAnswer({
    queryKey: ["versions", name],
    queryFn: ({ signal }) =>
      api.GET("/workflows/{name}/versions", { params: { path: { name } }, signal }),
  });
  if (fault !== null) return <p className={styles.problem}>{toldOf(fault)?.title}</p>;
  if (data === undefined) return <Spinner label={t("files.loading")} />;
  const versions = [...data.items].sort((a, b) => b.version - a.version);
  return (
    <ol className={styles.versions}>
      {versions.map(({ version, saved }, index) => (
        <li key={version}>
          <span>{t("files.version", { version })}</span>
          {index === 0 && <Badge tone="good">{t("files.newest")}</Badge>}
          <span className={styles.time} title={exactTime(saved)}>
            {sinceText(saved)}
          </span>
          {index > 0 && (
            <Button size="s" variant="ghost" onClick={() => void compare(name, version)}>
              {t("files.compareVersion")}
            </Button>
          )}
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
