import { render } from "preact";
import { App } from "./app";
import { applyTheme } from "./components/theme";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";

// A file that is dropped outside a drop target must not replace the page and its unsaved text.
for (const kind of ["dragover", "drop"] as const) addEventListener(kind, (event) => event.preventDefault());
applyTheme(); // before the first paint: the dark theme must not flash white
render(<App />, document.getElementById("app") as HTMLElement);
