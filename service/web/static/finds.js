// Lists of appearances over all scans, page by page.

import { get, prefs, taxonomy } from "./api.js";
import { fillClasses, startFilters } from "./filters.js";
import { t } from "./labels.js";
import { proposeBreaks } from "./looked.js";
import { focusOpened, keepPlace, shownBefore } from "./place.js";

const PAGE = 50;
const MOST_AT_ONCE = 200;

// `row` makes the list item of one appearance from it and the classes; `words` are the prefix of the page's labels.
export async function startFinds({ row, words }) {
  const find = (id) => document.getElementById(id);
  const list = find("finds"), more = find("more"), shown = find("shown"), problemLine = find("problem");
  let following = null, reading = 0, query = null, classes = new Map();

  // Resolves to whether what came is shown.
  async function read(cursor, count = PAGE) {
    const mine = (reading += 1);
    const asked = query();
    asked.set("limit", Math.min(MOST_AT_ONCE, count));
    // Until the answer is there, what is shown is of the filters before.
    if (!cursor) list.ariaBusy = "true";
    if (cursor) asked.set("cursor", cursor);
    try {
      const page = await get(`/v1/search?${asked}`);
      if (mine !== reading) return false;
      if (!cursor) list.replaceChildren();
      const last = list.lastElementChild;
      list.append(...page.items.map((each) => row(each, classes)));
      following = page.next;
      more.hidden = following === null;
      const all = list.children.length;
      shown.textContent = all ? t(following ? `${words}.shown_more` : `${words}.shown`, { count: all }) : t(`${words}.none`);
      problemLine.textContent = "";
      // Where the button is gone with the last page, focus stays in the list.
      if (cursor && more.hidden) last?.nextElementSibling?.querySelector("a")?.focus();
    } catch (problem) {
      if (mine === reading) problemLine.textContent = problem.detail ?? String(problem);
    }
    if (mine === reading) list.ariaBusy = "false";
    document.body.dataset.ready = "yes";
    return mine === reading && problemLine.textContent === "";
  }

  // Who comes back to the page finds as much as was shown, at what was opened.
  async function readAgain() {
    const count = shownBefore();
    let isShown = await read(null, Math.max(PAGE, count));
    while (isShown && following !== null && list.children.length < count) isShown = await read(following, count - list.children.length);
    if (isShown) focusOpened(list);
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
  keepPlace(list);
  await readAgain();
}

export function classOf(classes, id) {
  return classes.get(id) ?? { name: id, colour: "" };
}

export function addressOf(found) {
  return `/scans/${found.scan.id}#${found.number}`;
}
