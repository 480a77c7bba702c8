// One stream for all tabs of this browser. The same file runs as a SharedWorker, and, where there is
// none, in the page itself. Tells each tab {pieces, away} as pieces change, {down} when the line is cut.
const MOST_TABS = 64;
class DormiceStream {
  constructor(tell) { this.tell = tell; this.tabs = new Map(); this.run = 0; this.since = null; }
  want(tab, wants) { this.tabs.set(tab, wants); this.restart(); }
  leave(tab) { this.tabs.delete(tab); this.restart(); }
  restart() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.cut?.abort(); if (this.tabs.size) this.loop(++this.run); }, 20);
  }
  async loop(run) {
    for (let wait = 250; run === this.run && this.tabs.size; wait = Math.min(wait * 1.5, 2000)) {
      try {
        if (await this.read(run)) wait = 250;
      } catch { /* told below */ }
      if (run !== this.run) return;
      this.since ??= new Date();
      this.tell({ down: this.since.toISOString() });
      await new Promise((go) => setTimeout(go, wait));
    }
  }
  async read(run) {
    const cut = this.cut = new AbortController();
    let silence = setTimeout(() => cut.abort(), 25000);
    const body = JSON.stringify({ tabs: [...this.tabs.values()].slice(-MOST_TABS) });
    const answer = await fetch("/live", { method: "POST", body, signal: cut.signal, cache: "no-store" });
    if (answer.status === 401) this.tell({ login: true });
    if (!answer.ok) return false;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ;) {
      const { done, value } = await reader.read();
      clearTimeout(silence);
      if (done || run !== this.run) return true;
      silence = setTimeout(() => cut.abort(), 25000);
      const frames = (text + value).split("\n\n");
      text = frames.pop();
      for (const frame of frames) {
        if (!frame.startsWith("data: ")) continue;
        this.since = null;
        this.tell(JSON.parse(frame.slice(6)));
      }
    }
  }
}
if (typeof SharedWorkerGlobalScope !== "undefined" && self instanceof SharedWorkerGlobalScope) {
  const ports = new Set();
  const stream = new DormiceStream((said) => ports.forEach((port) => port.postMessage(said)));
  self.onconnect = (event) => {
    const port = event.ports[0];
    port.onmessage = ({ data }) => {
      if (data.bye) { ports.delete(port); stream.leave(port); return; }
      ports.add(port);
      stream.want(port, data);
    };
  };
}
