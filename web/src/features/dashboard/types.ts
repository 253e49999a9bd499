// The server's types of the dashboard, under short names.
import type { components } from "../../api/schema";

type Schemas = components["schemas"];
export type DashboardReport = Schemas["DashboardOut"];
export type ModelCount = Schemas["ModelCountOut"];
export type SiteFigures = Schemas["SiteFigures"];
export type ReaderFigures = Schemas["ReaderFigures"];
export type Agreement = Schemas["Agreement"];
