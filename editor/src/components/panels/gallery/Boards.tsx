/** The boards that results are put on, and the trash: looked into, and dropped on. */
import {
  FolderPlus,
  Images,
  LayoutGrid,
  type LucideIcon,
  MoreHorizontal,
  Trash2,
} from "lucide-react";
import { type DragEvent, type KeyboardEvent, useEffect, useState } from "react";
import { API } from "@/api/http";
import { rootPath } from "@/api/rootPath";
import type { ArtifactEntry, Board } from "@/api/schema";
import { draggedResults } from "@/components/results/dragging";
import { IconButton, MenuButton, type MenuEntry, Select } from "@/components/ui";
import { t } from "@/i18n";
import { mayRun, useConnection } from "@/store/connection";
import { useGallery } from "@/store/gallery";
import { loadLibrary, mark, trash, useLibrary } from "@/store/library";
import { askNewBoard, deleteBoard, emptyTrash, renameBoard } from "./actions";
import styles from "./Boards.module.css";

const ALL = "";
const TRASH = "trash:";

/** Which of them is looked into. */
function useShown(): string {
  return useGallery(({ board, isTrash }) => (isTrash ? TRASH : (board ?? ALL)));
}

function look(shown: string): void {
  const board = shown === ALL || shown === TRASH ? null : shown;
  useGallery.getState().filter({ board, isTrash: shown === TRASH });
}

function useBoards(): readonly Board[] {
  useEffect(() => {
    if (!useLibrary.getState().isLoaded) loadLibrary().catch(() => undefined);
  }, []);
  return useLibrary(({ boards }) => boards);
}

/** A list beside the results. */
export function BoardList() {
  const boards = useBoards();
  const shown = useShown();
  const isAllowed = useConnection(mayRun);
  return (
    <nav className={styles.list} aria-label={t("library.boards")} onKeyDown={walk}>
      <Row
        icon={Images}
        name={t("library.all")}
        isShown={shown === ALL}
        onOpen={() => look(ALL)}
        onDropped={(results) => void mark(results, { board: null })}
      />
      <div className={styles.heading}>
        <h3>{t("library.boards")}</h3>
        <IconButton
          icon={FolderPlus}
          size="s"
          label={t("library.newBoard")}
          disabled={!isAllowed}
          onClick={() => void askNewBoard([])}
        />
      </div>
      {boards.length === 0 && <p className={styles.none}>{t("library.noBoards")}</p>}
      {boards.map((board) => (
        <Row
          key={board.id}
          icon={LayoutGrid}
          cover={board.cover}
          name={board.name}
          count={board.count}
          isShown={shown === board.id}
          onOpen={() => look(board.id)}
          onDropped={(results) => void mark(results, { board: board.id })}
          menu={boardMenu(board)}
        />
      ))}
      <Row
        icon={Trash2}
        name={t("library.trash")}
        isShown={shown === TRASH}
        onOpen={() => look(TRASH)}
        onDropped={(results) => void trash(results)}
        menu={[{ label: t("library.emptyTrash"), danger: true, run: () => void emptyTrash() }]}
      />
    </nav>
  );
}

function boardMenu(board: Board): readonly MenuEntry[] {
  return [
    { label: t("library.rename"), run: () => void renameBoard(board) },
    { label: t("library.deleteBoard"), danger: true, run: () => void deleteBoard(board) },
  ];
}

/** The same as one field, where there is no room for a list. */
export function BoardChoice() {
  const boards = useBoards();
  const shown = useShown();
  const board = boards.find(({ id }) => id === shown);
  return (
    <div className={styles.choice}>
      <Select
        label={t("library.boards")}
        value={shown}
        options={[
          { value: ALL, label: t("library.all") },
          ...boards.map(({ id, name, count }) => ({ value: id, label: `${name} (${count})` })),
          { value: TRASH, label: t("library.trash") },
        ]}
        onChange={look}
      />
      <MenuButton
        icon={MoreHorizontal}
        size="s"
        align="end"
        label={t("library.boardActions", { name: board?.name ?? t("library.boards") })}
        items={[
          { label: t("library.newBoard"), icon: FolderPlus, run: () => void askNewBoard([]) },
          ...(board ? boardMenu(board) : []),
          ...(shown === TRASH
            ? [{ label: t("library.emptyTrash"), danger: true, run: () => void emptyTrash() }]
            : []),
        ]}
      />
    </div>
  );
}

interface RowProps {
  readonly icon: LucideIcon;
  readonly cover?: string | null;
  readonly name: string;
  readonly count?: number;
  readonly isShown: boolean;
  readonly onOpen: () => void;
  readonly onDropped: (results: readonly ArtifactEntry[]) => void;
  readonly menu?: readonly MenuEntry[];
}

function Row(props: RowProps) {
  const { icon: Icon, cover = null, name, count, isShown, onOpen, onDropped, menu } = props;
  const [isOver, setOver] = useState(false);
  const over = (event: DragEvent) => {
    if (draggedResults(event).length === 0) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    setOver(true);
  };
  const drop = (event: DragEvent) => {
    setOver(false);
    const results = draggedResults(event);
    if (results.length === 0) return;
    event.preventDefault();
    event.stopPropagation();
    onDropped(results);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is one way; menus and the dialog are others
    <div
      className={styles.row}
      data-over={isOver || undefined}
      onDragEnter={over}
      onDragOver={over}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <button
        type="button"
        className={styles.open}
        aria-current={isShown || undefined}
        onClick={onOpen}
      >
        {cover === null ? (
          <Icon aria-hidden size={15} className={styles.icon} />
        ) : (
          <img
            className={styles.cover}
            src={`${rootPath()}${API}/artifacts/${cover}/thumbnail?size=128`}
            alt=""
            loading="lazy"
            draggable={false}
          />
        )}
        <span className={styles.name}>{name}</span>
        {count !== undefined && <small>{count}</small>}
      </button>
      {menu && (
        <MenuButton
          icon={MoreHorizontal}
          size="s"
          align="end"
          className={styles.more}
          label={t("library.boardActions", { name })}
          items={menu}
        />
      )}
    </div>
  );
}

/** Arrows go from one to the next. */
function walk(event: KeyboardEvent<HTMLElement>): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step === undefined || !(event.target instanceof HTMLElement)) return;
  const rows = [...event.currentTarget.querySelectorAll<HTMLElement>(`.${styles.open}`)];
  const at = rows.indexOf(event.target);
  if (at < 0) return;
  rows[Math.min(rows.length - 1, Math.max(0, at + step))]?.focus();
  event.preventDefault();
  event.stopPropagation();
}
