/**
 * The parts every screen is made of. Each takes plain props, knows no store and no words of its own
 * except through t("ui.…"). Colours and distances come from theme/tokens.css. What opens over the
 * page is built on Base UI (kit/) and fetched when somebody begins to use the page (late.tsx).
 *
 * Actions
 *   <Button variant="primary|secondary|ghost|danger" size="m|s" icon={Play} onClick>Run</Button>
 *   <IconButton icon={X} label="Close" size="m|s" pressed? keys?="mod+w" />   label: tooltip and name
 *   <Menu items={MenuEntry[]} anchor={element or {x,y}} onClose label />      low level, in an overlay
 *   <MenuButton items={MenuEntry[] or () => MenuEntry[]} label icon?>text</MenuButton>
 *   <ContextMenu items at={{x,y}} onClose label />                            null `at`: shows nothing
 *   commandItems(["edit.undo", "-", …], context): MenuEntry[]                 from commands, keys shown
 * Overlays
 *   <Dialog title onClose size="s|m|l|full" footer? padded?>…</Dialog>        modal
 *   <Popover anchor={element} onClose side="bottom" align="start" label>…</Popover>
 *   <Tooltip text keys?><button/></Tooltip>  or spread {...tip(text, keys)} on any element
 * Fields (all controlled; `id` ties them to a <label>; `label` names them where there is none)
 *   <Field label id help? error?>…</Field>
 *   <TextField value onChange onCommit? …/>  <TextArea value onChange rows? autoGrow? …/>
 *   <NumberField value onChange min max step integer suffix? />   drag, arrows, Shift ×10, Ctrl ÷10
 *   <Slider value onChange min max step label />
 *   <Select value onChange options={Option[]} />                  the browser's own list
 *   <Combobox value onChange options={Option[]} allowCustom? />   with search, pictures and groups
 *   <Toggle checked onChange label /> · <SearchField value onChange label />
 * Showing
 *   <Tabs tabs active onChange label>{panel}</Tabs> · <Badge tone>…</Badge> · <Kbd keys="mod+z" />
 *   <Progress value={0..1 or null} label tone? /> · <Spinner label /> · <EmptyState icon title>…</EmptyState>
 *   <VirtualList count rowHeight columns? render={(index) => …} onEnd? label />
 *   <Splitter side size min max onChange label /> · <Toasts items onDismiss />
 */
export { Badge, type Tone } from "./Badge";
export { Button, type ButtonProps, IconButton, type IconButtonProps } from "./Button";
export { Combobox, type ComboboxProps } from "./Combobox";
export { commandItems } from "./commandItems";
export { cx } from "./cx";
export { Dialog, type DialogProps } from "./Dialog";
export { EmptyState } from "./EmptyState";
export { Field } from "./Field";
export { Kbd } from "./Kbd";
export { leaveForDialog } from "./left";
export { ContextMenu, Menu, MenuButton } from "./Menu";
export type { MenuEntry, MenuItem } from "./menuTypes";
export { NumberField, type NumberFieldProps } from "./NumberField";
export type { Option } from "./options";
export { Popover } from "./Popover";
export { Progress, Spinner } from "./Progress";
export { Select } from "./Select";
export { Slider } from "./Slider";
export { Splitter } from "./Splitter";
export { Tabs } from "./Tabs";
export { SearchField, TextArea, TextField } from "./TextField";
export { type Toast, Toasts } from "./Toasts";
export { Toggle } from "./Toggle";
export { TooltipLayer } from "./Tooltip";
export { Tooltip, tip } from "./tip";
export { VirtualList } from "./VirtualList";
