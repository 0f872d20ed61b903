// Lists of appearances over all scans, page by page.

import { get, prefs, taxonomy } from "./api.js";
import { fillClasses, startFilters } from "./filters.js";
import { t } from "./labels.js";
import { proposeBreaks } from "./looked.js";

const PAGE = 50;

// `row` makes the list item of one appearance from it and the classes; `words` are the prefix of the page's labels.
export async function startFinds({ row, words }) {
  const find = (id) => document.getElementById(id);
  const list = find("finds"), more = find("more"), shown = find("shown"), problemLine = find("problem");
  let following = null, reading = 0, query = null, classes = new Map();

  async function read(cursor) {
    const mine = (reading += 1);
    const asked = query();
    asked.set("limit", PAGE);
    // Until the answer is there, what is shown is of the filters before.
    if (!cursor) list.ariaBusy = "true";
    if (cursor) asked.set("cursor", cursor);
    try {
      const page = await get(`/v1/search?${asked}`);
      if (mine !== reading) return;
      if (!cursor) list.replaceChildren();
      const last = list.lastElementChild;
      list.append(...page.items.map((each) => row(each, classes)));
      following = page.next;
      more.hidden = following === null;
      const count = list.children.length;
      shown.textContent = count ? t(following ? `${words}.shown_more` : `${words}.shown`, { count }) : t(`${words}.none`);
      problemLine.textContent = "";
      // Where the button is gone with the last page, focus stays in the list.
      if (cursor && more.hidden) last?.nextElementSibling?.querySelector("a")?.focus();
    } catch (problem) {
      if (mine === reading) problemLine.textContent = problem.detail ?? String(problem);
    }
    if (mine === reading) list.ariaBusy = "false";
    document.body.dataset.ready = "yes";
  }

  more.addEventListener("click", () => read(following));
  try {
    classes = await taxonomy();
    await fillClasses(find("f-class"));
  } catch (problem) {
    problemLine.textContent = problem.detail;
  }
  prefs().then(({ break_minutes: minutes }) => proposeBreaks(minutes, () => (find("break").textContent = t("base.break", { count: minutes }))), () => null);
  query = startFilters(find("filters"), () => read(null));
  await read(null);
}

export function classOf(classes, id) {
  return classes.get(id) ?? { name: id, colour: "" };
}

export function addressOf(found) {
  return `/scans/${found.scan.id}#${found.number}`;
}
