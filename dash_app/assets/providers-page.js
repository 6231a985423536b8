// The Providers page: reads how providers stand every few seconds and keeps the chosen one open.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId, config } = t;
  const EVERY_MS = 5000;
  const own = config.viewer.provider;
  let chosen = own || decodeURIComponent(location.hash.slice(1));

  async function send(method, address, body) {
    try {
      const response = await fetch(address, {
        method, credentials: "same-origin",
        headers: {
          "Content-Type": "application/json", "X-CSRFToken": config.csrf,
          "Idempotency-Key": Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join("-"),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const answer = response.status === 204 ? {} : await response.json().catch(() => ({}));
      return response.ok ? { answer } : { problem: answer.detail || text("pv_failed") };
    } catch (error) {
      return { problem: text("pv_failed") };
    }
  }

  function choose(code) {
    chosen = code;
    history.replaceState(null, "", "#" + encodeURIComponent(code));
    refresh();
  }

  function listRow(row) {
    const p = t.providers;
    const isBad = p.clockMark(row.clock) === "bad";
    const aside = row.set_aside.pools;
    return element("tr", { class: row.provider === chosen ? "pv-chosen" : "" },
      element("th", { scope: "row" }, element("button", { type: "button", class: "link", id: "pv-go-" + row.provider,
        "aria-pressed": String(row.provider === chosen), on: { click: () => choose(row.provider) } },
      t.name({ zh: row.name_zh, en: row.name_en }))),
      element("td", {}, p.age(row.tally.last_batch_at)),
      element("td", { class: isBad ? "pv-bad" : "" }, p.clockWords(row.clock)),
      element("td", {}, t.count(row.tally.accepted)),
      element("td", { class: row.tally.rejected ? "pv-warn" : "" }, t.count(row.tally.rejected + row.tally.conflict)),
      element("td", { class: row.tally.shed ? "pv-warn" : "" }, t.count(row.tally.shed)),
      element("td", { class: aside ? "pv-warn" : "" }, t.percent(p.asideShare(row), 1)),
      element("td", {}, String(row.pools.length)));
  }

  function drawList(rows) {
    const heads = ["pv_provider", "pv_last_seen", "pv_clock", "pv_accepted", "pv_rejected", "pv_shed", "pv_aside", "pv_pools"];
    t.fill(byId("pv-list"), JSON.stringify([chosen, rows.map((row) => [row.tally, row.clock, row.set_aside]), Math.floor(t.gridNow() / 30000)]),
      () => [rows.length ? t.providers.table(heads.map((key) => text(key)), rows.map(listRow))
        : element("p", { class: "empty" }, text("pv_none"))]);
    byId("pv-list").classList.add("pv-numbers");
  }

  const isTyping = (box) => box.contains(document.activeElement) && document.activeElement.tagName === "INPUT";

  async function refresh() {
    if (!own) {
      const { answer } = await send("GET", "/api/v1/providers");
      if (answer) {
        if (!answer.providers.some((row) => row.provider === chosen)) chosen = answer.providers.length ? answer.providers[0].provider : "";
        drawList(answer.providers);
      }
    }
    if (!chosen) return;
    const { answer, problem } = await send("GET", "/api/v1/providers/" + encodeURIComponent(chosen) + "/status");
    const detail = byId("pv-detail");
    if (problem) {
      detail.replaceChildren(element("p", { class: "pv-problem" }, problem));
      return;
    }
    // somebody who is writing a reason is not to lose it
    if (!isTyping(detail)) t.fill(detail, JSON.stringify([answer.tally, answer.clock, answer.refusals, answer.pools, answer.alerts, answer.mapping]), () => t.providers.draw(answer));
    t.providers.keys.draw(answer);
    t.providers.test.draw(answer);
  }

  Object.assign(t.providers, { send, refresh });
  setInterval(() => { if (!document.hidden) refresh(); }, EVERY_MS);
  refresh();
})();
