/** A file that is no picture, in the viewer of its kind; each is fetched when it is first shown. */
import { Suspense } from "react";
import { lazyPart } from "@/components/shell/lazyPart";
import { Spinner } from "@/components/ui";
import { t } from "@/i18n";
import { type ViewKind, viewKind } from "./kinds";
import type { ViewProps } from "./props";
import styles from "./Viewers.module.css";
import { Unshown } from "./Waiting";

const VIEWS: Partial<Record<ViewKind, ReturnType<typeof lazyPart<ViewProps>>>> = {
  video: lazyPart<ViewProps>(() => import("./video/VideoPlayer")),
  sound: lazyPart<ViewProps>(() => import("./sound/SoundPlayer")),
  space: lazyPart<ViewProps>(() => import("./space/ShapeView")),
  molecule: lazyPart<ViewProps>(() => import("./space/MoleculeView")),
  plot: lazyPart<ViewProps>(() => import("./plot/PlotFile")),
  text: lazyPart<ViewProps>(() => import("./TextFile")),
};

export function FileView({ artifact, onSize, onLeave }: ViewProps) {
  const View = VIEWS[viewKind(artifact)];
  if (View === undefined) {
    return (
      <div className={styles.waiting}>
        <Unshown />
      </div>
    );
  }
  return (
    <Suspense
      fallback={
        <div className={styles.waiting}>
          <Spinner label={t("viewers.loading")} />
        </div>
      }
    >
      <View key={artifact.digest} artifact={artifact} onSize={onSize} onLeave={onLeave} />
    </Suspense>
  );
}
