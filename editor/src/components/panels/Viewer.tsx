/** A file of a job seen large: zoomed, compared with another one, with all that is known of it. */
import { FileInput, SlidersHorizontal } from "lucide-react";
import { type KeyboardEvent, Suspense, useEffect, useMemo, useRef, useState } from "react";
import type { ArtifactEntry } from "@/api/schema";
import { takeValues } from "@/components/results/values";
import { lazyPart } from "@/components/shell/lazyPart";
import { Button, Dialog, Spinner, Tabs } from "@/components/ui";
import { t } from "@/i18n";
import { mark } from "@/store/library";
import { download, openWorkflow } from "./gallery/actions";
import { ArtifactFacts, CompareFacts } from "./gallery/Facts";
import { ResultMarks } from "./gallery/Marks";
import { type CompareMode, isZoomed, Stage } from "./gallery/Stage";
import { Strip } from "./gallery/Strip";
import { useViewed } from "./gallery/useViewed";
import { useZoom } from "./gallery/useZoom";
import { ViewerBar } from "./gallery/ViewerBar";
import type { Size } from "./gallery/zoom";
import { STARS } from "./lib/Stars";
import styles from "./Viewer.module.css";

interface ViewerProps {
  readonly artifact: ArtifactEntry;
  /** What it is one of; just itself if left out. */
  readonly list?: readonly ArtifactEntry[];
  /** Begin by comparing it with the next one. */
  readonly compare?: boolean;
  readonly onClose: () => void;
}

const LineageView = lazyPart(() => import("@/components/results/lineage/LineageView"));

type Keys = Readonly<Record<string, () => void>>;

const PAN = 60;
type Page = "details" | "lineage";

export default function Viewer({ artifact, list, compare = false, onClose }: ViewerProps) {
  const viewed = useViewed({ list: list ?? [artifact], artifact, compare, onEmpty: onClose });
  const { items, index, other, shown, second, go, choose, toggleCompare, swap, remove } = viewed;
  const [page, setPage] = useState<Page>("details");
  const [mode, setMode] = useState<CompareMode>("slider");
  const [hasFacts, setFacts] = useState(true);
  const [sizes, setSizes] = useState<ReadonlyMap<string, Size>>(new Map());
  const size = shown === undefined ? null : (sizes.get(shown.digest) ?? null);
  const zoom = useZoom(size);
  const digest = shown?.digest;
  const { fit } = zoom;
  const alone = useMemo(() => (shown === undefined ? [] : [shown]), [shown]);
  const body = useRef<HTMLDivElement>(null);
  const isComparing = second !== null;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another picture is seen whole first
  useEffect(() => {
    if (!isComparing) fit();
  }, [digest, isComparing]);
  if (shown === undefined) return null;
  const canZoom = isZoomed(shown) && (second === null || isZoomed(second));

  const openIts = async () => {
    if (await openWorkflow(shown)) onClose();
  };
  const takeIts = async () => {
    if (await takeValues(shown)) onClose();
  };
  const turns: Keys = { ArrowLeft: () => go(-1), ArrowRight: () => go(1) };
  const zooms: Keys = {
    "+": () => zoom.step(1),
    "=": () => zoom.step(1),
    "-": () => zoom.step(-1),
    f: zoom.fit,
    z: zoom.actual,
  };
  const stars: Keys = Object.fromEntries(
    [0, ...STARS].map((each) => [String(each), () => void mark([shown], { stars: each })]),
  );
  const keys: Keys = {
    ...(items.length > 1 ? turns : {}),
    ...(canZoom ? zooms : {}),
    ...stars,
    v: () => void takeIts(),
    i: () => setFacts(!hasFacts),
    c: toggleCompare,
    x: swap,
    d: () => download([shown]),
    o: () => void openIts(),
    Delete: () => void remove(),
  };
  const pans: Keys = {
    ArrowLeft: () => zoom.pan(PAN, 0),
    ArrowRight: () => zoom.pan(-PAN, 0),
    ArrowUp: () => zoom.pan(0, PAN),
    ArrowDown: () => zoom.pan(0, -PAN),
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // What a viewer has taken is its own.
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target)) return;
    const act = (event.shiftKey && canZoom && pans[event.key]) || keys[event.key];
    if (act === undefined) return passOn(event, body.current);
    act();
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <Dialog
      title={shown.name}
      size="full"
      padded={false}
      onClose={onClose}
      onKeyDown={onKeyDown}
      actions={
        <ViewerBar
          artifact={shown}
          zoom={zoom}
          mode={mode}
          canZoom={canZoom}
          isComparing={isComparing}
          canCompare={items.length > 1}
          hasFacts={hasFacts}
          onMode={setMode}
          onSwap={swap}
          onToggleCompare={toggleCompare}
          onToggleFacts={() => setFacts(!hasFacts)}
          onRemove={() => void remove()}
          onClose={onClose}
        />
      }
    >
      <div ref={body} data-autofocus="" className={styles.body} tabIndex={-1}>
        <div className={styles.main}>
          <Stage
            zoom={zoom}
            artifact={shown}
            size={size}
            onSize={(found) => setSizes((old) => new Map(old).set(shown.digest, found))}
            other={second}
            mode={mode}
            onLeave={onClose}
          />
          {items.length > 1 && (
            <Strip items={items} index={index} other={other} onGo={go} onChoose={choose} />
          )}
        </div>
        {hasFacts && (
          <aside className={styles.facts} aria-label={t("panels.viewer.facts")}>
            <Button icon={FileInput} onClick={() => void openIts()}>
              {t("panels.gallery.openWorkflow")}
            </Button>
            {second === null && (
              <>
                <Button icon={SlidersHorizontal} onClick={() => void takeIts()}>
                  {t("library.takeValues")}
                </Button>
                <ResultMarks artifacts={alone} />
              </>
            )}
            {second === null ? (
              <Tabs
                label={t("library.lineage.views")}
                active={page}
                onChange={(id) => setPage(id as Page)}
                tabs={[
                  { id: "details", label: t("library.lineage.details") },
                  { id: "lineage", label: t("library.lineage.tab") },
                ]}
              >
                <div className={styles.page}>
                  {page === "details" ? (
                    <ArtifactFacts artifact={shown} size={size} />
                  ) : (
                    <Suspense fallback={<Spinner label={t("library.lineage.loading")} />}>
                      <LineageView artifact={shown} onOpen={viewed.show} />
                    </Suspense>
                  )}
                </div>
              </Tabs>
            ) : (
              <CompareFacts left={shown} right={second} />
            )}
          </aside>
        )}
      </div>
    </Dialog>
  );
}

/** A key that means nothing to the viewer itself goes to the player, such as Space, from anywhere. */
function passOn(event: KeyboardEvent, body: HTMLElement | null): void {
  const player = body?.querySelector<HTMLElement>("[data-player]");
  const { target } = event;
  if (!player || !(target instanceof HTMLElement) || player.contains(target)) return;
  // Space presses the button that has the focus.
  if (event.key === " " && target.closest("button, a, [role=slider]") !== null) return;
  const { key, shiftKey } = event;
  const passed = new KeyboardEvent("keydown", { key, shiftKey, bubbles: true, cancelable: true });
  if (!player.dispatchEvent(passed)) event.preventDefault();
}

function isTyping(target: EventTarget): boolean {
  return target instanceof HTMLElement && target.closest("input, textarea, select") !== null;
}
