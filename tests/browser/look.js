// What a reader of the page would see, as one JSON text. Evaluated by the test through the browser's own protocol; the
// page itself contains no script.
(() => {
  document.querySelectorAll("details").forEach((details) => { details.open = true; });

  const shown = (element) => element.checkVisibility() && element.getClientRects().length > 0;
  const words = (element) => (element?.textContent ?? "").trim();
  const name = (element) => {
    const part = element.closest("[id]")?.id ?? "";
    return `${element.tagName.toLowerCase()}.${element.getAttribute("class") ?? ""} in #${part}: ${words(element).slice(0, 40)}`;
  };

  // Nothing but a box that scrolls by itself may be wider than the page.
  const tooWide = [...document.querySelectorAll("main *")]
    .filter((element) => shown(element) && !element.closest(".scroll, .timeline div"))
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
    .map(name);

  // A word that leaves its cell lies over its neighbour.
  const overlapping = [...document.querySelectorAll("td, dd, dt")].filter((cell) => shown(cell) && cell.scrollWidth > cell.clientWidth + 1).map(name);

  const pictures = [...document.querySelectorAll("svg")].filter((svg) => svg.getAttribute("aria-hidden") !== "true");
  const mute = pictures
    .filter((svg) => svg.getAttribute("role") !== "img" || !words(svg.querySelector("title")) || !words(svg.querySelector("desc")))
    .map(name);
  const mislabelled = pictures
    .filter((svg) => (svg.getAttribute("aria-labelledby") ?? "").split(" ").some((id) => !svg.contains(document.getElementById(id))))
    .map(name);
  const figures = [...document.querySelectorAll("figure.plot")];
  const withoutNumbers = figures.filter((figure) => !figure.closest("article, section")?.querySelector("table tbody tr")).map(name);

  const channels = (colour) => {
    const numbers = colour.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
    return { rgb: numbers.slice(0, 3), alpha: numbers[3] ?? 1 };
  };
  const luminance = (rgb) => {
    const linear = rgb.map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const { rgb, alpha } = channels(getComputedStyle(at).backgroundColor);
      if (alpha > 0.99) return rgb;
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!words(walker.currentNode) || !shown(element) || element.closest("title, desc")) continue;
    const style = getComputedStyle(element);
    const colour = element instanceof SVGElement ? style.fill : style.color;
    const [one, other] = [luminance(channels(colour).rgb), luminance(ground(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) faint.add(`${contrast.toFixed(2)} ${name(element)}`);
  }

  const clip = figures.find(shown)?.querySelector("svg").getBoundingClientRect();
  const headings = [...document.querySelectorAll("h1, h2")];
  return JSON.stringify({
    width: innerWidth,
    scrollWidth: document.documentElement.scrollWidth,
    tooWide: tooWide.slice(0, 5),
    overlapping: overlapping.slice(0, 5),
    pictures: pictures.length,
    figures: figures.length,
    mute,
    mislabelled,
    withoutNumbers,
    faint: [...faint].slice(0, 5),
    ground: luminance(ground(document.body)),
    resources: performance.getEntriesByType("resource").map((entry) => entry.name),
    scripts: document.scripts.length,
    title: document.title,
    verdict: headings[0]?.tagName === "H1" ? words(headings[0]) : "",
    verdictTop: headings[0]?.getBoundingClientRect().top ?? -1,
    height: innerHeight,
    unreachable: [...document.querySelectorAll(".scroll")].filter((box) => box.scrollWidth > box.clientWidth && box.tabIndex < 0).map(name),
    doubled: [...document.querySelectorAll("[id]")].map((e) => e.id).filter((id, i, all) => all.indexOf(id) !== i),
    clip: clip && { x: clip.x + scrollX, y: clip.y + scrollY, width: clip.width, height: clip.height },
  });
})()
