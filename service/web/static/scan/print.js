// On paper: everything that is shown as one table, without pictures.

import { t } from "../labels.js";
import { clock } from "./clock.js";
import { classOf, state } from "./state.js";

let sheet;

export function startPrint(root) {
  sheet = root.querySelector("#print");
  addEventListener("beforeprint", fill);
  addEventListener("afterprint", () => sheet.replaceChildren());
  matchMedia("print").addEventListener("change", (event) => (event.matches ? fill() : sheet.replaceChildren()));
}

function fill() {
  const table = document.createElement("table");
  const caption = table.createCaption();
  caption.textContent = t("scan.appearances_of", { shown: state.shown.length, count: state.items.length });
  const head = table.createTHead().insertRow();
  for (const key of ["number", "class", "from", "to", "confidence", "verdict", "note"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = t(`scan.${key}`);
    head.append(cell);
  }
  const body = table.createTBody();
  for (const item of state.shown) {
    const row = body.insertRow();
    const said = item.number === null ? [] : (state.verdicts.get(item.number)?.list ?? []);
    const verdicts = said.map((each) => {
      const words = t(`scan.verdict.${each.verdict}`, { class: classOf(each.class ?? "").name });
      return `${each.mine ? t("scan.you") : each.reviewer}: ${words}`;
    });
    const cells = [
      item.number ?? "–", classOf(item.cls).name, clock(item.first), clock(item.last), item.confidence.toFixed(2),
      verdicts.join("; "), said.map((each) => each.note).filter(Boolean).join("; "),
    ];
    for (const text of cells) row.insertCell().textContent = text;
  }
  sheet.replaceChildren(table);
}
