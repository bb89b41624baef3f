import { RotateCcw } from "lucide-react";
import { type KeyboardEvent, useId, useState } from "react";
import { allCommands, type Command, commandsWithKey, keysOf } from "@/commands";
import { byGroup, groupLabel } from "@/commands/groups";
import { chordsOf, keyText } from "@/commands/keys";
import { Button, IconButton, Kbd, SearchField } from "@/components/ui";
import { t } from "@/i18n";
import { bindKeys, useSettings } from "@/store/settings";
import styles from "./KeySettings.module.css";

/** Every command with its keys; press others to change them. */
export function KeySettings() {
  const [query, setQuery] = useState("");
  // Drawn anew when a key changes.
  const keymap = useSettings((settings) => settings.keymap);
  const [changing, setChanging] = useState<string | null>(null);
  const commands = allCommands().filter((command) =>
    `${t(command.label)} ${keysOf(command).join(" ")}`.toLowerCase().includes(query.toLowerCase()),
  );
  return (
    <>
      <SearchField value={query} onChange={setQuery} label={t("settings.searchCommands")} />
      {byGroup(commands).map(([group, list]) => (
        <section key={group}>
          <h3 className={styles.heading}>{groupLabel(group)}</h3>
          {list.map((command) => (
            <KeyRow
              key={command.id}
              command={command}
              isOwn={Object.hasOwn(keymap, command.id)}
              isChanging={changing === command.id}
              onChange={(on) => setChanging(on ? command.id : null)}
            />
          ))}
        </section>
      ))}
    </>
  );
}

interface RowProps {
  readonly command: Command;
  readonly isOwn: boolean;
  readonly isChanging: boolean;
  readonly onChange: (changing: boolean) => void;
}

function KeyRow({ command, isOwn, isChanging, onChange }: RowProps) {
  const label = t(command.label);
  const id = useId();
  return (
    <div className={styles.row}>
      <span className={styles.label}>{label}</span>
      <span id={`${id}-label`} hidden>
        {t("settings.changeKey", { command: label })}
      </span>
      {isChanging ? (
        <Capture command={command} onDone={() => onChange(false)} />
      ) : (
        <button
          type="button"
          className={styles.keys}
          id={id}
          aria-labelledby={`${id}-label ${id}`}
          onClick={() => onChange(true)}
        >
          {keysOf(command).map((keys) => (
            <Kbd key={keys} keys={keys} />
          ))}
          {keysOf(command).length === 0 && (
            <span className={styles.none}>{t("settings.noKey")}</span>
          )}
        </button>
      )}
      {isOwn && (
        <IconButton
          icon={RotateCcw}
          size="s"
          label={t("settings.usualKey", { command: label })}
          onClick={() => bindKeys(command.id, null)}
        />
      )}
    </div>
  );
}

interface CaptureProps {
  readonly command: Command;
  readonly onDone: () => void;
}

/** Waits for a key; says whose it is already before taking it from another command. */
function Capture({ command, onDone }: CaptureProps) {
  const [pressed, setPressed] = useState<string | null>(null);
  const others = pressed === null ? [] : commandsWithKey(pressed, command.id);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Tab") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Escape") return onDone();
    if (event.key === "Backspace") {
      bindKeys(command.id, []);
      return onDone();
    }
    const chord = chordsOf(event.nativeEvent)[0];
    if (chord === undefined) return;
    if (commandsWithKey(chord, command.id).length > 0) return setPressed(chord);
    bindKeys(command.id, [chord]);
    onDone();
  };
  const take = () => {
    if (pressed === null) return;
    for (const other of others)
      bindKeys(
        other.id,
        keysOf(other).filter((key) => key !== pressed),
      );
    bindKeys(command.id, [pressed]);
    onDone();
  };
  return (
    <span data-captures-keys="" className={styles.capture}>
      {pressed !== null && others[0] ? (
        <>
          <span role="status">
            {t("settings.keyTaken", { key: keyText(pressed), command: t(others[0].label) })}
          </span>
          <Button size="s" variant="primary" onClick={take}>
            {t("settings.takeKey")}
          </Button>
          <Button size="s" onClick={onDone}>
            {t("shell.cancel")}
          </Button>
        </>
      ) : (
        <button
          type="button"
          // biome-ignore lint/a11y/noAutofocus: it was just asked for, to press a key
          autoFocus
          className={styles.waiting}
          onKeyDown={onKeyDown}
          onBlur={onDone}
        >
          {t("settings.pressKey")}
        </button>
      )}
    </span>
  );
}
