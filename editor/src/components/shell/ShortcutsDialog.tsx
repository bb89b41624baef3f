import { useMemo, useState } from "react";
import { allCommands, type Command, keysOf } from "@/commands";
import { byGroup, groupLabel } from "@/commands/groups";
import { STEPS } from "@/components/comparison/steps";
import { Button, Dialog, EmptyState, Kbd, SearchField } from "@/components/ui";
import { t } from "@/i18n";
import { useUi } from "@/store/ui";
import { GESTURES } from "./gestures";
import styles from "./ShortcutsDialog.module.css";

/** All keys and gestures in one place. */
export default function ShortcutsDialog({ onClose }: { readonly onClose: () => void }) {
  const [query, setQuery] = useState("");
  const groups = useMemo(() => byGroup(found(query)), [query]);
  const gestures = GESTURES.filter(({ does, how }) => holds(`${t(does)} ${t(how)}`, query));
  const steps = STEPS.filter(({ label, keys }) => holds(`${t(label)} ${keys}`, query));
  return (
    <Dialog
      title={t("shell.shortcuts")}
      size="l"
      onClose={onClose}
      footer={
        <Button onClick={() => useUi.getState().openDialog("settings", { page: "keys" })}>
          {t("shell.changeKeys")}
        </Button>
      }
    >
      <SearchField autoFocus value={query} onChange={setQuery} label={t("shell.searchKeys")} />
      <div className={styles.columns}>
        {groups.map(([group, commands]) => (
          <section key={group} className={styles.group}>
            <h3 className={styles.heading}>{groupLabel(group)}</h3>
            {commands.map((command) => (
              <div key={command.id} className={styles.row}>
                <span>{t(command.label)}</span>
                <span className={styles.keys}>
                  <Keys keys={keysOfAll(command)} />
                </span>
              </div>
            ))}
          </section>
        ))}
        {steps.length > 0 && (
          <section className={styles.group}>
            <h3 className={styles.heading}>{t("comparison.title")}</h3>
            {steps.map(({ label, keys }) => (
              <div key={label} className={styles.row}>
                <span>{t(label)}</span>
                <span className={styles.keys}>
                  <Kbd keys={keys} />
                </span>
              </div>
            ))}
          </section>
        )}
        {gestures.length > 0 && (
          <section className={styles.group}>
            <h3 className={styles.heading}>{t("shell.gestures")}</h3>
            {gestures.map(({ does, how }) => (
              <div key={does} className={styles.row}>
                <span>{t(does)}</span>
                <span className={styles.how}>{t(how)}</span>
              </div>
            ))}
          </section>
        )}
      </div>
      {groups.length + steps.length + gestures.length === 0 && (
        <EmptyState title={t("shell.noKeys")} />
      )}
    </Dialog>
  );
}

function Keys({ keys }: { readonly keys: readonly string[] }) {
  const [first = "", last = ""] = [keys.at(0), keys.at(-1)];
  if (keys.length <= 3) return keys.map((each) => <Kbd key={each} keys={each} />);
  return (
    <>
      <Kbd keys={first} /> … <Kbd keys={last} />
    </>
  );
}

/** Of all the commands that are called the same, such as those for the tabs by number. */
function keysOfAll(command: Command): readonly string[] {
  return allCommands()
    .filter(({ label }) => label === command.label)
    .flatMap(keysOf);
}

function isFirstOfLabel(command: Command): boolean {
  return allCommands().find(({ label }) => label === command.label) === command;
}

function found(query: string): readonly Command[] {
  return allCommands().filter(
    (command) =>
      keysOf(command).length > 0 &&
      isFirstOfLabel(command) &&
      holds(`${t(command.label)} ${keysOf(command).join(" ")}`, query),
  );
}

function holds(text: string, query: string): boolean {
  const lower = text.toLowerCase();
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => lower.includes(word));
}
