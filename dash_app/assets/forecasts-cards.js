// Words and tables of the Forecasts page: declaration, fallbacks, model card, trainings.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, isKnown } = t;
  const moment = (iso) => (iso ? t.dateTime(Date.parse(iso)) : "—");
  const short = (version) => (version || "").slice(0, 14);
  const known = (prefix, code) => (t.config.texts[prefix + code] ? text(prefix + code) : code);

  function declaration(run) {
    if (!run) return [text("fc_none")];
    const d = run.declaration;
    const isDegraded = run.state !== "READY";
    return [
      element("span", { class: "fc-mark" }, text("fc_made")), " ",
      text("fc_declared_by", { model: d.model_name, version: short(d.model_version), until: d.trained_until ? moment(d.trained_until) : text("fc_never_trained"), issued: moment(d.issued_at) + " CST" }),
      element("span", { class: isDegraded ? "fc-state fc-warn" : "fc-state fc-good" }, (isDegraded ? "▲ " : "● ") + text("fc_state_" + run.state)),
    ];
  }

  function placeName(places, series) {
    const [scope, code] = series.split(":");
    if (scope === "grid") return text("whole_grid");
    const found = (places[scope] || []).find((place) => place.code === code);
    return found ? t.name(found) : code;
  }

  function fallbacks(run, places) {
    const rows = Object.entries((run && run.fallbacks) || {});
    if (!run) return [element("p", { class: "empty" }, text("fc_none"))];
    if (!rows.length) return [element("p", { class: "fc-verdict fc-good" }, "● " + text("fc_no_fallbacks"))];
    return [element("div", { class: "fc-scroll", tabindex: "0" }, element("table", { class: "fc-table" },
      element("thead", {}, element("tr", {}, [text("fc_series"), text("fc_method"), text("fc_reason")].map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, rows.map(([series, entry]) => element("tr", {},
        element("th", { scope: "row" }, placeName(places, series), " ", element("small", { class: "muted" }, known("fc_scope_", series.split(":")[0]))),
        element("td", {}, known("fc_method_", entry.method)),
        element("td", { class: "fc-warn" }, known("fallback_", entry.reason)))))))];
  }

  function aside(run, places) {
    const found = (run && run.set_aside) || {};
    if (!isKnown(found.samples)) return [element("p", { class: "empty" }, text("fc_aside_unknown"))];
    if (!found.set_aside) return [element("p", { class: "fc-verdict fc-good" }, "● " + text("fc_no_aside", { n: t.count(found.samples) }))];
    const rules = (counts) => Object.entries(counts).sort((a, b) => b[1] - a[1])
      .map(([rule, n]) => known("pv_rule_", rule) + " " + t.count(n)).join(" · ");
    return [
      element("p", {}, text("fc_aside_sum", { n: t.count(found.samples), k: t.count(found.set_aside), pools: found.pools_total })),
      element("div", { class: "fc-scroll", tabindex: "0" }, element("table", { class: "fc-table" },
        element("tbody", {}, Object.entries(found.pools).sort((a, b) => b[1].set_aside - a[1].set_aside).map(([code, pool]) => element("tr", {},
          element("th", { scope: "row" }, placeName(places, "pool:" + code)),
          element("td", { class: "fc-warn" }, t.count(pool.set_aside) + " / " + t.count(pool.samples)),
          element("td", {}, rules(pool.by_rule)))))))];
  }

  const pair = (name, ...value) => [element("dt", {}, name), element("dd", {}, ...value)];

  function gateWords(scores) {
    const models = scores.models || {};
    const loss = (name) => (models[name] ? models[name].overall.pinball.mean : null);
    const incumbent = scores.incumbent;
    const number = (value) => (isKnown(value) ? value.toFixed(4) : "—");
    return text("fc_gate_words", { ours: number(loss("ours")), theirs: number(loss(incumbent)), incumbent });
  }

  function modelCard(accuracy, run) {
    const model = accuracy.model;
    const steps = ((run && run.declaration.steps) || []).map((step) => known("fc_step_", step)).join(" → ");
    if (!model) return [element("p", { class: "empty" }, text("fc_no_model")), element("dl", { class: "fc-card" }, pair(text("fc_steps"), steps || "—"))];
    const skill = model.scores.skill_pinball;
    return [element("dl", { class: "fc-card" },
      pair(text("model", { name: "" }).trim(), element("b", {}, model.name), " ", element("code", {}, model.version)),
      pair(text("fc_window"), moment(model.trained_from) + " – " + moment(model.trained_until)),
      pair(text("fc_trained"), moment(model.trained_at) + " · " + known("fc_trigger_", model.trigger)),
      pair(text("fc_gate"), gateWords(model.scores), isKnown(skill) ? element("span", { class: skill < 0 ? "fc-bad" : "fc-good" }, " · " + text("fc_skill_short") + " " + t.forecastFigures.signed(skill)) : ""),
      pair(text("fc_steps"), steps || "—"),
      pair(text("fc_reviewer"), text("fc_no_reviewer")),
      pair(text("fc_features"), element("details", {}, element("summary", {}, text("fc_features_n", { n: model.features.length })), element("p", { class: "fc-features" }, model.features.join(" · ")))))];
  }

  function registry(models) {
    if (!models.length) return [element("p", { class: "empty" }, text("fc_no_model"))];
    return [element("div", { class: "fc-scroll", tabindex: "0" }, element("table", { class: "fc-table" },
      element("thead", {}, element("tr", {}, [text("fc_trained"), "", text("fc_trigger"), text("fc_skill_short"), ""].map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, models.map((model) => element("tr", {},
        element("th", { scope: "row" }, moment(model.trained_at).slice(5)),
        element("td", {}, text("fc_tab_" + model.target)),
        element("td", {}, model.trigger.split(",").map((sign) => known(sign.includes("-") ? "fc_sign_" : "fc_trigger_", sign)).join(", ")),
        element("td", {}, isKnown(model.scores.skill_pinball) ? t.forecastFigures.signed(model.scores.skill_pinball) : "—"),
        element("td", { class: model.is_champion ? "fc-good" : "muted" }, text(model.is_champion ? "fc_promoted" : model.scores.is_promoted ? "fc_was" : "fc_kept")))))))];
  }

  t.forecastCards = { declaration, fallbacks, aside, modelCard, registry, placeName, moment };
})();
