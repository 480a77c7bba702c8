// Keeps this page live: says what it shows, swaps the cells that changed, says when it is not live.
(() => {
  const mark = document.getElementById("live");
  if (!mark) return;
  const ids = (name) => [...document.querySelectorAll(`[data-${name}]`)].map((one) => one.dataset[name]);
  const rows = { rows: ids("host"), alerts: ids("alert"), jobs: ids("job"), plans: ids("plan") };
  const wants = { ...JSON.parse(document.body.dataset.live), ...rows };
  if (wants.list) wants.list.known = [...rows.rows, ...rows.alerts, ...rows.jobs];

  const say = (state, text) => {
    if (mark.dataset.state === state && mark.textContent === text) return;
    mark.dataset.state = state;
    mark.textContent = text;
  };
  const notLive = (since) => say("down", `NOT LIVE since ${new Date(since).toLocaleTimeString("en-GB")}, retrying`);
  const look = (one) => one.outerHTML.replace(/>[^<]*<\/time>/g, "></time>");

  // Each piece is parsed by itself: after a <b>, a parser drops the next <td>.
  function parse(html) {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    return holder.content.firstElementChild;
  }

  // What each piece looked like when it came: what a person did to it since (a place in the strip) is no change.
  const came = new Map();
  // Seconds and percents pass without any decision.
  const gist = (text) => text.replace(/<time[^>]*>|<progress[^>]*>|\d+ %/g, "");

  function swap(pieces) {
    const told = new Set();
    for (const piece of pieces.map(parse)) {
      const old = document.getElementById(piece.id);
      if (!old) continue;
      const before = came.get(piece.id) ?? look(old);
      const now = look(piece);
      came.set(piece.id, now);
      if (before === now) continue;
      const { scrollLeft } = old;
      const held = old.contains(document.activeElement) ? document.activeElement : null;
      const at = held ? [...old.querySelectorAll("a, button")].indexOf(held) : -1;
      old.replaceWith(piece);
      if (held) (at < 0 ? piece : piece.querySelectorAll("a, button")[at])?.focus({ preventScroll: true });
      piece.scrollLeft = scrollLeft;
      htmx.process(piece);
      const kind = piece.id.split("-")[0];
      if (kind !== "host" || gist(before) !== gist(now)) told.add(kind);
    }
    for (const kind of told) document.body.dispatchEvent(new CustomEvent(`dormice:${kind}`));
    document.dispatchEvent(new CustomEvent("dormice:swapped"));
  }

  function hear(said) {
    if (said.login) { location.href = "/login"; return; }
    if (said.down) { notLive(said.down); return; }
    if (said.pieces) swap(said.pieces);
    if (said.away) notLive(said.away); else say("live", "● live");
  }

  let talk;
  if (window.SharedWorker) {
    const { port } = new SharedWorker("/static/live-worker.js", "dormice");
    port.onmessage = ({ data }) => hear(data);
    talk = (said) => port.postMessage(said);
  } else {
    const stream = new DormiceStream(hear);
    talk = (said) => (said.bye ? stream.leave(0) : stream.want(0, said));
    document.addEventListener("visibilitychange", () => talk(document.hidden ? { bye: 1 } : wants));
  }
  talk(wants);
  addEventListener("pagehide", () => talk({ bye: 1 }));
  addEventListener("pageshow", (event) => { if (event.persisted) talk(wants); });
})();
