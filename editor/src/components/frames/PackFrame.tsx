/** The frame of a pack's widget or panel: a page without an origin, spoken with by messages. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { cx, leaveForDialog } from "@/components/ui";
import { type FrameContext, type FrameInit, PROTOCOL } from "@/model/frames";
import type { Json } from "@/model/json";
import { useUi } from "@/store/ui";
import { shieldFrames, surfaceOf, useFrameTheme } from "./look";
import styles from "./PackFrame.module.css";
import { type FrameEnd, FrameSession } from "./session";

export interface PackFrameProps {
  readonly type: "widget" | "panel";
  readonly id?: string | undefined;
  /** Where the server has the page. */
  readonly href: string;
  readonly label: string;
  readonly describedBy?: string | undefined;
  /** As plain values. */
  readonly value?: unknown;
  readonly spec?: unknown;
  readonly disabled?: boolean | undefined;
  readonly context?: FrameContext | null;
  /** Pixels; null takes all there is. */
  readonly height: number | null;
  readonly onHeight?: (height: number) => void;
  readonly onChange?: (value: Json, final: boolean) => void;
  readonly onFault: (message: string) => void;
  readonly onEnd: (why: FrameEnd, message: string) => void;
}

/** Remounted with another `key`, it begins anew. */
export function PackFrame(props: PackFrameProps) {
  const { type, href, label, value, spec, disabled = false, context = null, height } = props;
  const frame = useRef<HTMLIFrameElement>(null);
  const session = useRef<FrameSession | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [isReady, setReady] = useState(false);
  const page = useFrameTheme();
  const [surface, setSurface] = useState("");
  const theme = useMemo(() => {
    return { ...page, colors: { ...page.colors, surface } };
  }, [page, surface]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another theme has another ground
  useEffect(() => {
    const look = () => setSurface(surfaceOf(frame.current));
    // A ground that fades into the theme's colour has it only then.
    const faded = ({ propertyName, target }: TransitionEvent) => {
      const isGround = propertyName === "background-color" && target instanceof Node;
      if (isGround && target.contains(frame.current)) look();
    };
    look();
    document.addEventListener("transitionend", faded);
    return () => document.removeEventListener("transitionend", faded);
  }, [page]);
  useEffect(shieldFrames, []);
  useEffect(() => () => session.current?.close(), []);

  const begin = useCallback(() => {
    const element = frame.current;
    if (element === null) return;
    if (session.current !== null) {
      // It went to another page, which is none that it may show.
      session.current.end("left");
      return;
    }
    const { port1, port2 } = new MessageChannel();
    session.current = new FrameSession(port1, {
      ready: () => setReady(true),
      // Whatever it was told, it may say something: a field that is off changes nothing.
      change: (next, final) => {
        if (!latest.current.disabled) latest.current.onChange?.(next, final);
      },
      height: (next) => latest.current.onHeight?.(next),
      key: (message) => handKey(element, message),
      wheel: (message) => handWheel(element, message),
      fault: (message) => latest.current.onFault(message),
      end: (why, message) => latest.current.onEnd(why, message),
    });
    const init: FrameInit = {
      type,
      label,
      language: document.documentElement.lang || "en",
      theme,
      size: { width: element.clientWidth, height: element.clientHeight },
      disabled,
      value,
      spec,
      context,
    };
    // It has no origin that could be named; the page's policy lets it show none but the server's.
    element.contentWindow?.postMessage({ nodegraph: PROTOCOL, ...init }, "*", [port2]);
  }, [type, label, theme, disabled, value, spec, context]);

  useTold(session, isReady, "theme", theme);
  useTold(session, isReady, "disabled", disabled);
  useTold(session, isReady, "value", value);
  useTold(session, isReady, "context", context);
  useSize(frame, session, isReady);

  return (
    <iframe
      ref={frame}
      id={props.id}
      src={href}
      title={label}
      aria-describedby={props.describedBy}
      sandbox="allow-scripts"
      className={cx(styles.frame, !isReady && styles.waiting)}
      style={{ height: height ?? "100%" }}
      onLoad={begin}
    />
  );
}

/** Tell the frame of what changes; what it begins with it was told as it began. */
function useTold(
  session: { readonly current: FrameSession | null },
  isReady: boolean,
  kind: string,
  value: unknown,
): void {
  const told = useRef(value);
  useEffect(() => {
    if (!isReady || told.current === value) return;
    told.current = value;
    session.current?.tell(kind, { [kind]: value });
  }, [session, isReady, kind, value]);
}

function useSize(
  frame: { readonly current: HTMLIFrameElement | null },
  session: { readonly current: FrameSession | null },
  isReady: boolean,
): void {
  useEffect(() => {
    const element = frame.current;
    if (element === null || !isReady || typeof ResizeObserver === "undefined") return;
    const observer = new ResizeObserver(() => {
      const size = { width: element.clientWidth, height: element.clientHeight };
      session.current?.tell("size", { size });
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [frame, session, isReady]);
}

/** Whether the user is in it: nothing else makes keys of the editor. */
function isUsed(frame: HTMLIFrameElement): boolean {
  return document.activeElement === frame;
}

function handKey(
  frame: HTMLIFrameElement,
  { key, ctrl, shift }: { readonly key: string; readonly ctrl: boolean; readonly shift: boolean },
): void {
  if (!isUsed(frame)) return;
  const more = { key, ctrlKey: ctrl, shiftKey: shift, bubbles: true, cancelable: true };
  frame.dispatchEvent(new KeyboardEvent("keydown", more));
  // Where nothing else takes the focus, the page has it again, and with it all of its keys: those,
  // too, that are typed before a dialog is drawn.
  if (!isUsed(frame)) return;
  if (useUi.getState().dialog !== null) leaveForDialog(frame);
  else if (key === "Escape") frame.blur();
}

function handWheel(
  frame: HTMLIFrameElement,
  given: {
    readonly dx: number;
    readonly dy: number;
    readonly mode: number;
    readonly ctrl: boolean;
    readonly x: number;
    readonly y: number;
  },
): void {
  const box = frame.getBoundingClientRect();
  // The canvas may show it larger or smaller than it is.
  const scale = box.width / Math.max(1, frame.clientWidth);
  frame.dispatchEvent(
    new WheelEvent("wheel", {
      deltaX: given.dx,
      deltaY: given.dy,
      deltaMode: given.mode,
      ctrlKey: given.ctrl,
      clientX: box.x + given.x * scale,
      clientY: box.y + given.y * scale,
      bubbles: true,
      cancelable: true,
    }),
  );
}
