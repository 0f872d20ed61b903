// The stretch of the clip that the timeline shows, and its ticks.

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
const SHORTEST_SECONDS = 0.5;

export function ticks(view, most) {
  const enough = (view.to - view.from) / most;
  const step = STEPS.find((each) => each >= enough) ?? Math.ceil(enough / 86400) * 86400;
  const found = [];
  for (let at = Math.ceil(view.from / step - 1e-9) * step; at <= view.to + 1e-9; at += step) found.push(at);
  return { step, at: found };
}

// `factor` below 1 shows less, around `middle`.
export function zoomed(view, factor, middle, end) {
  const length = Math.min(end, Math.max(SHORTEST_SECONDS, (view.to - view.from) * factor));
  const share = (middle - view.from) / (view.to - view.from || 1);
  const from = Math.min(Math.max(0, middle - share * length), end - length);
  return { from, to: from + length };
}

// Moved as little as possible so that `seconds` is in view.
export function showing(view, seconds, end) {
  const length = view.to - view.from;
  if (seconds >= view.from && seconds <= view.to) return view;
  const from = Math.min(Math.max(0, seconds - length / 2), Math.max(0, end - length));
  return { from, to: from + length };
}
