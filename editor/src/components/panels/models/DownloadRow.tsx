/** A download with its bytes, speed and time left, and the buttons that hold it. */
import { Pause, Play, RotateCcw, X } from "lucide-react";
import type { ModelDownloadEntry } from "@/api/schema";
import { IconButton, Progress } from "@/components/ui";
import { t } from "@/i18n";
import { bytes, duration } from "@/i18n/format";
import { isUnderWay, useDownloads } from "@/store/downloads";
import styles from "./Get.module.css";

interface Props {
  readonly download: ModelDownloadEntry;
  readonly allowed: boolean;
  /** Its name is said already. */
  readonly bare?: boolean;
}

export function DownloadRow({ download, allowed, bare = false }: Props) {
  const { id, name, state, error } = download;
  const { pause, resume, cancel } = useDownloads.getState();
  const share = download.bytes === null ? null : download.done / Math.max(1, download.bytes);
  const isStopped = state === "paused" || state === "failed";
  return (
    <div className={styles.download}>
      <div className={styles.downloadHead}>
        {!bare && <strong title={name}>{name}</strong>}
        <span className={styles.amounts} role="status">
          {amountsOf(download)}
        </span>
        {allowed && isUnderWay(download) && (
          <IconButton
            icon={Pause}
            size="s"
            label={t("models.pause", { name })}
            onClick={() => void pause(id)}
          />
        )}
        {allowed && isStopped && (
          <IconButton
            icon={state === "failed" ? RotateCcw : Play}
            size="s"
            label={t(state === "failed" ? "models.tryAgain" : "models.resume", { name })}
            onClick={() => void resume(id)}
          />
        )}
        {allowed && (
          <IconButton
            icon={X}
            size="s"
            label={t(state === "finished" ? "models.forget" : "models.cancel", { name })}
            onClick={() => void cancel(id)}
          />
        )}
      </div>
      {state !== "finished" && (
        <Progress
          value={state === "queued" ? 0 : share}
          label={t("models.downloading", { name })}
          tone={state === "failed" ? "bad" : "run"}
        />
      )}
      {error !== null && (state === "failed" || state === "waiting") && (
        <p className={state === "failed" ? styles.error : styles.description} role="alert">
          {error}
        </p>
      )}
    </div>
  );
}

/** "1.2 GB of 6.9 GB · 48 MB/s · 2 min left". */
export function amountsOf({
  state,
  done,
  bytes: all,
  speed,
  seconds_left: left,
}: ModelDownloadEntry): string {
  if (state === "finished") return t("models.state.finished");
  const amount =
    all === null ? bytes(done) : t("models.amount", { done: bytes(done), all: bytes(all) });
  if (state !== "running") return `${t(`models.state.${state}`)} · ${amount}`;
  const parts = [amount];
  if (speed > 0) parts.push(t("models.speed", { amount: bytes(speed) }));
  if (left !== null) parts.push(t("shell.plan.left", { time: duration(left) }));
  return parts.join(" · ");
}
