// What a page does by itself: keeps times true, opens and closes, counts ticks, walks the strip.
(() => {
  const all = (what, where = document) => [...where.querySelectorAll(what)];
  const find = (what) => document.querySelector(what);

  // Times: the words of `times.since` and `times.countdown`.
  function since(seconds) {
    if (seconds < 5) return "just now";
    if (seconds < 60) return `${Math.floor(seconds)} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
    if (seconds < 172800) return "yesterday";
    return `${Math.floor(seconds / 86400)} d ago`;
  }
  function tick() {
    for (const one of all("time[data-since]")) {
      const text = since((Date.now() - Date.parse(one.dateTime)) / 1000);
      if (one.textContent !== text) one.textContent = text;
    }
    for (const one of all("time[data-countdown]")) {
      const left = Math.max(Math.floor((Date.parse(one.dateTime) - Date.now()) / 1000), 0);
      one.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    }
  }
  setInterval(tick, 1000);

  // Opening and closing.
  all("[data-hide]").forEach((one) => { one.hidden = true; });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) {
      const opened = document.getElementById(opener.dataset.opens);
      if (opened.tagName === "DETAILS") { opened.open = true; return; }
      opened.hidden = !opened.hidden;
      opener.setAttribute("aria-expanded", String(!opened.hidden));
      if (!opened.hidden) opened.querySelector("input, button")?.focus();
    }
    const copier = event.target.closest("[data-copies]");
    if (copier) copy(document.getElementById(copier.dataset.copies), copier);
  });
  document.addEventListener("submit", (event) => {
    const asked = event.target.dataset.confirm;
    if (asked && !confirm(asked)) event.preventDefault();
  });
  async function copy(source, button) {
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    try { await navigator.clipboard.writeText(source.textContent); } catch { document.execCommand("copy"); }
    button.textContent = "Copied";
  }

  // Ticks of the fleet, and what "Back up now" would mean for them.
  const bulk = find("#bulk");
  const boxes = () => all("input[name=host]");
  function count() {
    if (!bulk) return;
    const everything = find("[data-all]")?.checked;
    const ticked = boxes().filter((one) => one.checked);
    const number = everything ? Number(bulk.dataset.total) : ticked.length;
    find("[data-ticked]").textContent = number.toLocaleString("en");
    bulk.classList.toggle("some", number > 0);
    const online = ticked.filter((one) => one.closest("tr").querySelector("[data-display=online]")).length;
    find("[data-plan]").textContent = number && !everything ? `→ ${online} now, ${number - online} when they wake` : "";
    all("button", bulk).forEach((one) => { one.disabled = number === 0; });
  }
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-tick-all]")) boxes().forEach((one) => { one.checked = event.target.checked; });
    count();
  });
  document.addEventListener("dormice:swapped", count);
  addEventListener("pageshow", count);

  // The wide strip: one tab stop; arrows go by day, Home and End to its ends.
  document.addEventListener("keydown", (event) => {
    const strip = event.target.closest?.("[data-days]");
    if (strip) walk(strip, event);
    if (event.key === "/" && !event.target.matches("input, textarea, select")) {
      const search = find("input[type=search]");
      if (search) { event.preventDefault(); search.focus(); }
    }
    if (event.key === "Escape") all(".menu-items").forEach((one) => { one.hidden = true; });
  });
  // Which day each strip stands on: a live swap replaces the strip, and must not lose the place.
  const places = new Map();
  function walk(strip, event) {
    const last = all("[data-day]", strip).length - 1;
    const now = places.get(strip.id) ?? -1;
    const to = { ArrowLeft: now < 0 ? last : now - 1, ArrowRight: now + 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    places.set(strip.id, Math.min(Math.max(to, 0), last));
    stand(strip);
  }
  function stand(strip) {
    const day = all("[data-day]", strip)[places.get(strip.id)];
    if (!day) return;
    all(".at", strip).forEach((one) => one.classList.remove("at"));
    day.classList.add("at");
    strip.querySelector("output").textContent = day.dataset.text;
  }
  document.addEventListener("dormice:swapped", () => all("[data-days]").forEach(stand));
  count();
})();
