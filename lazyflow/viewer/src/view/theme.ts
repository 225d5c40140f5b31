// How the grid looks: its colours are those of the viewer.

import { themeQuartz } from "ag-grid-community";
import { h } from "./dom.ts";

export const THEME = themeQuartz.withParams({
  backgroundColor: "var(--lf-back)",
  foregroundColor: "var(--lf-text)",
  accentColor: "var(--lf-accent)",
  borderColor: "var(--lf-line)",
  headerBackgroundColor: "var(--lf-band)",
  headerTextColor: "var(--lf-text)",
  browserColorScheme: "inherit",
  fontFamily: "inherit",
  fontSize: 13,
  headerFontSize: 13,
  cellHorizontalPadding: 10,
  wrapperBorder: false,
  wrapperBorderRadius: 0,
  oddRowBackgroundColor: "var(--lf-odd)",
  rowBorder: false,
  columnBorder: { color: "var(--lf-hair)" },
  headerColumnResizeHandleColor: "transparent",
  headerColumnBorder: { color: "var(--lf-line)" },
  rowHoverColor: "var(--lf-hover)",
});

const sign = (text: string) => (): HTMLElement => h("span", { "aria-hidden": "true" }, text);

/** What is seen beside a column while it is moved: text, since the grid's own icons are images that the page's policy forbids. */
export const ICONS = {
  columnMoveMove: sign("↔"),
  columnMoveLeft: sign("←"),
  columnMoveRight: sign("→"),
  columnMovePin: sign("⇤"),
  columnMoveHide: sign("×"),
  columnMoveAdd: sign("+"),
  dropNotAllowed: sign("×"),
};
