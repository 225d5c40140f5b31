// How it looks. The rules are given to the document, or the shadow root, that the viewer is in.

const RULES = `
.lazyflow {
  color-scheme: light dark;
  --lf-text: light-dark(#1b2430, #d7dde6);
  --lf-quiet: light-dark(#5a6675, #98a4b3);
  --lf-faint: light-dark(#c6ced8, #3a4553);
  --lf-back: light-dark(#ffffff, #12161c);
  --lf-band: light-dark(#f5f7f9, #181d25);
  --lf-odd: light-dark(#fafbfc, #151a21);
  --lf-hover: light-dark(#eef3fa, #1c2531);
  --lf-line: light-dark(#d9dfe6, #2a323d);
  --lf-hair: light-dark(#eef1f4, #1d242d);
  --lf-thumb: light-dark(#929da9, #5c6877);
  --lf-accent: light-dark(#1f62b5, #74aef5);
  --lf-on-accent: light-dark(#ffffff, #0d1117);
  --lf-wash: light-dark(#dbe8f8, #1d3350);
  --lf-mark: light-dark(#ffe9a8, #5d4a12);
  --lf-alarm: light-dark(#a4281b, #f28f82);
  position: relative;
  display: flex;
  flex-direction: column;
  height: 100%;
  min-height: 240px;
  overflow: hidden;
  background: var(--lf-back);
  color: var(--lf-text);
  font: 13px/1.4 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
  scrollbar-color: var(--lf-thumb) transparent;
}
.lazyflow, .lazyflow *, .lazyflow *::before { box-sizing: border-box; }
:host(.lf-widget) .lazyflow { border: 1px solid var(--lf-line); border-radius: 6px; }
.lazyflow [hidden] { display: none !important; }
.lazyflow :focus-visible { outline: 2px solid var(--lf-accent); outline-offset: -1px; }
.lazyflow :is(input, select, textarea, button) {
  min-height: 28px; padding: 3px 9px; border: 1px solid var(--lf-line); border-radius: 5px;
  background: var(--lf-back); color: inherit; font: inherit;
}
.lazyflow :is(input[type="checkbox"]) { min-height: 0; accent-color: var(--lf-accent); }
.lazyflow button { cursor: pointer; white-space: nowrap; }
.lazyflow button:hover:not(:disabled) { border-color: var(--lf-quiet); }
.lazyflow button:disabled { color: var(--lf-faint); cursor: default; }
.lazyflow button.lf-primary { border-color: var(--lf-accent); background: var(--lf-accent); color: var(--lf-on-accent); }
.lazyflow button.lf-quiet { border-color: transparent; background: none; color: var(--lf-quiet); }
.lazyflow ::placeholder { color: var(--lf-quiet); opacity: 1; }
.lazyflow h2 { margin: 0; font-size: 15px; font-weight: 600; overflow-wrap: anywhere; }
.lazyflow mark { border-radius: 2px; background: var(--lf-mark); color: inherit; }
.lf-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.lf-bar { display: flex; flex-wrap: wrap; align-items: center; gap: 6px; padding: 7px 10px; border-bottom: 1px solid var(--lf-line); }
.lf-bar input[type="search"] { flex: 0 1 320px; min-width: 140px; }
.lf-bar select { max-width: 16em; }
.lf-space { flex: 1; }
.lf-chips { display: flex; flex-wrap: wrap; align-items: center; gap: 6px; padding: 6px 10px; border-bottom: 1px solid var(--lf-line); background: var(--lf-band); max-height: 96px; overflow: auto; }
.lf-chip { display: inline-flex; max-width: 100%; border-radius: 14px; background: var(--lf-wash); }
.lazyflow .lf-chip button { min-height: 24px; padding: 1px 8px; border: 0; border-radius: 14px; background: none; }
.lazyflow .lf-chip .lf-chip-text { padding-left: 11px; overflow: hidden; text-overflow: ellipsis; }

.lf-notice { display: flex; align-items: center; gap: 10px; padding: 6px 10px; border-bottom: 1px solid var(--lf-line); color: var(--lf-alarm); }
.lf-notice span { flex: 1; overflow-wrap: anywhere; }
.lf-body { display: flex; flex: 1; min-height: 0; }
.lf-table { position: relative; flex: 1; min-width: 0; }
.lf-grid { height: 100%; }
.lf-message {
  position: absolute; inset: 120px 0 auto; width: max-content; max-width: 80%; margin: 0 auto; padding: 12px 18px;
  border: 1px solid var(--lf-line); border-radius: 8px; background: var(--lf-back); text-align: center;
}
.lf-message p { margin: 0 0 8px; } .lf-message p:last-child { margin: 0; }

.lf-value { display: block; margin: 0 -10px; padding: 0 10px; white-space: pre; unicode-bidi: plaintext; }
.lf-value[data-cut] { overflow: clip; text-overflow: ellipsis; }
.lf-grid .ag-row :is(.ag-cell, .ag-grid-pinned-left-cells) { overflow: visible; }
.lf-value[data-picked] { background: var(--lf-wash); }
.lf-number { text-align: right; }
.lf-value[data-form="missing"], .lf-value[data-form="empty"] { color: var(--lf-quiet); }
.lf-value[data-form="pending"]::before {
  content: ""; display: inline-block; width: 55%; height: 9px; border-radius: 4px; background: var(--lf-hair);
}
.lf-grid .ag-cell-wrapper, .lf-grid .ag-cell-value { width: 100%; }
.lf-grid [col-id="number"] .lf-value { color: var(--lf-quiet); font-size: 12px; }
.lf-grid .ag-header-cell { padding: 0; }
.lf-grid .ag-header-cell-comp-wrapper { width: 100%; height: 100%; }

.lf-head { display: flex; flex-direction: column; width: 100%; height: 100%; padding: 6px 9px 5px; font-weight: 400; }
.lf-name { display: flex; gap: 4px; font-weight: 600; cursor: pointer; }
.lf-name bdi { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.lf-name:hover bdi { text-decoration: underline; text-underline-offset: 3px; }
.lf-arrow { color: var(--lf-accent); font-size: 11px; align-self: center; }
.lf-facts { color: var(--lf-quiet); font-size: 11px; line-height: 15px; cursor: pointer; }
.lf-facts > div { display: flex; justify-content: space-between; gap: 8px; height: 15px; overflow: hidden; white-space: nowrap; }
.lf-facts .lf-type { overflow: hidden; text-overflow: ellipsis; }
.lf-type { color: var(--lf-quiet); font-style: italic; }
.lf-none { margin-top: auto; color: var(--lf-quiet); font-size: 11px; }
.lf-none[data-waiting] { height: 34px; border-radius: 4px; background: linear-gradient(to top, var(--lf-hair), transparent); }
[data-form="failed"], [data-form="slow"] { color: var(--lf-alarm); }
[data-form="pending"]:not(.lf-value) { color: var(--lf-quiet); }
[data-form="approximate"], [data-form="sampled"] { text-decoration: underline dotted; text-underline-offset: 3px; cursor: help; }

.lf-chart { position: relative; margin-top: auto; cursor: crosshair; touch-action: none; border-bottom: 1px solid var(--lf-faint); }
.lf-head .lf-chart { height: 34px; }
.lf-panel .lf-chart { height: 120px; flex: none; }
.lf-chart svg { display: block; width: 100%; height: 100%; }
.lf-chart[data-basis]::after { position: absolute; top: -4px; right: 0; color: var(--lf-quiet); font-size: 12px; line-height: 1; }
.lf-chart[data-basis="sampled"]::after { content: "≈"; }
.lf-chart[data-basis="approximate"]::after { content: "~"; }
.lf-raw { fill: var(--lf-faint); }
.lf-filtered { fill: var(--lf-accent); }
.lf-band { fill: var(--lf-wash); }
.lf-cursor { fill: none; stroke: var(--lf-accent); stroke-width: 2; vector-effect: non-scaling-stroke; }
.lf-chart[data-pending] .lf-raw { opacity: .5; }

.lf-panel { display: flex; flex-direction: column; gap: 8px; width: 340px; padding: 12px 14px; overflow: auto; border-left: 1px solid var(--lf-line); background: var(--lf-back); }
.lf-panel header { display: flex; align-items: flex-start; justify-content: space-between; gap: 8px; }
.lf-panel p { margin: 0; }
.lf-tools { display: flex; flex-wrap: wrap; gap: 6px; }
.lf-told { min-height: 1.4em; color: var(--lf-quiet); font-size: 12px; overflow-wrap: anywhere; }
.lf-statistics table { width: 100%; margin-bottom: 12px; border-collapse: collapse; font-size: 12px; }
.lf-statistics :is(th, td) { padding: 2px 4px; border-bottom: 1px solid var(--lf-hair); text-align: right; vertical-align: baseline; overflow-wrap: anywhere; }
.lf-statistics th[scope="row"] { color: var(--lf-quiet); font-weight: 400; text-align: left; }
.lf-statistics thead th { border-bottom-color: var(--lf-line); font-weight: 600; }
.lf-statistics caption { padding: 4px; color: var(--lf-quiet); text-align: left; }
.lazyflow .lf-statistics button { min-height: 20px; margin-left: -5px; padding: 0 4px; border-color: transparent; background: none; color: var(--lf-text); text-align: left; white-space: normal; overflow-wrap: anywhere; }
.lazyflow .lf-statistics button:hover { color: var(--lf-accent); }

.lf-status { display: flex; align-items: center; gap: 14px; min-height: 28px; padding: 3px 12px; border-top: 1px solid var(--lf-line); background: var(--lf-band); color: var(--lf-quiet); font-size: 12px; }
.lf-count { color: var(--lf-text); font-weight: 600; white-space: nowrap; }
.lf-work { white-space: nowrap; }
.lf-status .lf-told { flex: 1; min-width: 0; min-height: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; text-align: right; }
.lazyflow .lf-status button { min-height: 22px; padding: 0 8px; }
.lf-link[data-status="lost"], .lf-link[data-status="refused"] { color: var(--lf-alarm); font-weight: 600; }
.lazyflow[data-status="lost"] .lf-grid { --lf-back: var(--lf-band); --lf-odd: var(--lf-band); filter: grayscale(1); }

.lf-popup {
  position: absolute; z-index: 20; width: max-content; max-width: min(560px, calc(100% - 16px)); max-height: calc(100% - 16px); overflow: auto; padding: 14px;
  border: 1px solid var(--lf-line); border-radius: 8px; background: var(--lf-back); box-shadow: 0 6px 24px rgb(0 0 0 / .18);
}
.lf-dialog :is(p, ul) { margin: 0; }
.lf-dialog, .lf-editor { display: flex; flex-direction: column; gap: 10px; }
.lf-editor { width: 320px; max-width: 100%; }
.lf-group { display: flex; flex-wrap: wrap; align-items: center; gap: 6px; max-width: 420px; color: var(--lf-quiet); }
.lf-group .lf-chip { color: var(--lf-text); }
.lf-fields { display: flex; flex-wrap: wrap; align-items: center; gap: 6px; }
.lf-fields > :is(select, input, textarea) { flex: 1 1 100px; min-width: 0; }
.lf-error { margin: 0; color: var(--lf-alarm); overflow-wrap: anywhere; } .lf-error:empty { display: none; }
.lf-buttons { display: flex; justify-content: flex-end; gap: 6px; }
.lf-list p { padding: 4px; color: var(--lf-quiet); }
.lf-list { display: flex; flex-direction: column; max-height: 320px; overflow: auto; }
.lf-line { display: flex; justify-content: space-between; gap: 10px; }
.lf-line label { display: flex; gap: 6px; align-items: center; min-width: 0; overflow-wrap: anywhere; }
.lf-part { display: flex; flex-direction: column; gap: 10px; }
.lf-links { display: flex; flex-wrap: wrap; gap: 6px; }
.lf-links a { padding: 4px 10px; border: 1px solid var(--lf-line); border-radius: 5px; color: var(--lf-text); text-decoration: none; }
.lf-links a:hover { border-color: var(--lf-quiet); }
.lf-keep { width: 420px; max-width: 100%; }
.lf-share p { margin: 4px 0 0; color: var(--lf-quiet); max-width: 320px; }
:is(.lf-whole, .lf-sql) pre { max-height: 40vh; min-width: 220px; margin: 0; padding: 8px; overflow: auto; border: 1px solid var(--lf-line); border-radius: 5px; white-space: pre-wrap; overflow-wrap: anywhere; }
.lf-whole p { margin: 0; color: var(--lf-quiet); }
.lf-help table { border-collapse: collapse; } .lf-help caption { padding: 4px 0; font-weight: 600; text-align: left; }
.lf-help :is(th, td) { padding: 2px 12px 2px 0; text-align: left; vertical-align: top; font-weight: 400; } .lf-help th { color: var(--lf-quiet); white-space: nowrap; }

@media (max-width: 640px) {
  .lf-panel { position: absolute; inset: 0; z-index: 10; width: auto; border-left: 0; }
  .lf-bar input[type="search"] { flex-basis: 100%; order: -1; }
  .lf-help th { white-space: normal; }
}
@media (prefers-reduced-motion: reduce) { .lazyflow * { animation: none !important; transition: none !important; } }
`;

let sheet: CSSStyleSheet | null = null;

/** Let the rules hold where the element is. */
export function adopt(element: HTMLElement): void {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(RULES);
  }
  const root = element.getRootNode() as Document | ShadowRoot;
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
}
