import { render } from "preact";
import { App } from "./app";
import { applyTheme } from "./ui/theme";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";

applyTheme(); // before anything is drawn: a dark room must not flash
render(<App />, document.getElementById("app") as HTMLElement);
