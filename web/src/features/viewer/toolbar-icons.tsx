// The toolbar's icons, in one style. Each button also has a text.
const PATHS = {
  window: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 4v16M9 5v14M6.5 7v10",
  pan: "M12 3v18M3 12h18M12 3l-3 3M12 3l3 3M12 21l-3-3M12 21l3-3M3 12l3-3M3 12l3 3M21 12l-3-3M21 12l-3 3",
  zoom: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L21 21M10.5 7.5v6M7.5 10.5h6",
  length: "M3 17L17 3l4 4L7 21zM7 13l2 2M10 10l3 3M13 7l2 2",
  angle: "M4 20L18 5M4 20h16M11 12.5a10 10 0 0 1 3 7.5",
  ratio: "M3 6v12M21 6v12M3 12h18M8 9v6M14 9v6",
  clear: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  full: "M4 20V4M4 20h16M4 20L20 4",
  auto: "M12 5v14M11 8C8 4 4 9 4 15c0 4 3 4 7 2M13 8c3-4 7 1 7 7 0 4-3 4-7 2",
  bright: "M12 3v18M7 6h10M6 10h12M6 14h12M8 18h8",
  magnify: "M10 4a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM14.5 14.5L21 21",
  linked: "M9 15l6-6M8 11l-3 3a3.5 3.5 0 0 0 5 5l3-3M16 13l3-3a3.5 3.5 0 0 0-5-5l-3 3",
  invert: "M4 4h16v16H4zM4 20L20 4M20 4v16H4",
  rotate: "M19 12a7 7 0 1 1-2-5l3 3M20 4v6h-6",
  reset: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5M9 9h6v6H9z",
  screen: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  prior: "M4 5h7v14H4zM13 5h7v14h-7zM15 9h3M15 12h3",
  help: "M9 9a3 3 0 1 1 4 2.8c-1 .5-1 1.2-1 2.2M12 18v.5",
} as const;
export type ToolbarSign = keyof typeof PATHS;

export function ToolbarIcon({ sign }: { sign: ToolbarSign }) {
  return (
    <svg class="view-icon" viewBox="0 0 24 24" aria-hidden="true" data-sign={sign}>
      <path d={PATHS[sign]} />
    </svg>
  );
}
