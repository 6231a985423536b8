// The Alerts page: the rules, how each stands, and changes that wait for a second admin.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId } = t;
  const RULE_FIELDS = ["name", "metric", "level", "comparison", "threshold", "critical_threshold", "severity",
    "for_s", "keep_firing_for_s", "only", "labels", "annotations", "is_enabled"];
  let edited = "";

  const ruleName = (name) => (t.config.texts["al_name_" + name] ? text("al_name_" + name) : name);
  const SIGN = { ">=": "≥", "<=": "≤" };
  const hold = (seconds) => (seconds ? t.span(seconds) : text("al_at_once"));
  const figure = (value) => (value === null || value === undefined ? "—" : String(value));

  function condition(rule) {
    const only = Object.values(rule.only).flat();
    return element("span", {}, text("al_metric_" + rule.metric), " ",
      element("b", { class: "al-sign" }, (SIGN[rule.comparison] || rule.comparison) + " " + figure(rule.threshold)),
      element("small", {}, " · " + text("al_level_" + rule.level),
        rule.critical_threshold !== null && " · " + text("al_critical_from", { value: figure(rule.critical_threshold) }),
        only.length > 0 && " · " + text("al_only", { codes: only.slice(0, 4).join(", ") + (only.length > 4 ? " …" : "") })));
  }

  function state(rule) {
    if (!rule.is_enabled) return t.alertsNow.chip("disabled");
    return t.alertsNow.chip(rule.state, rule.firing || rule.pending ? String(rule.firing || rule.pending) : "");
  }

  function row(rule, page) {
    const button = page.may_edit && element("button", { class: "quiet", type: "button", id: "al-edit-" + rule.name,
      "aria-expanded": edited === rule.name ? "true" : "false", "aria-label": text("al_edit_label", { rule: ruleName(rule.name) }),
      on: { click: () => { edited = edited === rule.name ? "" : rule.name; draw(page); } } }, text("al_edit"));
    const name = ruleName(rule.name);
    const cells = [
      element("th", { scope: "row", id: rule.name }, name, name !== rule.name && element("small", {}, rule.name)),
      element("td", { class: "al-what" }, condition(rule)),
      element("td", {}, hold(rule.for_s)), element("td", {}, hold(rule.keep_firing_for_s)),
      element("td", {}, t.alertsNow.severity(rule.severity)), element("td", {}, state(rule)),
      element("td", {}, "v" + rule.version, element("small", {}, " " + rule.changed_by)),
      element("td", { class: "al-act" }, button || ""),
    ];
    const rows = [element("tr", { class: rule.is_enabled ? "" : "al-off" }, cells)];
    if (page.may_edit && edited === rule.name) rows.push(element("tr", {}, element("td", { colspan: "8" }, form(rule, page))));
    return rows;
  }

  function field(label, input) {
    return element("label", {}, text(label), input);
  }

  function form(rule, page) {
    const number = (value) => element("input", { type: "number", step: "any", value: value === null ? "" : String(value) });
    const threshold = number(rule.threshold);
    const critical = number(rule.critical_threshold);
    const pending = number(rule.for_s / 60);
    const keep = number(rule.keep_firing_for_s / 60);
    const severity = element("select", {}, page.severities.map((level) =>
      element("option", { value: level, selected: level === rule.severity }, text("severity_" + level))));
    const enabled = element("input", { type: "checkbox", checked: rule.is_enabled });
    const submit = async (event) => {
      event.preventDefault();
      const wanted = Object.fromEntries(RULE_FIELDS.map((name) => [name, rule[name]]));
      Object.assign(wanted, {
        threshold: Number(threshold.value), critical_threshold: critical.value === "" ? null : Number(critical.value),
        for_s: Number(pending.value) * 60, keep_firing_for_s: Number(keep.value) * 60,
        severity: severity.value, is_enabled: enabled.checked,
      });
      edited = "";
      await page.send("PUT", "/api/v1/alert-rules/" + encodeURIComponent(rule.name), wanted,
        { version: rule.version, done: text("al_proposed") });
    };
    return element("form", { class: "al-form", on: { submit } }, field("al_threshold", threshold),
      field("al_critical_threshold", critical), field("al_for_min", pending), field("al_keep_min", keep),
      field("al_severity", severity), element("label", { class: "al-check" }, enabled, text("al_enabled")),
      element("button", { class: "action", type: "submit" }, text("al_propose")));
  }

  // What a proposal would change, in the words of the table.
  function differences(change, rules) {
    const rule = rules.find((known) => known.name === change.rule_name);
    if (!rule) return [element("li", {}, condition(change.wanted))];
    const shown = (name, value) => (typeof value === "object" && value !== null ? JSON.stringify(value)
      : name.endsWith("for_s") ? hold(value) : name === "severity" ? text("severity_" + value) : figure(value));
    const labels = { threshold: "al_threshold", critical_threshold: "al_critical_threshold", for_s: "al_for",
      keep_firing_for_s: "al_keep", severity: "al_severity", is_enabled: "al_enabled" };
    return RULE_FIELDS.filter((name) => JSON.stringify(rule[name]) !== JSON.stringify(change.wanted[name])).map((name) =>
      element("li", {}, labels[name] ? text(labels[name]) : name, " ", element("s", {}, shown(name, rule[name])), " → ",
        element("b", {}, shown(name, change.wanted[name]))));
  }

  function proposal(change, page) {
    const isOwn = change.proposed_by === t.config.viewer.username;
    const address = "/api/v1/alert-rule-changes/" + change.id;
    const confirm = element("button", { class: "action", type: "button", id: "al-confirm-" + change.id,
      on: { click: () => page.send("POST", address + "/confirm", {}, { done: text("al_done") }) } }, text("al_confirm"));
    const reject = element("button", { class: "quiet", type: "button", id: "al-reject-" + change.id,
      on: { click: () => page.send("POST", address + "/reject", {}, { done: text("al_done") }) } }, text(isOwn ? "al_withdraw" : "al_reject"));
    return element("div", { class: "al-change" },
      element("b", {}, text("al_change", { user: change.proposed_by, rule: ruleName(change.rule_name) })),
      element("ul", {}, differences(change, page.rules)),
      page.may_edit ? element("div", { class: "al-decide" }, isOwn ? element("small", {}, text("al_waits")) : confirm, reject) : "");
  }

  function draw(page) {
    const open = page.changes.filter((change) => change.state === "PROPOSED");
    t.fill(byId("al-changes"), JSON.stringify([open, page.rules.map((rule) => rule.version)]), () => open.map((change) => proposal(change, page)));
    const head = ["al_rule", "al_condition", "al_for", "al_keep", "al_severity", "al_state", "al_version"];
    const told = page.rules.map(({ evaluated_at, ...rule }) => rule);
    t.fill(byId("al-rules"), JSON.stringify([told, edited]), () => element("table", { class: "al-table" },
      element("thead", {}, element("tr", {}, head.map((key) => element("th", { scope: "col" }, text(key))), element("td", {}))),
      element("tbody", {}, page.rules.flatMap((rule) => row(rule, page)))));
  }

  t.alertsRules = { draw, isEditing: () => Boolean(edited) };
})();
