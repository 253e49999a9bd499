// The viewer's toolbar: one stop for the Tab key, arrows within it (WAI-ARIA's toolbar pattern).
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { type Key, t } from "../../i18n";
import type * as act from "./actions";
import { SHORTCUTS } from "./keyboard";
import { Icon, type Sign } from "./toolbar-icons";
import { active, type Room } from "./viewer-store";

interface Item {
  sign: Sign;
  /** Its shortcut names what it does. */
  key: string;
  pressed?: boolean;
  /** Why it does nothing now. */
  disabled?: Key | false | undefined;
}

export function Toolbar({ room }: { room: Room }) {
  const bar = useRef<HTMLDivElement>(null);
  /** The button that Tab comes to, by its key. */
  const stop = useSignal("w");
  const pane = active(room);
  const tool = (sign: act.Chosen, key: string): Item => ({ sign, key, pressed: room.tool.value === sign });
  const groups: Item[][] = [
    [
      tool("window", "w"),
      tool("pan", "p"),
      tool("zoom", "z"),
      { ...tool("length", "l"), disabled: !pane?.ruler && "view.ruler.none" },
      ...(pane?.lines.value.length ? [{ sign: "clear", key: "x" } as const] : []),
    ],
    [
      { sign: "full", key: "d" },
      { sign: "auto", key: "a" },
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
        pressed: room.prior.value !== null,
        disabled: !room.others.value?.length && "view.prior.none",
      },
      { sign: "screen", key: "f", pressed: room.full.value },
      { sign: "help", key: "?" },
    ],
  ];
  const at = groups.flat().some(({ key }) => key === stop.value) ? stop.value : "w"; // some buttons come and go
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
              room={room}
              stop={item.key === at}
              onFocus={() => {
                stop.value = item.key;
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
  room: Room;
  stop: boolean;
  onFocus(): void;
}

function Button({ item, room, stop, onFocus }: ButtonProps) {
  const shortcut = SHORTCUTS.find(({ key }) => key === item.key);
  if (!shortcut) throw new RangeError(`no shortcut has the key ${item.key}`);
  const name = t(shortcut.does);
  const why = item.disabled ? t(item.disabled) : "";
  return (
    // Disabled buttons keep the focus, so that the reason can be read.
    <button
      type="button"
      tabIndex={stop ? 0 : -1}
      onFocus={onFocus}
      aria-label={name}
      aria-pressed={item.pressed}
      aria-disabled={Boolean(why)}
      aria-keyshortcuts={item.key}
      aria-description={why || undefined}
      title={why ? `${name}: ${why}` : `${name} (${item.key})`}
      onClick={() => {
        if (why) room.said.value = why;
        else shortcut.act(room);
      }}
    >
      <Icon sign={item.sign} />
      <span class="view-name" aria-hidden="true">
        {t(`view.short.${item.sign}`)}
      </span>
    </button>
  );
}
