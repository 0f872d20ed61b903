// Appearances from the columns that the server sends.

export function itemsOf(outline) {
  return outline.number.map((number, at) => ({
    key: `a${number}`,
    number,
    cls: outline.classes[outline.class_index[at]],
    confidence: outline.confidence[at],
    first: outline.first_seen_s[at],
    last: outline.last_seen_s[at],
    best: outline.best_pts_s[at],
    overlay: outline.overlay[at] === 1,
    pictured: outline.pictured[at] === 1,
    weak: false,
  }));
}

// Detections that the scan's threshold left out, linked by the server. They have no number and take no verdict.
export function weakItemsOf(answer) {
  return answer.items.map((each, at) => ({
    key: `w${at + 1}`,
    number: null,
    cls: each.class,
    confidence: each.confidence,
    first: each.first_seen_s,
    last: each.last_seen_s,
    best: each.best_pts_s,
    boxes: each.boxes,
    overlay: false,
    pictured: false,
    weak: true,
  }));
}

// The same object after the list was read anew: numbers move while a scan runs, times and classes mostly do not.
export function sameItem(items, old) {
  if (!old) return null;
  const near = items.filter((each) => each.cls === old.cls && each.weak === old.weak);
  return (
    near.find((each) => each.first === old.first) ??
    near.find((each) => each.first <= old.best && each.last >= old.best) ??
    null
  );
}
