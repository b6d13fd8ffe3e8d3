// What is wrong with the texts that can be seen: texts that cover each other, that leave the page, that nobody can read.
// What scrolls in a box of its own may be wider than the page, if the box says so; what it does not show is not seen.
async () => {
  // what watches the sizes of boxes answers after they were drawn
  for (let drawn = 0; drawn < 2; drawn++) await new Promise(requestAnimationFrame);
  const MIN_PX = 8.5, SLACK_PX = 1.5;
  const shown = [], found = { num_texts: 0, overlapping: [], outside: [], small: [], cut: [] };
  const words = text => text.trim().replace(/\s+/g, " ").slice(0, 40);
  const scrolls = node => ["auto", "scroll"].includes(getComputedStyle(node).overflowX);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const parent = node.parentElement;
    if (!node.data.trim() || ["SCRIPT", "STYLE"].includes(parent.tagName) || !parent.checkVisibility()) continue;
    const inPicture = parent.closest("svg");
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = inPicture ? [parent.getBoundingClientRect()] : [...range.getClientRects()];
    let size = parseFloat(getComputedStyle(parent).fontSize);
    // letters of a picture grow and shrink with it
    if (inPicture) size *= Math.hypot(parent.getScreenCTM().a, parent.getScreenCTM().b);
    found.num_texts += 1;
    if (size < MIN_PX) found.small.push(`${words(node.data)}: ${size.toFixed(1)} px`);
    let box = parent;
    while (box && !scrolls(box)) box = box.parentElement;
    const clip = box ? box.getBoundingClientRect() : { left: 0, right: document.documentElement.clientWidth };
    for (const { left, right, top, bottom } of boxes) {
      if (right - left < 1 || bottom - top < 1) continue;
      const [seenLeft, seenRight] = [Math.max(left, clip.left), Math.min(right, clip.right)];
      if (!box && (left < -SLACK_PX || right > clip.right + SLACK_PX)) found.outside.push(words(node.data));
      if (seenRight > seenLeft) shown.push({ text: words(node.data), parent, left: seenLeft, right: seenRight, top, bottom });
    }
  }
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) found.outside.push("the page itself");
  for (const box of document.querySelectorAll("*")) {
    if (!scrolls(box) || !box.checkVisibility() || box.scrollWidth <= box.clientWidth + 1) continue;
    const hint = box.previousElementSibling;
    if (!hint?.matches(".hint") || !hint.checkVisibility()) found.cut.push(words(box.textContent));
  }
  shown.sort((one, other) => one.top - other.top);
  shown.forEach((one, place) => {
    for (const other of shown.slice(place + 1)) {
      if (other.top >= one.bottom) break;
      // lines of one paragraph may touch
      if (one.parent === other.parent) continue;
      const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (across > SLACK_PX && down > 0.25 * Math.min(one.bottom - one.top, other.bottom - other.top))
        found.overlapping.push(`${one.text} | ${other.text}`);
    }
  });
  return found;
}
