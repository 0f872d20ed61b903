// Reminds of a break after so many minutes of looking; minutes in which the page is hidden do not count.

import { t } from "../labels.js";
import { announce, tell } from "./notices.js";

const TICK_SECONDS = 15;
let seen = 0;

export function startBreaks(minutes) {
  if (!minutes) return;
  setInterval(() => {
    if (document.hidden) return;
    seen += TICK_SECONDS;
    if (seen < minutes * 60) return;
    seen = 0;
    const words = t("scan.break", { minutes });
    tell("break", words);
    announce(words);
  }, TICK_SECONDS * 1000);
}
