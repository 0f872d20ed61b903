// Signing in with a key, and on to the page that was asked for.

import { forgetProof, whoami } from "./api.js";
import { t } from "./labels.js";

const form = document.getElementById("sign-in");
const key = document.getElementById("key");
const wrong = document.getElementById("wrong");

function goOn() {
  const asked = new URLSearchParams(location.search).get("next") ?? "/";
  const there = URL.canParse(asked, location.origin) ? new URL(asked, location.origin) : null;
  // What follows a # is not sent to the server that led here; the browser kept it.
  if (there && !there.hash) there.hash = location.hash;
  location.replace(there?.origin === location.origin && asked.startsWith("/") ? there : "/");
}

async function signIn() {
  let answer;
  try {
    answer = await fetch("/v1/session", {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ key: key.value.trim() }),
    });
  } catch {
    return t("base.unreachable");
  }
  if (!answer.ok) {
    const { detail } = await answer.json().catch(() => ({}));
    return detail ?? t("base.failed", { status: answer.status });
  }
  forgetProof();
  try {
    await whoami();
  } catch {
    return t("sign_in.not_kept");
  }
  goOn();
  return "";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  wrong.textContent = await signIn();
  key.setAttribute("aria-invalid", String(wrong.textContent !== ""));
  button.disabled = false;
  if (wrong.textContent) key.focus();
});

key.focus();
