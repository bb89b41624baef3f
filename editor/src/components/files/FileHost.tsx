import { FileInput } from "lucide-react";
import { useEffect, useState } from "react";
import { t } from "@/i18n";
import { useUi } from "@/store/ui";
import styles from "./FileHost.module.css";
import type { ChosenFile } from "./fileTypes";
import { begin, openSharedLink } from "./firstRun";
import { followMissing } from "./missingNotice";
import { openFiles } from "./opening";

/** What files do anywhere on the page: they may be dropped, come by link, and greet the new. */
export function FileHost() {
  const isOver = useDrops();
  useEffect(followMissing, []);
  const isGenerate = useUi(({ view }) => view === "generate");
  // Who wants no graph is shown round once there is one.
  useEffect(() => {
    if (!isGenerate) void begin();
  }, [isGenerate]);
  useEffect(() => {
    const follow = () => void openSharedLink();
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  if (!isOver) return null;
  return (
    <div className={styles.layer} aria-hidden>
      <div className={styles.card}>
        <FileInput size={28} />
        <strong>{t("files.drop")}</strong>
        <span>{t("files.dropDetail")}</span>
      </div>
    </div>
  );
}

/** Opens files dropped where nothing else takes them. True while some are held over such a place. */
function useDrops(): boolean {
  const [isOver, setIsOver] = useState(false);
  useEffect(() => {
    const over = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      // A field that takes pictures has said so already.
      setIsOver(!event.defaultPrevented);
      if (event.defaultPrevented) return;
      event.preventDefault();
      if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) setIsOver(false);
    };
    const drop = (event: DragEvent) => {
      setIsOver(false);
      if (!holdsFiles(event) || event.defaultPrevented) return;
      event.preventDefault();
      void openDropped(event);
    };
    addEventListener("dragover", over);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, []);
  return isOver;
}

function holdsFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

interface WithHandle {
  getAsFileSystemHandle?(): Promise<FileSystemHandle | null>;
}

/** Handles must be asked for before the event ends; where there are some, saving writes back. */
async function openDropped(event: DragEvent): Promise<void> {
  const at = { x: event.clientX, y: event.clientY };
  const items = [...(event.dataTransfer?.items ?? [])].filter((item) => item.kind === "file");
  const chosen = await Promise.all(
    items.map(async (item): Promise<ChosenFile | null> => {
      const file = item.getAsFile();
      const asked = (item as WithHandle).getAsFileSystemHandle?.();
      const handle = await Promise.resolve(asked).catch(() => null);
      const isFile = handle instanceof Object && handle.kind === "file";
      return file && { file, handle: isFile ? (handle as FileSystemFileHandle) : null };
    }),
  );
  await openFiles(
    chosen.filter((item) => item !== null),
    at,
  );
}
