/** The layers of the canvas, the uppermost first, as lists of their kinds. */
import {
  ArrowDown,
  ArrowUp,
  Brush,
  Copy,
  Eye,
  EyeOff,
  Folder,
  Grid2x2,
  Grid2x2Check,
  Lock,
  LockOpen,
  Plus,
  Trash2,
  Ungroup,
} from "lucide-react";
import { type KeyboardEvent, type RefObject, useState } from "react";
import { Button, cx, IconButton, MenuButton, TextField } from "@/components/ui";
import { t } from "@/i18n";
import { isLayer, type PaintCanvas, type PaintEntry } from "@/model/painting";
import { addEmpty, addItems } from "../adding";
import { useCanvasUi } from "../canvasUi";
import { change, dissolve, duplicate, group, move, remove, titleOf } from "../layerActions";
import { thumbnailOf } from "../pictures";
import type { StageHandle } from "../stage/stageProps";
import { LayerDetails } from "./LayerDetails";
import { LayerMenu } from "./LayerMenu";
import styles from "./LayerPanel.module.css";
import { useRowDrag } from "./useRowDrag";

/** Milliseconds until a picture that did not load is asked for again: twice as long each time. */
const FIRST_WAIT = 500;
const MOST_TRIES = 6;

/** What guides the sampler first, then what is painted. */
const KINDS = ["region", "control", "reference", "mask", "raster"] as const;

interface PanelProps {
  readonly canvas: PaintCanvas;
  readonly stage: RefObject<StageHandle | null>;
}

export function LayerPanel({ canvas, stage }: PanelProps) {
  const active = useCanvasUi((ui) => ui.active);
  const chosen = canvas.entries.find(({ node }) => node === active) ?? null;
  return (
    <section className={styles.panel} aria-label={t("painting.layers")}>
      <header className={styles.head}>
        <h2 className={styles.title}>{t("painting.layers")}</h2>
        <MenuButton icon={Plus} label={t("painting.add")} items={addItems} align="end" />
        <LayerButtons chosen={chosen} />
        <LayerMenu canvas={canvas} stage={stage} />
      </header>
      {chosen && <LayerDetails key={chosen.node} entry={chosen} />}
      {canvas.entries.length === 0 && (
        <div className={styles.empty}>
          <p>{t("painting.noLayers")}</p>
          <Button icon={Brush} onClick={() => void addEmpty("raster")}>
            {t("painting.add.raster")}
          </Button>
        </div>
      )}
      <div className={styles.lists}>
        {KINDS.map((kind) => (
          <KindList
            key={kind}
            kind={kind}
            entries={canvas.entries.filter((entry) => entry.kind === kind)}
          />
        ))}
      </div>
    </section>
  );
}

function LayerButtons({ chosen }: { readonly chosen: PaintEntry | null }) {
  const node = chosen?.node ?? "";
  const isGroup = chosen !== null && !isLayer(chosen);
  const none = chosen === null;
  return (
    <>
      <IconButton
        icon={Copy}
        label={t("painting.duplicate")}
        disabled={none || isGroup}
        onClick={() => duplicate(node)}
      />
      {isGroup ? (
        <IconButton icon={Ungroup} label={t("painting.ungroup")} onClick={() => dissolve(node)} />
      ) : (
        <IconButton
          icon={Folder}
          label={t("painting.group")}
          disabled={none || chosen.kind !== "raster"}
          onClick={() => group([node])}
        />
      )}
      <IconButton
        icon={ArrowUp}
        label={t("painting.up")}
        disabled={none}
        onClick={() => move(node, 1)}
      />
      <IconButton
        icon={ArrowDown}
        label={t("painting.down")}
        disabled={none}
        onClick={() => move(node, -1)}
      />
      <IconButton
        icon={Trash2}
        label={t("painting.remove")}
        disabled={none}
        onClick={() => remove(node)}
      />
    </>
  );
}

interface ListProps {
  readonly kind: (typeof KINDS)[number];
  readonly entries: readonly PaintEntry[];
}

function KindList({ kind, entries }: ListProps) {
  if (entries.length === 0) return null;
  return (
    <div className={styles.kind}>
      <h3 className={styles.kindName}>{t(`painting.kind.${kind}`)}</h3>
      <ul className={styles.list}>
        {entries.toReversed().map((entry) => (
          <Row key={entry.node} entry={entry} depth={depthOf(entry, entries)} />
        ))}
      </ul>
    </div>
  );
}

function depthOf(entry: PaintEntry, entries: readonly PaintEntry[]): number {
  const parent = entries.find(({ node }) => node === entry.parent);
  return parent === undefined ? 0 : 1 + depthOf(parent, entries);
}

function Row({ entry, depth }: { readonly entry: PaintEntry; readonly depth: number }) {
  const { node, title, visible } = entry;
  const isActive = useCanvasUi((ui) => ui.active === node);
  const [draft, setDraft] = useState<string | null>(null);
  const drag = useRowDrag(entry);
  const name = titleOf(entry);
  const rename = (text: string) => {
    if (draft !== null && text.trim() !== title) change(node, { title: text.trim() });
    setDraft(null);
  };
  return (
    <li
      className={cx(styles.row, isActive && styles.active, !visible && styles.hidden)}
      style={{ paddingInlineStart: `${8 + depth * 14}px` }}
      data-drop={drag.where ?? undefined}
      {...(draft === null ? drag.handlers : {})}
    >
      <IconButton
        size="s"
        icon={visible ? Eye : EyeOff}
        label={t(visible ? "painting.hide" : "painting.show", { name })}
        onClick={() => change(node, { visible: !visible })}
      />
      <Thumbnail entry={entry} />
      {draft === null ? (
        <button
          type="button"
          className={styles.name}
          title={name}
          aria-pressed={isActive}
          onClick={() => useCanvasUi.getState().choose(node)}
          onDoubleClick={() => setDraft(title)}
          onKeyDown={(event) => rowKey(event, node, () => setDraft(title))}
        >
          {name}
        </button>
      ) : (
        <TextField
          autoFocus
          label={t("painting.name")}
          value={draft}
          onChange={setDraft}
          onCommit={rename}
          onKeyDown={(event) => {
            if (event.key === "Escape") setDraft(null);
          }}
        />
      )}
      {isLayer(entry) && entry.picture !== null && entry.kind !== "reference" && (
        <IconButton
          size="s"
          icon={entry.alphaLocked ? Grid2x2Check : Grid2x2}
          label={t(entry.alphaLocked ? "painting.unlockAlpha" : "painting.lockAlpha", { name })}
          className={cx(!entry.alphaLocked && styles.quiet)}
          onClick={() => change(node, { alphaLocked: !entry.alphaLocked })}
        />
      )}
      {isLayer(entry) && entry.picture !== null && (
        <IconButton
          size="s"
          icon={entry.locked ? Lock : LockOpen}
          label={t(entry.locked ? "painting.unlock" : "painting.lock", { name })}
          className={cx(!entry.locked && styles.quiet)}
          onClick={() => change(node, { locked: !entry.locked })}
        />
      )}
    </li>
  );
}

/** F2 renames, Delete removes, Alt with an arrow moves, as elsewhere in the editor. */
function rowKey(event: KeyboardEvent<HTMLButtonElement>, node: string, rename: () => void): void {
  const act = {
    F2: rename,
    Delete: () => remove(node),
    ArrowUp: event.altKey ? () => move(node, 1) : () => focusRow(event.currentTarget, -1),
    ArrowDown: event.altKey ? () => move(node, -1) : () => focusRow(event.currentTarget, 1),
  }[event.key];
  if (act === undefined) return;
  event.preventDefault();
  act();
}

function focusRow(from: HTMLElement, by: number): void {
  const names = [
    ...(from.closest("section")?.querySelectorAll<HTMLElement>(`.${styles.name}`) ?? []),
  ];
  names[names.indexOf(from) + by]?.focus();
}

function Thumbnail({ entry }: { readonly entry: PaintEntry }) {
  const [tries, setTries] = useState(0);
  if (!isLayer(entry)) return <Folder aria-hidden size={18} className={styles.folder} />;
  const url = entry.picture && thumbnailOf(entry.picture.value);
  // The server may get what another page has painted only now.
  const again = () => {
    if (tries < MOST_TRIES) setTimeout(() => setTries(tries + 1), FIRST_WAIT * 2 ** tries);
  };
  return (
    <span className={styles.thumbnail} data-kind={entry.kind} aria-hidden>
      {url !== null && url !== "" && (
        <img key={`${url} ${tries}`} src={url} alt="" draggable={false} onError={again} />
      )}
    </span>
  );
}
