// The Alerts page: who is told, and how telling goes.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId } = t;
  let secret = "";

  // Telling happens in real time, whatever the grid's clock does.
  const ageS = (moment) => (Date.now() - Date.parse(moment)) / 1000;

  function health(target) {
    if (target.failures) {
      return element("span", { class: "bad" }, "■ " + text("al_health_failing", { n: target.failures }),
        element("small", { class: "al-reason" }, target.last_error));
    }
    if (!target.last_ok_at) return element("span", { class: "muted" }, "○ " + text("al_health_new"));
    return element("span", { class: "al-well" }, "● " + text("al_health_ok", { age: t.span(ageS(target.last_ok_at)) }));
  }

  function matches(target) {
    const parts = Object.entries(target.match).map(([label, values]) => label + ": " + values.join(", "));
    return parts.length ? parts.join(" · ") : text("al_all_alerts");
  }

  function row(target, page) {
    const remove = page.may_edit && element("button", { class: "quiet", type: "button",
      "aria-label": text("al_remove_label", { name: target.name }),
      on: { click: () => page.send("DELETE", "/api/v1/webhooks/" + target.id, undefined, { done: text("al_done") }) } }, text("al_remove"));
    return element("tr", { class: target.is_enabled ? "" : "al-off" },
      element("th", { scope: "row" }, target.name), element("td", { class: "al-what" }, target.url),
      element("td", {}, text("al_form_" + target.form)), element("td", { class: "al-what" }, matches(target)),
      element("td", { class: "al-what" }, health(target)), element("td", {}, t.count(target.sent_count)),
      element("td", { class: "al-act" }, remove || ""));
  }

  function form(page) {
    const name = element("input", { type: "text", required: true, maxlength: "60" });
    const url = element("input", { type: "url", required: true, placeholder: "https://", class: "al-url" });
    const kind = element("select", {}, ["webhook", "alertmanager"].map((key) => element("option", { value: key }, text("al_form_" + key))));
    const critical = element("input", { type: "checkbox" });
    const submit = async (event) => {
      event.preventDefault();
      const wanted = { name: name.value, url: url.value, form: kind.value, match: critical.checked ? { severity: ["critical"] } : {} };
      const made = await page.send("POST", "/api/v1/webhooks", wanted, { done: text("al_done") });
      if (!made) return;
      secret = made.secret;
      drawForm(page);
    };
    const label = (key, input) => element("label", {}, text(key), input);
    return [
      secret && element("p", { class: "al-secret" }, text("al_secret", { secret })),
      element("details", { class: "al-add" }, element("summary", {}, text("al_add_target")),
        element("form", { class: "al-form", on: { submit } }, label("al_target", name), label("al_url", url), label("al_form", kind),
          element("label", { class: "al-check" }, critical, text("al_critical_only")),
          element("button", { class: "action", type: "submit" }, text("al_add")))),
    ].filter(Boolean);
  }

  function drawForm(page) {
    if (page.may_edit) t.fill(byId("al-target-form"), "form" + secret, () => form(page));
  }

  function draw(page) {
    const head = ["al_target", "al_url", "al_form", "al_match", "al_health", "al_sent"];
    const minute = Math.floor(Date.now() / 30000);
    t.fill(byId("al-targets"), JSON.stringify([page.targets, minute]), () => (page.targets.length
      ? element("table", { class: "al-table" },
        element("thead", {}, element("tr", {}, head.map((key) => element("th", { scope: "col" }, text(key))), element("td", {}))),
        element("tbody", {}, page.targets.map((target) => row(target, page))))
      : element("p", { class: "empty" }, text("al_no_targets"))));
    drawForm(page);
  }

  t.alertsTargets = { draw };
})();
