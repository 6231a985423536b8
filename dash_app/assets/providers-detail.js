// How one provider stands: facts, account, what was refused lately, pools.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element } = t;
  const PARTS = ["accepted", "duplicate", "conflict", "rejected", "shed"];
  const ASIDE = ["unit-jump", "not-a-count", "flat-line"];
  const MAY_CONFIRM = ["OPERATOR", "GRID_ADMIN"].includes(t.config.viewer.role);

  const age = (iso) => (iso ? t.age((t.gridNow() - Date.parse(iso)) / 1000) : text("pv_never"));

  function clockWords(clock) {
    const state = text("pv_clock_" + clock.state);
    if (clock.skew_s === null || clock.state === "good") return state;
    return Math.abs(clock.skew_s).toFixed(1) + " s " + state;
  }

  const clockMark = (clock) => ({ good: "good", unknown: "unknown" }[clock.state] || "bad");

  function asideShare(row) {
    return row.set_aside.samples ? row.set_aside.set_aside / row.set_aside.samples : null;
  }

  function fact(label, value, hint, mark) {
    return element("div", { class: "pv-fact" + (mark ? " pv-" + mark : "") },
      element("span", { class: "pv-fact-label" }, label), element("b", {}, value),
      element("small", {}, hint));
  }

  function facts(row) {
    const tally = row.tally;
    const notGood = row.set_aside.pools;
    return element("div", { class: "pv-facts" },
      fact(text("pv_last_seen"), age(tally.last_batch_at), text("pv_pools_n", { n: row.pools.length })),
      fact(text("pv_clock"), clockWords(row.clock), text("pv_clock_hint"), clockMark(row.clock) === "bad" ? "bad" : ""),
      fact(text("pv_stored"), t.count(tally.accepted), text("pv_of_received", { n: t.count(tally.received) })),
      fact(text("pv_aside"), t.percent(asideShare(row), 1),
        notGood ? text("pv_aside_pools", { n: notGood }) : text("pv_aside_hint"), notGood ? "warn" : ""));
  }

  function alerts(found) {
    if (!found.length) return "";
    return element("ul", { class: "pv-alerts" }, found.map((alert) =>
      element("li", { class: "pv-alert pv-alert-" + alert.severity },
        element("b", {}, t.words(alert, "summary") || alert.kind), " ",
        element("span", { class: "muted" }, text("pv_alert_" + alert.state) + " · " + t.dateTime(Date.parse(alert.fired_at || alert.pending_at))))));
  }

  function account(tally) {
    const bar = element("div", { class: "pv-bar", "aria-hidden": "true" },
      PARTS.filter((part) => tally[part]).map((part) => {
        const piece = element("i", { class: "pv-part pv-part-" + part });
        piece.style.flexGrow = tally[part];
        return piece;
      }));
    const legend = element("ul", { class: "pv-legend" }, PARTS.map((part) =>
      element("li", {}, element("i", { class: "pv-part pv-part-" + part, "aria-hidden": "true" }),
        text("pv_" + part), " ", element("b", {}, t.count(tally[part])))));
    const reasons = Object.entries(tally.rejected_by_reason).sort((a, b) => b[1] - a[1]);
    return [bar, legend, reasons.length
      ? element("p", { class: "pv-reasons" }, element("span", { class: "muted" }, text("pv_reasons") + " "),
        reasons.map(([reason, n]) => element("span", { class: "pv-chip" }, reason + " ", element("b", {}, t.count(n)))))
      : ""];
  }

  const row = (cells) => element("tr", {}, cells.map((cell) => element("td", {}, cell)));

  function table(heads, rows) {
    return element("table", { class: "pv-table" },
      element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, rows));
  }

  function refusals(found) {
    if (!found.length) return element("p", { class: "empty" }, text("pv_no_refusals"));
    return table([text("pv_at"), text("pv_code"), text("pv_subject"), text("pv_field")],
      found.map((entry) => row([t.dateTime(Date.parse(entry.at)),
        element("span", { class: "pv-chip" }, entry.code), entry.subject || t.UNKNOWN, entry.field || ""])));
  }

  async function confirmLevel(pool, form) {
    const reason = form.querySelector("input").value.trim();
    if (!reason) return form.querySelector("input").focus();
    const { problem } = await t.providers.send("POST", "/api/v1/pools/" + encodeURIComponent(pool) + "/confirm-level", { reason });
    t.toast(problem || text("pv_confirmed", { pool }), Boolean(problem));
    if (!problem) t.providers.refresh();
    return undefined;
  }

  function confirmForm(pool) {
    const form = element("form", { class: "pv-confirm" });
    const open = element("button", {
      type: "button", class: "quiet", "aria-label": text("pv_confirm_label", { pool }),
      on: { click: () => {
        form.replaceChildren(
          element("input", { type: "text", maxlength: 400, placeholder: text("pv_confirm_why"), "aria-label": text("pv_confirm_why") }),
          element("button", { type: "submit", class: "action" }, text("pv_confirm")));
        form.querySelector("input").focus();
      } },
    }, text("pv_confirm"));
    form.addEventListener("submit", (event) => { event.preventDefault(); confirmLevel(pool, form); });
    form.append(open);
    return form;
  }

  function poolRow(pool) {
    const rule = pool.quality_rule;
    const words = rule ? element("span", { class: "pv-rule" }, "· " + text("pv_rule_" + rule)) : "";
    const confirm = MAY_CONFIRM && ASIDE.includes(rule) ? confirmForm(pool.pool) : "";
    return row([pool.pool, element("span", {}, t.quality(pool.quality, pool.age_s), " ", words, confirm),
      t.count(pool.capacity), t.count(pool.allocated), t.count(pool.queued), t.count(pool.headroom)]);
  }

  function pools(found) {
    const rows = [...found].sort((a, b) => (a.quality === "good") - (b.quality === "good") || a.pool.localeCompare(b.pool));
    return table([text("pv_pool"), text("pv_quality"), text("capacity"), text("allocated"), text("queued"), text("headroom")],
      rows.map(poolRow));
  }

  function panel(title, note, extra, ...children) {
    return element("section", { class: "panel" },
      element("div", { class: "panel-head" }, element("h3", {}, title), note ? element("span", { class: "panel-note" }, note) : ""),
      element("div", { class: "pv-body " + extra }, children.flat()));
  }

  const ADDRESSES = [["pv_to_native", "/api/v1/telemetry"], ["pv_to_write", "/api/v1/prometheus/write"], ["pv_to_otlp", "/api/v1/otlp/v1/metrics"]];

  function addresses(status) {
    const { version, changed_at } = status.mapping;
    return element("dl", { class: "pv-addresses" },
      ADDRESSES.flatMap(([key, path]) => [element("dt", {}, text(key)), element("dd", {}, element("code", {}, location.origin + path))]),
      element("dt", {}, text("pv_mapping")),
      element("dd", {}, version ? text("pv_mapping_version", { n: version, at: t.dateTime(Date.parse(changed_at)) }) : text("pv_mapping_first")));
  }

  function draw(status) {
    return [
      element("h3", { class: "pv-name" }, t.name({ zh: status.name_zh, en: status.name_en }), " ", element("small", {}, status.provider)),
      alerts(status.alerts),
      facts(status),
      element("div", { class: "pv-pair" },
        panel(text("pv_account"), text("pv_account_note"), "", account(status.tally)),
        panel(text("pv_refusals"), "", "pv-wide pv-scroll", refusals(status.refusals))),
      panel(text("pv_where"), text("pv_where_note"), "", addresses(status)),
      panel(text("pv_pools"), "", "pv-wide pv-scroll pv-numbers", pools(status.pools)),
    ];
  }

  t.providers = { draw, table, row, age, clockWords, clockMark, asideShare };
})();
