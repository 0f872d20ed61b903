// What reviewers say of each appearance: shown at once, sent in order, taken back where the server refuses.

import { get, send } from "../api.js";
import { element } from "../element.js";
import { t } from "../labels.js";
import { api, emit, state } from "./state.js";
import { announce, tell } from "./notices.js";
import { checkGone } from "./stills.js";

// As many as the server takes by one request.
const MOST_AT_ONCE = 500;

const done = [];
// What the server has of mine, by number of the appearance, and how many changes of each are on their way.
const saved = new Map();
const underWay = new Map();
// The notice of verdicts that were not saved has a link to each, which goes when one is given there after all.
const unsaved = new Map();
let notice = null;
let line = Promise.resolve();
let lists = 0;
let changes = 0;
let isKnown = false;

// Whether the verdicts that the server had when the page was opened have come.
export function areVerdictsKnown() {
  return isKnown;
}

// Whether a change of mine has no answer yet: those behind the first one wait for it here, and go where the page goes.
export function isSending() {
  return lists > 0 || [...underWay.values()].some((count) => count > 0);
}

async function allSent() {
  let waited = null;
  while (waited !== line) {
    waited = line;
    await waited;
  }
}

// What the server has. A verdict given in the meantime is not in its answer: then it is asked again.
export async function readVerdicts() {
  for (;;) {
    await allSent();
    const before = changes;
    const answer = await get(`${api}/verdicts`);
    if (before === changes) {
      take(answer);
      return;
    }
  }
}

function take({ items, summary }) {
  const found = new Map();
  for (const each of items) {
    const entry = found.get(each.appearance) ?? { list: [], mine: null, state: "single" };
    entry.list.push(each);
    if (each.mine) entry.mine = each;
    found.set(each.appearance, entry);
  }
  for (const [number, { state: agreement }] of Object.entries(summary)) {
    const entry = found.get(Number(number));
    if (entry) entry.state = agreement;
  }
  state.verdicts = found;
  saved.clear();
  for (const [number, { mine }] of found) if (mine) saved.set(number, mine);
  isKnown = true;
  emit("verdicts");
}

function agreementOf(list) {
  if (list.length < 2) return "single";
  const opinions = new Set(list.map((each) => `${each.verdict} ${each.class ?? ""}`));
  return opinions.size > 1 ? "disagreed" : "agreed";
}

function put(number, mine) {
  set(number, mine);
  emit("verdicts");
}

function set(number, mine) {
  changes += 1;
  const others = (state.verdicts.get(number)?.list ?? []).filter((each) => !each.mine);
  const list = mine ? [...others, mine] : others;
  if (list.length) state.verdicts.set(number, { list, mine: mine ?? null, state: agreementOf(list) });
  else state.verdicts.delete(number);
}

export function mineOf(item) {
  return item?.number ? (state.verdicts.get(item.number)?.mine ?? null) : null;
}

// Resolves to whether the server has it. An `other_class` verdict carries the class.
export function give(item, verdict, { cls = null, note = null } = {}) {
  const words = note ?? mineOf(item)?.note ?? "";
  const body = { verdict, note: words, ...(cls ? { class: cls } : {}) };
  put(item.number, given(item.number, verdict, cls, words));
  done.push(item.number);
  announce(t(`scan.said.${verdict}`, { number: item.number }));
  return queued(() => sendOne("PUT", item.number, body), item.number, () => forget(item.number));
}

// Arrives also where the page is left at once.
const sendOne = (method, number, body) =>
  send(method, `${api}/appearances/${number}/verdict`, body, { keepalive: true, stays: true });

function forget(number) {
  const place = done.lastIndexOf(number);
  if (place >= 0) done.splice(place, 1);
}

function given(number, verdict, cls, note) {
  return { appearance: number, reviewer: "", verdict, class: cls, note, at: Date.now() / 1000, mine: true };
}

// Makes proposals verdicts of mine; resolves to those that the server has.
export async function takeOver(proposals) {
  for (const each of proposals) set(each.appearance, given(each.appearance, each.verdict, each.class, each.note));
  emit("verdicts");
  const items = proposals.map(({ appearance, verdict, class: cls }) => ({ appearance, verdict, class: cls }));
  const taken = await inParts(items, (each) => each.appearance, (part) => send("POST", `${api}/proposals`, { items: part }));
  done.push(...taken.map((each) => each.appearance));
  return taken;
}

// Takes my verdicts on these appearances back.
export async function takeBackAll(numbers) {
  for (const number of numbers) {
    set(number, null);
    forget(number);
  }
  emit("verdicts");
  await inParts(numbers, (number) => number, (part) => send("POST", `${api}/verdicts/take-back`, { appearances: part }));
  announce(t("scan.earlier.undone", { count: numbers.length }));
}

// Sends a long list piece by piece, in the line of all changes; then everything is as the server has it. `numberOf` tells
// which appearance an item of the list is about.
async function inParts(list, numberOf, sendPart) {
  const answers = [];
  const work = async () => {
    for (let from = 0; from < list.length; from += MOST_AT_ONCE) {
      const part = list.slice(from, from + MOST_AT_ONCE);
      const { items } = await sendPart(part);
      for (const each of part) saved.delete(numberOf(each));
      for (const each of items) saved.set(each.appearance, each);
      answers.push(...items);
    }
  };
  lists += 1;
  line = line.then(work).catch(async (problem) => {
    tell("verdict", t("scan.not_saved_all", { why: problem.detail ?? problem.message }), "danger");
    await checkGone();
  });
  await line;
  lists -= 1;
  await readVerdicts().catch((problem) => {
    for (const each of list) set(numberOf(each), saved.get(numberOf(each)) ?? null);
    emit("verdicts");
    tell("verdict", problem.detail ?? problem.message, "danger");
  });
  return answers;
}

// Takes back the last verdict given on this page, else the one on `item`; tells which appearance it was on.
export function undo(item) {
  const number = done.pop() ?? (mineOf(item) ? item.number : null);
  if (number === null) {
    announce(t("scan.nothing_to_undo"));
    return null;
  }
  put(number, null);
  announce(t("scan.undone", { number }));
  queued(() => sendOne("DELETE", number), number, () => done.push(number));
  return number;
}

// Does `work` after all that is waiting; it resolves to the verdict that the server then has. What is shown follows
// the server where no later change of mine is on its way, so that nothing is shown as given that was not saved.
function queued(work, number, onFailed) {
  underWay.set(number, (underWay.get(number) ?? 0) + 1);
  const sent = line.then(work).then(
    (mine) => {
      saved.set(number, mine);
      nowSaved(number);
      return null;
    },
    (problem) => problem,
  );
  line = sent.then(async (problem) => {
    underWay.set(number, underWay.get(number) - 1);
    if (problem) onFailed();
    if (!underWay.get(number) && !isShown(number)) put(number, saved.get(number) ?? null);
    if (problem) await sayNotSaved(number, problem);
  });
  return sent.then((problem) => problem === null);
}

function nowSaved(number) {
  unsaved.get(number)?.remove();
  if (unsaved.delete(number) && !unsaved.size) notice.remove();
}

function isShown(number) {
  const [one, other] = [state.verdicts.get(number)?.mine, saved.get(number)];
  return ["verdict", "class", "note"].every((name) => one?.[name] === other?.[name]);
}

async function sayNotSaved(number, problem) {
  if (!notice?.isConnected) unsaved.clear();
  unsaved.set(number, element("a", { text: `${t("scan.number")} ${number}`, href: `#${number}` }));
  const why = problem.detail ?? problem.message;
  notice = tell("verdict", t("scan.not_saved", { count: unsaved.size, why }), "danger");
  for (const link of unsaved.values()) notice.querySelector("p").append(" ", link);
  if (problem.status !== 401) {
    await checkGone();
    return;
  }
  // In a tab of its own, so that nothing that is written here goes.
  const link = element("a", { text: t("sign_in.button"), href: `/sign-in?${new URLSearchParams({ next: location.pathname })}`, target: "_blank", rel: "noopener" });
  notice.querySelector("p").append(" ", link);
}
