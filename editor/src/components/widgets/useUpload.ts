import { useCallback, useEffect, useRef, useState } from "react";
import { ApiProblem } from "@/api/http";
import { t } from "@/i18n";
import { type FileChoice, useWidgetServices } from "./services";

export interface Uploading {
  /** Part that was sent, 0 to 1; null while nothing is on its way. */
  readonly part: number | null;
  readonly fault: string | null;
  readonly send: (file: File) => Promise<void>;
}

/** Sends one file at a time; the newest counts. */
export function useUpload(done: (file: FileChoice) => void): Uploading {
  const { upload } = useWidgetServices();
  const [part, setPart] = useState<number | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const turn = useRef(0);
  // A card that scrolled away still gets its file: only what is shown stops.
  const shown = useRef(true);
  useEffect(() => {
    shown.current = true;
    return () => {
      shown.current = false;
    };
  }, []);

  const send = useCallback(
    async (file: File) => {
      turn.current += 1;
      const mine = turn.current;
      const isMine = () => mine === turn.current;
      const show = (change: () => void) => isMine() && shown.current && change();
      setPart(0);
      setFault(null);
      try {
        const found = await upload(file, (now) => show(() => setPart(now)));
        if (isMine()) done(found);
      } catch (problem) {
        show(() => setFault(faultText(file.name, problem)));
      }
      show(() => setPart(null));
    },
    [upload, done],
  );
  return { part, fault, send };
}

/** What is wrong, what would be right, and what to do. */
function faultText(name: string, problem: unknown): string {
  const reason = problem instanceof Error ? problem.message : String(problem);
  const failed = t("widgets.uploadFailed", { name, reason });
  const isRefused = problem instanceof ApiProblem && problem.status < 500;
  if (!isRefused) return `${failed} ${t("widgets.uploadAgain")}`;
  const { expected, hint } = problem.problems[0] ?? {};
  const allowed = expected ? t("widgets.uploadAllowed", { expected }) : "";
  return [failed, allowed, hint ?? ""].filter((part) => part !== "").join(" ");
}

/** What an input takes that shows its file. */
export type ShownKind = "image" | "video" | "any";

/** The first file of a drop or a paste that an input can use. */
export function pictureIn(data: DataTransfer | null, kind: ShownKind): File | null {
  const files = [...(data?.files ?? [])];
  if (kind === "any") return files[0] ?? null;
  return files.find((file) => file.type.startsWith(`${kind}/`)) ?? null;
}
