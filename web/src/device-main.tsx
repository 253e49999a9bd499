// The entry of the app on this device (device.html).
import { render } from "preact";
import { applyTheme } from "./components/theme";
import { DeviceApp } from "./features/device/device-app";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";

for (const kind of ["dragover", "drop"] as const) addEventListener(kind, (event) => event.preventDefault());
applyTheme();
render(<DeviceApp />, document.getElementById("app") as HTMLElement);
// Keeps this page for use without a connection. It answers for this page's own files alone.
if ("serviceWorker" in navigator && import.meta.env.PROD)
  addEventListener("load", () => void navigator.serviceWorker.register("./device-sw.js", { scope: "./" }));
