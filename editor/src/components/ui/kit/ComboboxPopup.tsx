import { Combobox } from "@base-ui/react/combobox";
import { Check } from "lucide-react";
import { Fragment, useLayoutEffect, useMemo, useState } from "react";
import { t } from "@/i18n";
import { cx } from "../cx";
import { matching, type Option } from "../options";
import { SearchField } from "../TextField";
import { closingBy, placedAt } from "./anchor";
import styles from "./Combobox.module.css";
import popover from "./Popover.module.css";
import { useFocus } from "./useFocus";

interface Props {
  /** Of the list. */
  readonly id: string;
  readonly anchor: Element;
  readonly value: string;
  readonly options: readonly Option[];
  readonly label: string;
  readonly allowCustom: boolean;
  readonly onClose: () => void;
  readonly onChoose: (value: string) => void;
}

export function ComboboxPopup(props: Props) {
  const { id, anchor, value, options, label, allowCustom, onClose, onChoose } = props;
  const [query, setQuery] = useState("");
  const found = useMemo(() => offered(options, query, allowCustom), [options, query, allowCustom]);
  // The kit gives the highlight to what is chosen as it opens, not if it has been open all along.
  const [open, setOpen] = useState(false);
  useLayoutEffect(() => setOpen(true), []);
  const focus = useFocus((popup) => popup.querySelector("[data-autofocus]"));
  return (
    <Combobox.Root
      open={open}
      value={value}
      inputValue={query}
      autoHighlight
      loopFocus={false}
      onInputValueChange={setQuery}
      onValueChange={(next) => next !== null && onChoose(next)}
      onOpenChange={closingBy(anchor, onClose)}
    >
      <Combobox.Portal>
        <Combobox.Positioner
          {...placedAt(anchor)}
          align="start"
          sideOffset={6}
          className={popover.positioner}
        >
          <Combobox.Popup
            ref={focus}
            aria-label={label}
            initialFocus={false}
            finalFocus={false}
            className={cx(popover.popover, styles.popup, "nowheel")}
          >
            <div className={styles.query}>
              <SearchField
                autoFocus
                value={query}
                label={t("ui.search")}
                onChange={setQuery}
                input={(field) => <Combobox.Input {...field} />}
              />
            </div>
            <Combobox.List id={id} aria-label={label} className={styles.list}>
              {found.map((option, index) => (
                <Fragment key={option.value}>
                  {option.group && option.group !== found[index - 1]?.group && (
                    <div role="presentation" className={styles.group}>
                      {option.group}
                    </div>
                  )}
                  <Choice option={option} isChosen={option.value === value} />
                </Fragment>
              ))}
            </Combobox.List>
            <div role="status" className={styles.none}>
              {found.length === 0 && t("ui.nothingFound")}
            </div>
          </Combobox.Popup>
        </Combobox.Positioner>
      </Combobox.Portal>
    </Combobox.Root>
  );
}

function offered(options: readonly Option[], query: string, custom: boolean): readonly Option[] {
  const found = matching(options, query);
  const typed = query.trim();
  const isNew = typed !== "" && !options.some((option) => option.value === typed);
  return custom && isNew
    ? [...found, { value: typed, label: t("ui.useTyped", { text: typed }) }]
    : found;
}

interface ChoiceProps {
  readonly option: Option;
  readonly isChosen: boolean;
}

function Choice({ option, isChosen }: ChoiceProps) {
  return (
    <Combobox.Item
      value={option.value}
      disabled={option.disabled ?? false}
      className={styles.option}
    >
      {option.picture && (
        <img src={option.picture} alt="" loading="lazy" className={styles.picture} />
      )}
      <span className={styles.text}>
        {option.label}
        {option.hint && <div className={styles.hint}>{option.hint}</div>}
      </span>
      {isChosen && <Check aria-hidden size={14} className={styles.check} />}
    </Combobox.Item>
  );
}
