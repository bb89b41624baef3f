import { X } from "lucide-react";
import {
  type KeyboardEvent,
  type MouseEvent,
  type ReactNode,
  useEffect,
  useId,
  useRef,
  useState,
} from "react";
import { t } from "@/i18n";
import { IconButton } from "./Button";
import { cx } from "./cx";
import styles from "./Dialog.module.css";
import { focusBefore } from "./left";
import { OverlayRootProvider } from "./overlay";

export interface DialogProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
  readonly size?: "s" | "m" | "l" | "full";
  /** Buttons at the lower end, the most likely one last. */
  readonly footer?: ReactNode;
  /** Beside the title. */
  readonly actions?: ReactNode;
  /** False: the content reaches the edges. */
  readonly padded?: boolean;
  /** False: only its buttons close it, not a click beside it. */
  readonly dismissable?: boolean;
  /** Keys pressed anywhere in it. */
  readonly onKeyDown?: (event: KeyboardEvent) => void;
  /** The title is said, not shown. */
  readonly bare?: boolean;
  readonly className?: string | undefined;
}

/** A modal dialog. The focus stays inside and returns to where it was; Escape closes it. */
export function Dialog(props: DialogProps) {
  const { title, onClose, children, size = "m", footer, actions, className } = props;
  const { padded = true, dismissable = true, bare = false } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const [root, setRoot] = useState<HTMLElement | null>(null);
  const id = useId();
  useKeptFocus(dialog); // before the dialog takes the focus
  useModal(dialog);
  const isBackdrop = useBackdrop(dialog);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      className={cx(styles.dialog, styles[size], className)}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onKeyDown={(event) => {
        props.onKeyDown?.(event);
        if (event.key !== "Escape" || event.defaultPrevented) return;
        event.preventDefault();
        event.stopPropagation();
        onClose();
      }}
      onPointerDown={isBackdrop.down}
      onClick={(event) => dismissable && isBackdrop.click(event) && onClose()}
    >
      <OverlayRootProvider value={root}>
        <header className={bare ? styles.hidden : styles.header}>
          <h2 id={id} className={styles.title}>
            {title}
          </h2>
          {actions}
          {!bare && <IconButton icon={X} label={t("ui.close")} onClick={onClose} />}
        </header>
        <div data-body="" className={cx(styles.body, padded && styles.padded)}>
          {children}
        </div>
        {footer && <div className={styles.footer}>{footer}</div>}
      </OverlayRootProvider>
      <div ref={setRoot} />
    </dialog>
  );
}

function useModal(dialog: { readonly current: HTMLDialogElement | null }): void {
  useEffect(() => {
    const element = dialog.current;
    if (!element || element.open) return;
    const before = focusBefore();
    if (typeof element.showModal === "function") element.showModal();
    else element.setAttribute("open", "");
    startOf(element).focus();
    return () => {
      if (typeof element.close === "function") element.close();
      else element.removeAttribute("open");
      // What opened as the dialog closed may have the focus already, such as a search.
      const isTaken = document.activeElement !== document.body && document.activeElement !== null;
      if (isTaken && !element.contains(document.activeElement)) return;
      if (before instanceof HTMLElement && before.isConnected)
        before.focus({ preventScroll: true });
    };
  }, [dialog]);
}

/** What may have the focus in place of an element: the row, the list or the part around it. */
const AROUND = "li, ul, ol, tr, section, fieldset, [role], [data-body]";

/**
 * A button that is disabled while it works, or a row that is removed, would lose the focus to the
 * page. The row, list or part around it gets the focus instead, and the button gets it back.
 */
function useKeptFocus(dialog: { readonly current: HTMLDialogElement | null }): void {
  useEffect(() => {
    const element = dialog.current;
    if (!element) return;
    let last: HTMLElement | null = null;
    let around: HTMLElement[] = [];
    let substitute: HTMLElement | null = null;
    const follow = ({ target }: FocusEvent) => {
      if (target === substitute || !(target instanceof HTMLElement)) return;
      [last, around, substitute] = [target, [], null];
      for (let each = target.parentElement; each && each !== element; each = each.parentElement)
        if (each.matches(AROUND)) around.push(each);
    };
    const keep = () => {
      if (last === null || !element.open) return;
      const { activeElement } = document;
      const canFocus = last.isConnected && !last.matches(":disabled");
      if (canFocus && activeElement !== null && activeElement === substitute) last.focus();
      // A disabled element stays the active one until the browser draws the next frame.
      const isLost = activeElement === document.body || activeElement === last;
      if (canFocus || !(isLost || activeElement === null || activeElement === substitute)) return;
      substitute = around.find((each) => each.isConnected) ?? null;
      if (substitute === null || substitute === activeElement) return;
      if (!substitute.hasAttribute("tabindex")) substitute.tabIndex = -1;
      substitute.focus({ preventScroll: true });
    };
    const observer = new MutationObserver(keep);
    const filter = { subtree: true, childList: true, attributeFilter: ["disabled"] };
    observer.observe(element, filter);
    element.addEventListener("focusin", follow);
    return () => {
      observer.disconnect();
      element.removeEventListener("focusin", follow);
    };
  }, [dialog]);
}

/** What is there to be done first: not the cross that closes it. */
function startOf(dialog: HTMLElement): HTMLElement {
  const asked = dialog.querySelector<HTMLElement>("[data-autofocus]");
  const first = dialog.querySelector<HTMLElement>(`[data-body] :is(${FOCUSABLE}), footer button`);
  return asked ?? first ?? dialog;
}

const FOCUSABLE =
  "button:not(:disabled):not([tabindex='-1']), input:not(:disabled):not([hidden]), select, textarea, a[href], [tabindex='0']";

/** A click counts as beside the dialog only if it also began there: a drag out of a field doesn't. */
function useBackdrop(dialog: { readonly current: HTMLDialogElement | null }) {
  const began = useRef(false);
  const outside = (event: MouseEvent) => {
    const box = dialog.current?.getBoundingClientRect();
    if (event.target !== dialog.current || !box) return false;
    const { clientX: x, clientY: y } = event;
    return x < box.left || x > box.right || y < box.top || y > box.bottom;
  };
  return {
    down: (event: MouseEvent) => {
      began.current = outside(event);
    },
    click: (event: MouseEvent) => began.current && outside(event),
  };
}
