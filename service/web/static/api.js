// Asking the service under /v1, and what every page shows in the same way.

import { has, t } from "./labels.js";

const REOPEN_MS = 2000;
const ENDED = ["done", "failed", "cancelled"];

export class Problem extends Error {
  constructor(code, detail, status) {
    super(detail);
    this.name = "Problem";
    this.code = code;
    this.detail = detail;
    this.status = status;
  }
}

let session = null;

// Who is signed in; read once.
export function whoami(options) {
  session ??= ask("GET", "/v1/session", undefined, {}, options).catch((problem) => {
    session = null;
    throw problem;
  });
  return session;
}

// The header that proves that a change comes from this page; none where no cookie is used.
export async function proof(options) {
  const { csrf } = await whoami(options);
  return csrf ? { "X-CSRF-Token": csrf } : {};
}

export function forgetProof() {
  session = null;
}

// What the page brought with it, by path: the first time that it is asked for, no request is made.
const answers = new Map(Object.entries(JSON.parse(document.getElementById("answers").textContent)));

export async function get(path) {
  const known = answers.get(path);
  answers.delete(path);
  return known ?? ask("GET", path);
}

// A change. Throws a Problem; once signed out, the sign-in page comes, but where the page `stays`.
export async function send(method, path, body, options = {}) {
  try {
    return await ask(method, path, body, await proof(options), options);
  } catch (problem) {
    // Signed in again in another tab, this page's proof is that of a session that is over.
    if (problem.code !== "forbidden") throw problem;
    forgetProof();
    return ask(method, path, body, await proof(options), options);
  }
}

async function ask(method, path, body, headers = {}, options = {}) {
  const hasBody = body !== undefined;
  const answer = await fetched(path, {
    ...options,
    method,
    headers: hasBody ? { ...headers, "Content-Type": "application/json" } : headers,
    body: hasBody ? JSON.stringify(body) : undefined,
  });
  return answer.status === 204 ? null : answer.json();
}

// fetch as whoever is signed in. Throws a Problem, or the AbortError of who gives it up.
export async function fetched(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("unreachable", t("base.unreachable"), 0);
  }
  if (!answer.ok) throw await problemOf(answer, options.stays);
  return answer;
}

async function problemOf(answer, stays = false) {
  const { code = "error", detail = "" } = await answer.json().catch(() => ({}));
  if (answer.status === 401 && document.body.dataset.page !== "sign_in" && !stays) goSignIn();
  return new Problem(code, detail || t("base.failed", { status: answer.status }), answer.status);
}

function goSignIn() {
  const here = location.pathname + location.search + location.hash;
  location.assign(`/sign-in?${new URLSearchParams({ next: here })}`);
}

// Events of a scan numbered above `after` as {kind, id, data}: state, progress, appearance, gone. Each comes once, also
// after the connection was lost; the stream ends with the scan. Returns a function that ends it before.
export function events(scanId, onEvent, after = 0) {
  let last = after, source = null, timer = 0, isOver = false;

  function end() {
    isOver = true;
    clearTimeout(timer);
    source?.close();
  }

  function take(message) {
    const number = Number(message.lastEventId);
    if (message.type !== "gone") {
      if (number <= last) return;
      last = number;
    }
    const data = JSON.parse(message.data);
    if (message.type === "gone" || (message.type === "state" && ENDED.includes(data.state))) end();
    onEvent({ kind: message.type, id: message.lastEventId, data });
  }

  async function onError() {
    if (isOver || source.readyState !== EventSource.CLOSED) return;
    // The browser gives up where the server answers, but not with events: it starts, or the scan is gone.
    try {
      await get(`/v1/scans/${scanId}`);
    } catch (problem) {
      if (problem.code === "not_found") {
        end();
        onEvent({ kind: "gone", id: "", data: {} });
      }
      if (problem.status === 401) end();
    }
    if (!isOver) timer = setTimeout(open, REOPEN_MS);
  }

  function open() {
    if (isOver) return;
    source = new EventSource(`/v1/scans/${scanId}/events?after=${last}`);
    for (const kind of ["state", "progress", "appearance", "gone"]) source.addEventListener(kind, take);
    source.addEventListener("error", onError);
  }

  open();
  return end;
}

// Events of all scans, as of one; each has the `scan` and its `number` there in its data. `ready` says that the stream
// stands: what is read from then on misses nothing. Returns a function that ends it.
export function allEvents(onEvent) {
  const told = new Map();
  let place = "", source = null, timer = 0, isOver = false;

  function take(message) {
    const data = JSON.parse(message.data);
    if (message.lastEventId) place = message.lastEventId;
    if (data.number !== undefined) {
      // Some come again after the connection was lost.
      if (data.number <= (told.get(data.scan) ?? 0)) return;
      told.set(data.scan, data.number);
    }
    onEvent({ kind: message.type, data });
  }

  async function onError() {
    if (isOver || source.readyState !== EventSource.CLOSED) return;
    // The browser gives up where the server answers, but not with events; signed out, the sign-in page comes.
    await get("/v1/session").catch(() => null);
    if (!isOver) timer = setTimeout(open, REOPEN_MS);
  }

  function open() {
    if (isOver) return;
    source = new EventSource(`/v1/events?${new URLSearchParams({ after: place })}`);
    for (const kind of ["ready", "state", "progress", "appearance", "gone"]) source.addEventListener(kind, take);
    source.addEventListener("error", onError);
  }

  open();
  return () => {
    isOver = true;
    clearTimeout(timer);
    source.close();
  };
}

// `MM:SS.d`, from an hour on `H:MM:SS.d`, as in the report.
export function timecode(seconds) {
  const tenths = Math.round(Math.abs(seconds) * 10 + 1e-7);
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(tenths / 36000);
  const text = `${two(Math.floor(tenths / 600) % 60)}:${two(Math.floor(tenths / 10) % 60)}.${tenths % 10}`;
  return `${seconds < 0 && tenths ? "-" : ""}${hours ? `${hours}:` : ""}${text}`;
}

let mine = null;

// How whoever looks wants the page to be; read once.
export function prefs() {
  mine ??= get("/v1/preferences").catch((problem) => {
    mine = null;
    throw problem;
  });
  return mine;
}

export async function savePrefs(patch) {
  const saved = await send("PUT", "/v1/preferences", patch);
  mine = Promise.resolve(saved);
  return saved;
}

let classes = null;

// The weapon classes by id, named in the page's language.
export function taxonomy() {
  classes ??= get("/v1/taxonomy").then(
    (list) => new Map(list.map((each) => [each.id, has(`class.${each.id}`) ? { ...each, name: t(`class.${each.id}`) } : each])),
    (problem) => {
      classes = null;
      throw problem;
    },
  );
  return classes;
}
