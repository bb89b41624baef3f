/** Something in space, with what turns, moves and draws it otherwise. */
import {
  Box,
  Grid3x3,
  type LucideIcon,
  Moon,
  Rotate3d,
  RotateCcw,
  Sun,
  Waypoints,
} from "lucide-react";
import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { EmptyState, IconButton } from "@/components/ui";
import { t } from "@/i18n";
import { numeral } from "@/i18n/format";
import { useTheme } from "../useTheme";
import base from "../Viewers.module.css";
import type { Ground, Look, Model } from "./model";
import styles from "./SpaceStage.module.css";
import type { Scene } from "./scene";

interface Props {
  readonly name: string;
  readonly model: Model;
}

const LOOK_ICONS: Readonly<Record<Look, LucideIcon>> = {
  surface: Box,
  wireframe: Grid3x3,
  dots: Waypoints,
};
const GROUNDS: Readonly<Record<Ground, string>> = { light: "#eeeff2", dark: "#0f1013" };
/** Degrees, and parts of what is seen, that a key moves it by. */
const TURN = 10;
const MOVE = 0.08;
const ZOOM = 1.2;

export function SpaceStage({ name, model }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { scene, isMissing } = useScene(canvas, model);
  const [look, setLook] = useState<Look>("surface");
  const [isSpinning, setSpinning] = useState(false);
  const theme = useTheme();
  const [chosen, setChosen] = useState<Ground | null>(null);
  const ground = chosen ?? (theme === "light" ? "light" : "dark");
  const keysId = useId();
  const countsId = useId();
  useEffect(() => {
    scene?.setGround(theme === "contrast" && ground === "dark" ? "#000000" : GROUNDS[ground]);
  }, [scene, ground, theme]);
  useEffect(() => scene?.setLook(look), [scene, look]);
  useEffect(() => scene?.setSpinning(isSpinning), [scene, isSpinning]);
  const keys: Readonly<Record<string, (scene: Scene) => void>> = {
    ArrowLeft: (it) => it.turn(-TURN, 0),
    ArrowRight: (it) => it.turn(TURN, 0),
    ArrowUp: (it) => it.turn(0, TURN),
    ArrowDown: (it) => it.turn(0, -TURN),
    "+": (it) => it.zoom(ZOOM),
    "=": (it) => it.zoom(ZOOM),
    "-": (it) => it.zoom(1 / ZOOM),
    "0": (it) => it.reset(),
    Home: (it) => it.reset(),
  };
  const moves: Readonly<Record<string, (scene: Scene) => void>> = {
    ArrowLeft: (it) => it.move(-MOVE, 0),
    ArrowRight: (it) => it.move(MOVE, 0),
    ArrowUp: (it) => it.move(0, MOVE),
    ArrowDown: (it) => it.move(0, -MOVE),
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || scene === null) return;
    const act = (event.shiftKey && moves[event.key]) || keys[event.key];
    if (act === undefined) return;
    act(scene);
    event.preventDefault();
    event.stopPropagation();
  };
  if (isMissing) {
    return (
      <div className={base.waiting}>
        <EmptyState icon={Box} title={t("viewers.space.none")}>
          {t("viewers.space.noneHint")}
        </EmptyState>
      </div>
    );
  }
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    <div
      className={base.viewer}
      role="group"
      data-player=""
      aria-label={t("viewers.space.label", { name })}
      onKeyDown={onKeyDown}
    >
      <div className={base.stage}>
        <canvas
          ref={canvas}
          className={styles.canvas}
          role="img"
          aria-label={t("viewers.space.label", { name })}
          aria-describedby={`${countsId} ${keysId}`}
          tabIndex={0}
        />
      </div>
      <div className={base.controls}>
        {model.looks.map((each) => (
          <IconButton
            key={each}
            icon={LOOK_ICONS[each]}
            label={t(`viewers.space.${each}`)}
            pressed={look === each}
            onClick={() => setLook(each)}
          />
        ))}
        <span id={countsId} className={base.told}>
          {countsText(model)}
        </span>
        <span id={keysId} hidden>
          {t("viewers.space.keys")}
        </span>
        <span className={base.gap} />
        <IconButton
          icon={Rotate3d}
          label={t("viewers.space.spin")}
          pressed={isSpinning}
          onClick={() => setSpinning(!isSpinning)}
        />
        <IconButton
          icon={ground === "dark" ? Moon : Sun}
          label={t("viewers.space.ground")}
          onClick={() => setChosen(ground === "dark" ? "light" : "dark")}
        />
        <IconButton
          icon={RotateCcw}
          label={t("viewers.space.reset")}
          keys="0"
          onClick={() => scene?.reset()}
        />
      </div>
    </div>
  );
}

function countsText({ counts }: Model): string {
  switch (counts.kind) {
    case "mesh":
      return t("viewers.space.mesh", {
        corners: numeral(counts.corners),
        triangles: numeral(counts.triangles),
      });
    case "points":
      return t("viewers.space.points", { count: counts.count });
    case "atoms":
      return t("viewers.space.atoms", { atoms: counts.atoms, bonds: counts.bonds });
  }
}

function useScene(canvas: React.RefObject<HTMLCanvasElement | null>, model: Model) {
  const [scene, setScene] = useState<Scene | null>(null);
  const [isMissing, setMissing] = useState(false);
  useEffect(() => {
    const place = canvas.current;
    if (place === null) return;
    let made: Scene | null = null;
    let isOver = false;
    const observer = new ResizeObserver(() => made?.resize(place.clientWidth, place.clientHeight));
    const begin = async () => {
      const engine = await import("./engine");
      if (isOver) return;
      made = new engine.Scene(place, model);
      observer.observe(place);
      setScene(made);
    };
    begin().catch(() => isOver || setMissing(true));
    return () => {
      isOver = true;
      observer.disconnect();
      made?.dispose();
      setScene(null);
    };
  }, [canvas, model]);
  return { scene, isMissing };
}
