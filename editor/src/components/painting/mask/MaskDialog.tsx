import { useCallback, useState } from "react";
import { Button, Dialog, Spinner } from "@/components/ui";
import { t } from "@/i18n";
import { confirm, useUi } from "@/store/ui";
import { MaskBoard } from "./MaskBoard";
import styles from "./MaskDialog.module.css";
import { maskedName, maskedPng } from "./picture";
import { type MaskedPicture, useMaskedPicture } from "./useMaskedPicture";

export interface MaskDialogProps {
  /** Address of the picture. */
  readonly source: string;
  /** Of the picture's file. */
  readonly name: string;
  /** Uploads the painted copy; what it throws is shown, and the mask stays. */
  readonly save: (file: File) => Promise<void>;
  readonly onClose?: () => void;
}

/**
 * Paints the mask of a picture on the stage of the canvas: what is masked becomes transparent in a
 * copy of the file.
 */
export default function MaskDialog({ source, name, save, onClose }: MaskDialogProps) {
  const opening = useMaskedPicture(source);
  const [saving, setSaving] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const [touched, setTouched] = useState(false);
  const paint = useCallback(() => setTouched(true), []);
  const close = onClose ?? useUi.getState().closeDialog;

  async function leave() {
    if (saving) return;
    if (touched && !(await mayLeave())) return;
    close();
  }

  async function use({ pixels, history }: MaskedPicture) {
    setSaving(true);
    setFault(null);
    try {
      const bytes = maskedPng(pixels, await history.mask());
      await save(new File([bytes], maskedName(name), { type: "image/png" }));
      close();
    } catch (problem) {
      setFault(problem instanceof Error ? problem.message : String(problem));
      setSaving(false);
    }
  }

  const footer = (
    <>
      {fault !== null && (
        <p role="alert" className={styles.fault}>
          {t("mask.failed", { reason: fault })}
        </p>
      )}
      <Button onClick={leave}>{t("mask.cancel")}</Button>
      <Button
        variant="primary"
        busy={saving}
        disabled={opening.state !== "open"}
        onClick={() => opening.state === "open" && use(opening)}
      >
        {saving ? t("mask.saving") : t("mask.use")}
      </Button>
    </>
  );
  return (
    <Dialog
      title={t("mask.title")}
      size="full"
      padded={false}
      dismissable={false}
      onClose={() => void leave()}
      footer={footer}
    >
      {opening.state === "loading" && <Spinner label={t("mask.loading")} />}
      {opening.state === "failed" && (
        <p role="alert" className={styles.fault}>
          {t(`mask.${opening.reason}`)}
        </p>
      )}
      {opening.state === "open" && (
        <MaskBoard picture={opening} name={name} disabled={saving} onPaint={paint} />
      )}
    </Dialog>
  );
}

function mayLeave(): Promise<boolean> {
  return confirm({
    title: t("mask.leave"),
    detail: t("mask.leaveDetail"),
    confirm: t("mask.leaveConfirm"),
    danger: true,
  });
}
