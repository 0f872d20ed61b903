// Reminds of a break after so many minutes of looking.

import { t } from "../labels.js";
import { proposeBreaks } from "../looked.js";
import { announce, tell } from "./notices.js";

export function startBreaks(minutes) {
  proposeBreaks(minutes, () => {
    const words = t("base.break", { count: minutes });
    tell("break", words);
    announce(words);
  });
}
