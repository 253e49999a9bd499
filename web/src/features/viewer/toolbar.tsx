// The viewer's toolbar: one stop for the Tab key, arrow keys within it (WAI-ARIA's toolbar pattern).
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { type Key, t } from "../../i18n";
import type * as act from "./actions";
import { SHORTCUTS } from "./keyboard";
import { ToolbarIcon, type ToolbarSign } from "./toolbar-icons";
import { activePane, type ViewerStore } from "./viewer-store";

interface Item {
  sign: ToolbarSign;
  /** The key of the item's shortcut, which names the action. */
  key: string;
  pressed?: boolean;
  /** The reason why the item is disabled. */
  disabled?: Key | false | undefined;
}

export function Toolbar({ store }: { store: ViewerStore }) {
  const bar = useRef<HTMLDivElement>(null);
  /** The key of the button that the Tab key reaches. */
  const focusStop = useSignal("w");
  const pane = activePane(store);
  const tool = (sign: act.SelectableTool, key: string): Item => ({ sign, key, pressed: store.tool.value === sign });
  const groups: Item[][] = [
    [
      tool("window", "w"),
      tool("pan", "p"),
      tool("zoom", "z"),
      { ...tool("length", "l"), disabled: !pane?.ruler && "view.ruler.none" },
      tool("angle", "g"),
      tool("ratio", "t"),
      { sign: "clear", key: "x", disabled: !pane?.measurements.value.length && "view.length.none" },
      tool("magnify", "m"),
    ],
    [
      { sign: "full", key: "d" },
      { sign: "auto", key: "a" },
      { sign: "bright", key: "b" },
      { sign: "invert", key: "i", pressed: pane?.invert.value ?? false },
    ],
    [
      { sign: "rotate", key: "r" },
      { sign: "reset", key: "0" },
    ],
    [
      {
        sign: "prior",
        key: "v",
        pressed: store.prior.value !== null,
        disabled: !store.others.value?.length && "view.prior.none",
      },
      ...(store.prior.value ? [{ sign: "linked", key: "c", pressed: store.linked.value } as const] : []),
      { sign: "screen", key: "f", pressed: store.fullScreen.value },
      { sign: "help", key: "?" },
    ],
  ];
  const isPresent = groups.flat().some(({ key }) => key === focusStop.value); // the link button comes and goes
  const at = isPresent ? focusStop.value : "w";
  const onKeyDown = (event: KeyboardEvent) => {
    const buttons = [...(bar.current?.querySelectorAll<HTMLButtonElement>("button") ?? [])];
    const from = buttons.indexOf(event.target as HTMLButtonElement);
    const to = { ArrowRight: from + 1, ArrowLeft: from - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined || from < 0) return;
    event.preventDefault();
    buttons[(to + buttons.length) % buttons.length]?.focus();
  };
  return (
    <div class="view-toolbar" role="toolbar" aria-label={t("view.toolbar")} ref={bar} onKeyDown={onKeyDown}>
      {groups.map((items, i) => (
        <div class="view-group" key={i}>
          {items.map((item) => (
            <Button
              key={item.key}
              item={item}
              store={store}
              stop={item.key === at}
              onFocus={() => {
                focusStop.value = item.key;
              }}
            />
          ))}
        </div>
      ))}
    </div>
  );
}

interface ButtonProps {
  item: Item;
  store: ViewerStore;
  stop: boolean;
  onFocus(): void;
}

function Button({ item, store, stop, onFocus }: ButtonProps) {
  const shortcut = SHORTCUTS.find(({ key }) => key === item.key);
  if (!shortcut) throw new RangeError(`no shortcut has the key ${item.key}`);
  const name = t(shortcut.label);
  const disabledReason = item.disabled ? t(item.disabled) : "";
  return (
    // Disabled buttons keep the focus, so that the reason can be read.
    <button
      type="button"
      tabIndex={stop ? 0 : -1}
      onFocus={onFocus}
      aria-label={name}
      aria-pressed={item.pressed}
      aria-disabled={Boolean(disabledReason)}
      aria-keyshortcuts={item.key}
      aria-description={disabledReason || undefined}
      title={disabledReason ? `${name}: ${disabledReason}` : `${name} (${item.key})`}
      onClick={() => {
        if (disabledReason) store.announcement.value = disabledReason;
        else shortcut.act(store);
      }}
    >
      <ToolbarIcon sign={item.sign} />
      <span class="view-name" aria-hidden="true">
        {t(`view.short.${item.sign}`)}
      </span>
    </button>
  );
}
