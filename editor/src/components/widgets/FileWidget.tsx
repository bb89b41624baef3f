import { Brush, FolderOpen, ImageIcon, Upload } from "lucide-react";
import {
  type ClipboardEvent,
  type DragEvent,
  type RefObject,
  useCallback,
  useEffect,
  useRef,
  useState,
} from "react";
import { uploadArtifact } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { draggedResult } from "@/components/results/dragging";
import { cx, IconButton, Progress, TextField } from "@/components/ui";
import { t } from "@/i18n";
import { defaultOf } from "@/model/spec";
import { FilePicker } from "./FilePicker";
import styles from "./FileWidget.module.css";
import { type FileChoice, useWidgetServices } from "./services";
import type { WidgetProps } from "./types";
import { pictureIn, type ShownKind, useUpload } from "./useUpload";
import { useMarks, WidgetFrame } from "./WidgetFrame";

type Props = WidgetProps & { readonly file: ShownKind };

/** A file of the server: chosen, uploaded, dropped, pasted or named; pictures can be masked. */
export function FileWidget(props: Props) {
  const { input, onChange, disabled = false, file: kind } = props;
  const value = textOf(props.value ?? defaultOf(input));
  const services = useWidgetServices();
  const picture = services.usePicture(value);
  // The newest handler: an upload may end long after it began.
  const change = useRef(onChange);
  const masked = useRef(props.onMasked);
  const chooser = useRef<HTMLInputElement>(null);
  useEffect(() => {
    change.current = onChange;
    masked.current = props.onMasked;
  });
  const take = useCallback((found: FileChoice) => change.current(found.value), []);
  const uploading = useUpload(take);
  const [fault, setFault] = useState<string | null>(null);
  const { over, ...dropping } = useDrop(kind, disabled, uploading.send, onResult);
  const marks = useMarks(props, uploading.fault ?? fault);

  function onResult(result: ArtifactEntry) {
    uploadArtifact(result.digest).then(
      (found) => change.current(found.value),
      () => setFault(t("widgets.resultFailed")),
    );
  }

  function paste(event: ClipboardEvent) {
    const found = pictureIn(event.clipboardData, kind);
    if (found === null || disabled) return;
    // The canvas would paste it as a node.
    event.preventDefault();
    event.stopPropagation();
    void uploading.send(found);
  }

  function mask() {
    setFault(null);
    if (picture === null) return setFault(t("widgets.cantMask"));
    services.paintMask({ address: picture.full, name: nameOf(value) }, (painted) =>
      (masked.current ?? change.current)(painted),
    );
  }

  return (
    <WidgetFrame marks={marks} fault={uploading.fault ?? fault ?? props.problem}>
      {/* What is dropped and pasted here is also had by the buttons. */}
      <div className={cx(styles.file, over && styles.over, "nodrag")} onPaste={paste} {...dropping}>
        {kind !== "any" && (
          <Picture
            address={picture?.small ?? null}
            value={value}
            kind={kind}
            onEmpty={() => !disabled && value === "" && chooser.current?.click()}
          />
        )}
        <div className={styles.row}>
          <PathField {...props} text={value} marks={marks.field} />
          <Actions
            kind={kind}
            disabled={disabled}
            value={value}
            chooser={chooser}
            onFile={uploading.send}
            onChoose={onChange}
            onMask={mask}
          />
        </div>
        {uploading.part !== null && (
          <Progress value={uploading.part} label={t("widgets.uploading")} />
        )}
      </div>
    </WidgetFrame>
  );
}

interface ActionProps {
  readonly kind: ShownKind;
  readonly disabled: boolean;
  readonly value: string;
  /** Asks for a file. */
  readonly chooser: RefObject<HTMLInputElement | null>;
  readonly onFile: (file: File) => void;
  readonly onChoose: (value: string) => void;
  readonly onMask: () => void;
}

function Actions({ kind, disabled, value, chooser, onFile, onChoose, onMask }: ActionProps) {
  const opener = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  return (
    <>
      <IconButton
        ref={opener}
        icon={FolderOpen}
        size="s"
        label={t("widgets.browse")}
        disabled={disabled}
        aria-haspopup="dialog"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      />
      <IconButton
        icon={Upload}
        size="s"
        label={t("widgets.upload")}
        disabled={disabled}
        onClick={() => chooser.current?.click()}
      />
      <input
        ref={chooser}
        type="file"
        hidden
        aria-label={t("widgets.upload")}
        {...(kind === "any" ? {} : { accept: `${kind}/*` })}
        onChange={(event) => {
          const found = event.target.files?.[0];
          // The same file may be chosen again after it was changed on disk.
          event.target.value = "";
          if (found) onFile(found);
        }}
      />
      {kind === "image" && (
        <IconButton
          icon={Brush}
          size="s"
          label={t("widgets.mask")}
          disabled={disabled || value === ""}
          onClick={onMask}
        />
      )}
      {open && opener.current && (
        <FilePicker
          anchor={opener.current}
          kind={kind}
          value={value}
          onClose={() => setOpen(false)}
          onChoose={(chosen) => {
            setOpen(false);
            onChoose(chosen);
          }}
        />
      )}
    </>
  );
}

interface PathProps extends WidgetProps {
  readonly text: string;
  readonly marks: object;
}

/** The name: of an upload it is read only as far as its end, of others it is a path to edit. */
function PathField({ id, text, marks, disabled, onChange }: PathProps) {
  const uploaded = isUpload(text);
  return (
    <TextField
      id={id}
      {...marks}
      value={uploaded ? nameOf(text) : text}
      title={text}
      placeholder={t("widgets.filePath")}
      disabled={disabled}
      className={styles.path}
      onChange={(typed) => onChange(typed)}
    />
  );
}

interface PictureProps {
  readonly address: string | null;
  readonly value: string;
  readonly kind: ShownKind;
  /** A click where there is none yet. */
  readonly onEmpty: () => void;
}

function Picture({ address, value, kind, onEmpty }: PictureProps) {
  const [broken, setBroken] = useState<string | null>(null);
  if (address === null || broken === address) {
    const wanted = kind === "video" ? "widgets.dropVideo" : "widgets.dropHere";
    return (
      // biome-ignore lint/a11y/noStaticElementInteractions lint/a11y/useKeyWithClickEvents: the button below it does the same
      <div className={styles.empty} data-chosen data-empty={value === ""} onClick={onEmpty}>
        <ImageIcon aria-hidden size={20} />
        <span>{t(value === "" ? wanted : "widgets.noPreview")}</span>
      </div>
    );
  }
  return (
    <img
      className={styles.picture}
      data-chosen
      src={address}
      alt={t("widgets.pictureOf", { name: nameOf(value) })}
      draggable={false}
      decoding="async"
      onError={() => setBroken(address)}
    />
  );
}

function useDrop(
  kind: ShownKind,
  disabled: boolean,
  send: (file: File) => void,
  onResult: (result: ArtifactEntry) => void,
) {
  const [over, setOver] = useState(false);
  const holdsFiles = (event: DragEvent) =>
    !disabled && [...event.dataTransfer.types].includes("Files");
  const resultIn = (event: DragEvent) =>
    disabled || kind === "video" ? null : draggedResult(event);
  return {
    over,
    onDragOver: (event: DragEvent) => {
      if (!holdsFiles(event) && resultIn(event) === null) return;
      event.preventDefault();
      event.stopPropagation();
      event.dataTransfer.dropEffect = "copy";
      setOver(true);
    },
    onDragLeave: () => setOver(false),
    onDrop: (event: DragEvent) => {
      setOver(false);
      const result = resultIn(event);
      if (result !== null) {
        event.preventDefault();
        event.stopPropagation();
        onResult(result);
        return;
      }
      const found = holdsFiles(event) ? pictureIn(event.dataTransfer, kind) : null;
      if (found === null) return;
      // Otherwise the page would open the picture's workflow.
      event.preventDefault();
      event.stopPropagation();
      send(found);
    },
  };
}

function isUpload(value: string): boolean {
  return /^upload:[\da-f]{64}\//.test(value);
}

/** The last part of a path or of an upload's value. */
export function nameOf(value: string): string {
  return value.split(/[/\\]/).at(-1) ?? value;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
