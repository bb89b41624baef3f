"use strict";
// What runs first in the frame of a pack's widget or panel: it speaks with the editor, and gives the
// pack's script an object to work with. See docs/nodes.md, "Widgets and panels of your own".
(() => {
  const VERSION = 1;
  // Of the keys that a frame doesn't use itself, the only ones that the editor is told of.
  const HANDED_ON = new Set(["Escape", "z", "Z", "y", "Y", "k", "K"]);
  const root = document.getElementById("root");
  const script = JSON.parse(document.getElementById("script").textContent);
  const handlers = { value: [], disabled: [], theme: [], size: [], context: [] };
  let port = null;
  let widget = null;
  // What had the focus as a key opened a dialog: browsers forget that while the page has it.
  let left = null;

  const post = (kind, more) => port && port.postMessage({ kind, ...more });
  const tell = (error, fatal) => post("error", { message: textOf(error), fatal });

  function textOf(error) {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return text.slice(0, 500);
  }

  function call(kind, given) {
    for (const handler of handlers[kind]) {
      try {
        handler(given);
      } catch (error) {
        console.error(error);
        tell(error, false);
      }
    }
  }

  function paint({ name, scheme, colors }) {
    const { style, dataset } = document.documentElement;
    style.colorScheme = scheme;
    dataset.theme = name;
    for (const [color, value] of Object.entries(colors)) style.setProperty(`--${color}`, value);
  }

  function make(given) {
    const { type, value, spec, theme, language, size, disabled, label, context } = given;
    return {
      version: VERSION,
      kind: type,
      root,
      value,
      spec,
      theme,
      language,
      size,
      disabled,
      label,
      context,
      change(next, { final = true } = {}) {
        widget.value = next;
        post("change", { value: next, final });
      },
      resize: (height) => post("resize", { height }),
      error: (message) => post("error", { message: textOf(message), fatal: false }),
      on(name, handler) {
        if (!(name in handlers)) throw new TypeError(`there is no "${name}" to listen to`);
        handlers[name].push(handler);
      },
    };
  }

  async function begin(given) {
    document.documentElement.lang = given.language;
    document.documentElement.classList.add(given.type);
    paint(given.theme);
    widget = make(given);
    // An address of its own, so that faults name the pack's file.
    const text = `${script.text}\n//# sourceURL=${script.name}`;
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    try {
      const { default: mount } = await import(address);
      if (typeof mount !== "function") throw new TypeError("its default export is no function");
      await mount(widget);
    } catch (error) {
      console.error(error);
      tell(error, true);
      return;
    } finally {
      URL.revokeObjectURL(address);
    }
    if (given.type === "widget") follow();
    post("ready");
  }

  // A widget is as high as what it shows.
  function follow() {
    const measure = () => post("resize", { height: Math.ceil(root.getBoundingClientRect().height) });
    new ResizeObserver(measure).observe(root);
  }

  const taken = {
    ping: ({ number }) => post("pong", { number }),
    value({ value }) {
      widget.value = value;
      call("value", value);
    },
    disabled({ disabled }) {
      widget.disabled = disabled;
      call("disabled", disabled);
    },
    theme({ theme }) {
      widget.theme = theme;
      paint(theme);
      call("theme", theme);
    },
    size({ size }) {
      widget.size = size;
      call("size", size);
    },
    context({ context }) {
      widget.context = context;
      call("context", context);
    },
  };

  addEventListener("message", function first(event) {
    if (event.source !== parent || event.data?.nodegraph !== VERSION) return;
    removeEventListener("message", first);
    port = event.ports[0];
    port.onmessage = ({ data }) => {
      if (widget !== null && Object.hasOwn(taken, data.kind)) taken[data.kind](data);
    };
    begin(event.data);
  });
  addEventListener("error", (event) => tell(event.error ?? event.message, false));
  addEventListener("unhandledrejection", (event) => tell(event.reason, false));
  addEventListener("keydown", (event) => {
    const { key, ctrlKey, metaKey, shiftKey, defaultPrevented } = event;
    if (defaultPrevented || !HANDED_ON.has(key)) return;
    if (key !== "Escape" && !ctrlKey && !metaKey) return;
    event.preventDefault();
    left = key === "k" || key === "K" ? event.target : null;
    post("key", { key, ctrl: ctrlKey, meta: metaKey, shift: shiftKey });
  });
  addEventListener("focus", () => {
    if (document.activeElement === document.body) left?.focus();
    left = null;
  });
  addEventListener(
    "wheel",
    (event) => {
      const { deltaX: dx, deltaY: dy, deltaMode: mode, ctrlKey: ctrl, clientX: x, clientY: y } = event;
      if (event.defaultPrevented || document.documentElement.classList.contains("panel")) return;
      event.preventDefault();
      post("wheel", { dx, dy, mode, ctrl, x, y });
    },
    { passive: false },
  );
})();
