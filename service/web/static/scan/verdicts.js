// What reviewers say of each appearance: shown at once, sent in order, taken back where the server refuses.

import { get, send } from "../api.js";
import { t } from "../labels.js";
import { api, emit, state } from "./state.js";
import { announce, tell } from "./notices.js";
import { checkGone } from "./stills.js";

// As many as the server takes by one request.
const MOST_AT_ONCE = 500;

const done = [];
let line = Promise.resolve();
let changes = 0;
let isKnown = false;

// Whether the verdicts that the server had when the page was opened have come.
export function areVerdictsKnown() {
  return isKnown;
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

// Resolves when the server has it. An `other_class` verdict carries the class.
export function give(item, verdict, { cls = null, note = null } = {}) {
  const before = mineOf(item);
  const words = note ?? before?.note ?? "";
  const body = { verdict, note: words, ...(cls ? { class: cls } : {}) };
  put(item.number, given(item.number, verdict, cls, words));
  done.push(item.number);
  announce(t(`scan.said.${verdict}`, { number: item.number }));
  return queued(() => sendOne("PUT", item.number, body), item.number, before);
}

// Arrives also where the page is left at once.
const sendOne = (method, number, body) => send(method, `${api}/appearances/${number}/verdict`, body, { keepalive: true });

function given(number, verdict, cls, note) {
  return { appearance: number, reviewer: "", verdict, class: cls, note, at: Date.now() / 1000, mine: true };
}

// Makes proposals verdicts of mine; resolves to the numbers of the appearances of which the server has them.
export async function takeOver(proposals) {
  for (const each of proposals) set(each.appearance, given(each.appearance, each.verdict, each.class, each.note));
  emit("verdicts");
  const items = proposals.map(({ appearance, verdict, class: cls }) => ({ appearance, verdict, class: cls }));
  const taken = await inParts(items, (part) => send("POST", `${api}/proposals`, { items: part }));
  const numbers = taken.map((each) => each.appearance);
  done.push(...numbers);
  return numbers;
}

// Takes my verdicts on these appearances back.
export async function takeBackAll(numbers) {
  for (const number of numbers) {
    set(number, null);
    const place = done.lastIndexOf(number);
    if (place >= 0) done.splice(place, 1);
  }
  emit("verdicts");
  await inParts(numbers, (part) => send("POST", `${api}/verdicts/take-back`, { appearances: part }));
  announce(t("scan.earlier.undone", { count: numbers.length }));
}

// Sends a long list piece by piece, in the line of all changes; then everything is as the server has it.
async function inParts(list, sendPart) {
  const answers = [];
  const work = async () => {
    for (let from = 0; from < list.length; from += MOST_AT_ONCE) {
      answers.push(...(await sendPart(list.slice(from, from + MOST_AT_ONCE))).items);
    }
  };
  line = line.then(work).catch(async (problem) => {
    tell("verdict", t("scan.not_saved_all", { why: problem.detail ?? problem.message }), "danger");
    await checkGone();
  });
  await line;
  await readVerdicts().catch((problem) => tell("verdict", problem.detail ?? problem.message, "danger"));
  return answers;
}

// Takes back the last verdict given on this page, else the one on `item`; tells which appearance it was on.
export function undo(item) {
  const number = done.pop() ?? (mineOf(item) ? item.number : null);
  if (number === null) {
    announce(t("scan.nothing_to_undo"));
    return null;
  }
  const before = state.verdicts.get(number)?.mine ?? null;
  put(number, null);
  announce(t("scan.undone", { number }));
  queued(async () => {
    const left = await sendOne("DELETE", number);
    if (left && !state.verdicts.get(number)?.mine) put(number, left);
  }, number, before);
  return number;
}

function queued(work, number, before) {
  line = line.then(work).catch(async (problem) => {
    put(number, before);
    const place = done.lastIndexOf(number);
    if (place >= 0) done.splice(place, 1);
    tell("verdict", t("scan.not_saved", { number, why: problem.detail ?? problem.message }), "danger");
    await checkGone();
  });
  return line;
}
