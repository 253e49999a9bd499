import { render } from "preact";
import { App } from "./app";
import { applyTheme } from "./components/theme";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";

// A file that is dropped beside its place must not take the page, and what was typed in it, away.
for (const kind of ["dragover", "drop"] as const) addEventListener(kind, (event) => event.preventDefault());
applyTheme(); // before anything is drawn: a dark room must not flash
render(<App />, document.getElementById("app") as HTMLElement);
