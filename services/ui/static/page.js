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
  function show(opened, isOpen) {
    opened.hidden = !isOpen;
    find(`[data-opens="${opened.id}"]`).setAttribute("aria-expanded", String(isOpen));
  }
  function closeMenu(menu) {
    const hadFocus = menu.contains(document.activeElement);
    show(menu, false);
    if (hadFocus) find(`[data-opens="${menu.id}"]`).focus();
  }
  // A menu of a row: one is open at a time; Escape closes it.
  function closeRowMenus(but) {
    for (const menu of all(".row-menu[open]")) {
      if (menu === but) continue;
      if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
      menu.open = false;
    }
  }
  // An address may name what it wants to see open; the browser itself takes the focus away until then.
  addEventListener("load", () => {
    const named = location.hash && document.getElementById(location.hash.slice(1));
    if (!named?.hidden || !find(`[data-opens="${named.id}"]`)) return;
    show(named, true);
    named.querySelector("input, button").focus();
  });
  document.addEventListener("click", (event) => {
    closeRowMenus(event.target.closest(".row-menu"));
    const opener = event.target.closest("[data-opens]");
    if (opener) {
      const opened = document.getElementById(opener.dataset.opens);
      if (opened.tagName === "DETAILS") { opened.open = true; return; }
      show(opened, opened.hidden);
      if (!opened.hidden) opened.querySelector("input, button")?.focus();
    }
    all(".bulk .menu-items:not([hidden])").forEach((menu) => {
      if (!menu.parentElement.contains(event.target)) show(menu, false);
    });
    const copier = event.target.closest("[data-copies]");
    if (copier) copy(document.getElementById(copier.dataset.copies), copier);
  });
  // The usual causes of a host that does not connect are told once it has had a minute.
  for (const causes of all("[data-after-seconds]")) {
    const connected = () => all(".steps .done").length > 1;
    causes.hidden = true;
    setTimeout(() => { causes.open = true; causes.hidden = connected(); }, 1000 * causes.dataset.afterSeconds);
    document.addEventListener("dormice:swapped", () => { causes.hidden ||= connected(); });
  }
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
    const isOnline = (one) => one.closest("tr").querySelector("[data-display=online]");
    const online = everything ? Number(bulk.dataset.online) : ticked.filter(isOnline).length;
    find("[data-plan]").textContent = number ? `→ ${online} now, ${number - online} when they wake` : "";
    all(".bulk-buttons button", bulk).forEach((one) => { one.disabled = number === 0; });
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
    if (event.key === "Escape") {
      all(".bulk .menu-items:not([hidden])").forEach(closeMenu);
      closeRowMenus();
    }
    if (event.key === "Enter" && bulk && event.target.matches("input") && event.target.form === bulk) {
      event.preventDefault();  // A browser would press the form's first button: a backup of all that is ticked.
      event.target.closest(".menu-items")?.querySelector("[data-enter]").click();
    }
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
  all("[data-days]").forEach((strip) => { strip.scrollLeft = strip.scrollWidth; });  // Where it is narrow: today.

  // Decisions: new ones go to their place; what is open, what has the focus and what "older" brought stays.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const list = event.detail.target;
    if (!list.matches(".why")) return;
    const fresh = document.createElement("template");
    fresh.innerHTML = event.detail.serverResponse;
    const said = (one) => one.querySelector("time").dateTime + one.querySelector(".why-text").textContent;
    const known = new Map(all(".decision", list).map((one) => [said(one), one]));
    const came = all(".decision", fresh.content);
    if (!came.some((one) => known.has(said(one)))) return;
    event.detail.shouldSwap = false;
    all(".note", list).forEach((one) => one.remove());
    let place = list.firstElementChild;
    for (const one of came) {
      const mine = known.get(said(one));
      if (mine) place = mine.nextElementSibling; else list.insertBefore(one, place);
    }
    list.prepend(...all(".note", fresh.content));
  });

  // A log that grows: whoever reads its end goes on reading there, whoever looked back stays there.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const box = event.detail.target;
    const log = box.matches("#job-log") && box.querySelector(".log");
    if (!log) return;
    const { scrollTop } = log, isAtEnd = scrollTop + log.clientHeight >= log.scrollHeight - 4;
    box.addEventListener("htmx:afterSwap", () => {
      const grown = box.querySelector(".log");
      if (grown) grown.scrollTop = isAtEnd ? grown.scrollHeight : scrollTop;
    }, { once: true });
  });
  count();
})();
