// How every page talks to the server.

export class Problem extends Error {
  constructor(status, { code = "error", detail = `HTTP ${status}` } = {}) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.detail = detail;
  }
}

const ENDED = ["done", "failed", "cancelled"];
const RETRY_MS = 2000;

let csrf = null;
let mine = null;

async function ask(method, path, body, headers = {}) {
  const options = { method, headers, credentials: "same-origin" };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  if (answer.status === 401 && location.pathname !== "/sign-in") {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
  return answer.status === 204 ? null : answer.json();
}

export function get(path) {
  return ask("GET", path);
}

// Null where the server needs no token: no cookie is used.
export async function csrfToken() {
  csrf ??= get("/v1/session").then((session) => session.csrf);
  return csrf;
}

// Throws Problem; `null` is the answer that has no content.
export async function send(method, path, body) {
  const token = await csrfToken();
  return ask(method, path, body, token ? { "X-CSRF-Token": token } : {});
}

// The settings of whoever is signed in; asked for once.
export function prefs() {
  mine ??= get("/v1/preferences");
  return mine;
}

export async function savePrefs(patch) {
  mine = Promise.resolve(await send("PUT", "/v1/preferences", patch));
  return mine;
}

// MM:SS.d, from an hour on H:MM:SS.d: times for people as in the report.
export function timecode(seconds) {
  const tenths = Math.round(Math.abs(seconds) * 10 + 1e-7);
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(tenths / 36000);
  const rest = `${two(Math.floor(tenths / 600) % 60)}:${two(Math.floor(tenths / 10) % 60)}.${tenths % 10}`;
  return `${seconds < 0 && tenths ? "-" : ""}${hours ? `${hours}:` : ""}${rest}`;
}

// Calls onEvent({kind, id, data}) for what happens to a scan, each event once, over lost connections, to its end.
// Returns a function that stops it.
export function events(scanId, onEvent) {
  let source = null;
  let last = 0;
  let timer = 0;
  let over = false;

  function stop() {
    over = true;
    clearTimeout(timer);
    source?.close();
  }

  function take(kind, event) {
    const id = Number(event.lastEventId);
    if (over || (id && id <= last)) return;
    last = id || last;
    const data = JSON.parse(event.data);
    onEvent({ kind, id, data });
    if (kind === "gone" || (kind === "state" && ENDED.includes(data.state))) stop();
  }

  function connect() {
    source = new EventSource(`/v1/scans/${scanId}/events?after=${last}`);
    for (const kind of ["state", "progress", "appearance", "gone"]) {
      source.addEventListener(kind, (event) => take(kind, event));
    }
    source.addEventListener("error", () => {
      source.close();
      clearTimeout(timer);
      if (!over) timer = setTimeout(reconnect, RETRY_MS);
    });
  }

  async function reconnect() {
    const answer = await fetch(`/v1/scans/${scanId}`, { credentials: "same-origin" }).catch(() => null);
    if (over) return;
    if (answer?.status === 404) {
      stop();
      onEvent({ kind: "gone", id: 0, data: {} });
    } else if (answer?.ok) connect();
    else timer = setTimeout(reconnect, RETRY_MS);
  }

  connect();
  return stop;
}
