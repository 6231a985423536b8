// Announced demand on the Forecasts page: the list, and for operators a form and a way back.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId, config } = t;
  const ADDRESS = "/api/v1/demand-declarations";
  const STATE_MARK = { ANNOUNCED: "◌", ARRIVED: "●", WITHDRAWN: "✕", LAPSED: "▲", OVER: "■" };
  let busy = false;

  async function send(method, address, body, headers) {
    const response = await fetch(address, {
      method, credentials: "same-origin", body: body ? JSON.stringify(body) : undefined,
      headers: { "Content-Type": "application/json", "X-CSRFToken": config.csrf, Accept: "application/json", ...headers },
    });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.detail || String(response.status));
    return answer;
  }

  async function act(work, words, done) {
    if (busy) return;
    busy = true;
    try {
      await work();
      t.toast(text(words));
      done();
    } catch (error) {
      t.toast(text("fc_failed", { reason: error.message }), true);
    }
    busy = false;
  }

  const withdraw = (row, done) => act(() => send("PATCH", ADDRESS + "/" + row.id, { state: "WITHDRAWN" }, { "If-Match": '"' + row.version + '"' }), "fc_withdrawn", done);

  function announce(form, done) {
    const field = (name) => form.elements[name].value;
    const [scope, code] = field("place").split("|");
    const starts = t.gridNow() + Number(field("in_h")) * 3600e3;
    const body = {
      scope, code, kind: field("kind"), units: Number(field("units")), probability: Number(field("chance")) / 100, note: field("note"),
      starts_at: new Date(starts).toISOString(), ends_at: new Date(starts + Number(field("for_h")) * 3600e3).toISOString(),
    };
    return act(() => send("POST", ADDRESS, body, { "Idempotency-Key": Date.now() + "-" + Math.random().toString(36).slice(2) }), "fc_sent", () => {
      // what is being typed is not drawn over; sent, it is done with
      byId("fc-add").open = false;
      done();
    });
  }

  const labelled = (words, control) => element("label", {}, element("span", {}, words), control);
  const number = (name, value, min, max, step) => element("input", { type: "number", name, value, min, max, step: step || 1, required: true });

  function form(places, done) {
    const option = (scope) => (place) => element("option", { value: scope + "|" + place.code }, t.name(place));
    const node = element("form", { class: "fc-form", on: { submit: (event) => { event.preventDefault(); announce(node, done); } } },
      labelled(text("fc_where"), element("select", { name: "place" },
        element("optgroup", { label: text("pools") }, places.pool.map(option("pool"))),
        element("optgroup", { label: text("regions") }, places.region.map(option("region"))))),
      labelled(text("fc_kind"), element("select", { name: "kind" }, ["job", "reservation"].map((kind) => element("option", { value: kind }, text("fc_kind_" + kind))))),
      labelled(text("fc_units"), number("units", 16, 1, 1000000)),
      labelled(text("fc_starts") + " (+h)", number("in_h", 6, 0, 4000)),
      labelled(text("fc_for") + " (h)", number("for_h", 12, 1, 2000)),
      labelled(text("fc_chance") + " (%)", number("chance", 90, 1, 100)),
      labelled(text("fc_note"), element("input", { type: "text", name: "note", maxlength: 500 })),
      element("button", { type: "submit", class: "tool fc-send" }, text("fc_send")));
    return element("details", { class: "fc-add", id: "fc-add" }, element("summary", {}, text("fc_announce")), node);
  }

  function row(entry, places, mayAnnounce, done) {
    const what = t.forecastCards.placeName(places, entry.scope + ":" + entry.code);
    const isOpen = entry.state === "ANNOUNCED" || entry.state === "ARRIVED";
    return element("tr", { class: isOpen ? "" : "muted" },
      element("th", { scope: "row" }, what, entry.note ? element("small", { class: "muted" }, " " + entry.note) : ""),
      element("td", {}, text("fc_kind_" + entry.kind)),
      element("td", {}, t.count(entry.units)),
      element("td", {}, t.forecastCards.moment(entry.starts_at).slice(5) + " – " + t.forecastCards.moment(entry.ends_at).slice(5)),
      element("td", {}, t.percent(entry.probability)),
      element("td", {}, (STATE_MARK[entry.state] || "") + " " + text("fc_state_" + entry.state)),
      element("td", {}, isOpen && mayAnnounce
        ? element("button", { type: "button", class: "quiet", "aria-label": text("fc_withdraw_label", { what }), on: { click: () => withdraw(entry, done) } }, text("fc_withdraw")) : ""));
  }

  function draw(declarations, places, mayAnnounce, done) {
    const box = byId("fc-announced");
    const isOpen = byId("fc-add") && byId("fc-add").open;
    if (isOpen && box.contains(document.activeElement)) return;
    t.fill(box, JSON.stringify([declarations, t.state.theme]), () => [
      element("p", { class: "fc-note" }, text("fc_announce_note")),
      declarations.length
        ? element("div", { class: "fc-scroll", tabindex: "0" }, element("table", { class: "fc-table" },
          element("thead", {}, element("tr", {}, [text("fc_where"), text("fc_kind"), text("fc_units"), text("fc_starts") + " – " + text("fc_ends"), text("fc_chance"), text("fc_state"), ""].map((head) => element("th", { scope: "col" }, head)))),
          element("tbody", {}, declarations.map((entry) => row(entry, places, mayAnnounce, done)))))
        : element("p", { class: "empty" }, text("fc_announce_none")),
      mayAnnounce ? form(places, done) : "",
    ]);
  }

  t.forecastAnnounce = { draw };
})();
