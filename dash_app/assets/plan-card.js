// Draws one plan as a card: corridor, saving and its parts, reason, who agreed, what this viewer may do.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, config } = t;
  const PARTS = ["energy_usd", "carbon_usd", "delay_usd", "unmet_usd", "egress_usd", "churn_usd"];
  const CONSENT_MARK = { APPROVE: "✓", REJECT: "✕" };

  function regionName(code) {
    const region = t.regionOf(code);
    return region ? t.name(region) : code;
  }

  // "somebody: timing" ends with the code of a rejection's reason; it has words.
  const inWords = (reason) => reason.replace(/[a-z-]+$/, (code) => config.reasons[code] || code);

  // The server decides; this only spares people buttons that it would refuse.
  function allowedActions(plan) {
    const viewer = config.viewer;
    if (plan.state === "DRAFT") return viewer.role === "OPERATOR" ? ["propose"] : [];
    if (plan.state !== "PROPOSED" || plan.proposer === viewer.username) return [];
    if (Date.parse(plan.decide_by) < t.gridNow()) return [];
    const isMine = (need) => !need.decision && need.role === viewer.role &&
      (need.role !== "REGIONAL_ADMIN" || need.region === viewer.region);
    const hasDecided = plan.approvals.some((need) => need.user === viewer.username);
    return !hasDecided && plan.approvals.some(isMine) ? ["approve", "reject"] : [];
  }

  function consent(need) {
    const who = need.role === "OPERATOR" ? text("operator") : regionName(need.region);
    const state = need.decision ? text("consent_" + need.decision) : text("consent_open");
    return element("li", { class: "consent consent-" + (need.decision || "open").toLowerCase(), title: need.user || "" },
      element("i", { "aria-hidden": "true" }, CONSENT_MARK[need.decision] || "…"), " ", who, " ",
      element("small", {}, state));
  }

  function figure(label, value, kind) {
    return element("span", { class: "figure " + (kind || "") }, element("small", {}, label), " ", element("b", {}, value));
  }

  // Parts come as changes of cost; shown as savings, they add up to the figure beside them.
  function savingLine(plan) {
    const parts = PARTS.filter((key) => t.isKnown(plan.parts && plan.parts[key]) && Math.abs(plan.parts[key]) >= 0.005)
      .map((key) => element("span", { class: "part" },
        text("part_" + key), " ", element("b", {}, t.usd(-plan.parts[key]))));
    return element("div", { class: "plan-parts" }, parts,
      plan.parts && Math.abs(plan.parts.carbon_kg) >= 0.5 ? element("span", { class: "part" }, "CO₂ ",
        element("b", {}, t.count(-plan.parts.carbon_kg) + " kg")) : null);
  }

  function moveRow(move) {
    const end = (code) => {
      const site = t.siteOfPool(code);
      return site ? t.name(site) : code;
    };
    return element("li", {},
      element("b", {}, end(move.source_pool) + " → " + end(move.destination_pool)), " ",
      move.units + " " + text("unit_gpu"), " · ", t.counted("workloads_n", move.workloads),
      element("span", { class: "muted" }, " " + t.words(move, "reason")));
  }

  // How far the workloads of a plan have come, from the last step back to the first: a bar and words.
  const STEPS = ["FINISHED", "RUNNING", "PLACED", "SUBMITTING", "WITHDRAWING", "BOUND", "NEEDS_HUMAN", "RELEASING", "RETURNED", "SKIPPED"];
  function progress(plan) {
    const counts = plan.progress || {};
    const steps = STEPS.filter((state) => counts[state]);
    if (!steps.length || ["DRAFT", "PROPOSED"].includes(plan.state)) return null;
    const part = (state) => {
      const piece = element("i", { class: "passage passage-" + state.toLowerCase() });
      piece.style.flexGrow = counts[state];
      return piece;
    };
    return element("div", { class: "progress" },
      element("span", { class: "muted" }, text("progress")),
      element("span", { class: "progress-bar", "aria-hidden": "true" }, steps.map(part)),
      element("span", {}, steps.map((state, i) => element("span", { class: "step step-" + state.toLowerCase() },
        i ? " · " : "", element("b", {}, String(counts[state])), " " + text("passage_" + state)))));
  }

  // What an ended plan has really saved, part by part, beside what was predicted for the same work.
  function realised(plan) {
    const account = plan.realised;
    if (!account || !t.isKnown(account.realised_saving_usd)) return null;
    return element("div", { class: "plan-money" },
      figure(text(account.is_final ? "realised_final" : "realised_so_far"), t.usd(account.realised_saving_usd),
        account.realised_saving_usd < 0 ? "loss" : "saving"),
      element("span", { class: "muted" }, text("promised_for_hours") + " " + t.usd(account.predicted_saving_usd)),
      account.is_final || account.realised_saving_usd >= 0 ? null : element("span", { class: "muted" }, text("paid_first")));
  }

  function realisedParts(plan, ui, acts) {
    const report = plan.realised && plan.realised.report;
    if (!report || !report.lines) return null;
    const row = (name, line) => element("tr", {}, element("th", { scope: "row" }, name),
      element("td", {}, t.usd(line.predicted_saving)), element("td", {}, t.usd(line.realised_saving)));
    const shown = report.lines.filter((line) => Math.abs(line.predicted_saving) >= 0.005 || Math.abs(line.realised_saving) >= 0.005);
    const total = { predicted_saving: report.predicted_saving_usd, realised_saving: report.realised_saving_usd };
    return element("details", { open: ui.isAccountOpen, on: { toggle: acts.toggleAccount } },
      element("summary", {}, text("realised_parts")),
      element("p", { class: "muted" }, text("realised_basis", { n: report.started, finished: report.finished })),
      element("table", { class: "account", "aria-label": text("realised_parts") },
        element("thead", {}, element("tr", {}, ["part", "promised", "realised"].map((key) => element("th", { scope: "col" }, text(key))))),
        element("tbody", {}, shown.map((line) => row(text("part_" + line.part + "_usd"), line)),
          row(text("part_total"), total))));
  }

  function buttons(plan, act, isBusy) {
    const actions = allowedActions(plan);
    if (!actions.length) return null;
    return element("div", { class: "plan-actions" }, actions.map((action) =>
      element("button", {
        type: "button", id: action + "-" + plan.id, disabled: isBusy, class: "action action-" + action,
        "aria-label": text(action + "_label", { plan: plan.id }), on: { click: () => act(action) },
      }, isBusy ? text("sending") : text(action))));
  }

  function rejectForm(plan, send, back, isBusy) {
    const reason = element("select", { id: "reason-" + plan.id },
      Object.entries(config.reasons).map(([code, words]) => element("option", { value: code }, words)));
    const comment = element("input", { id: "comment-" + plan.id, type: "text", maxlength: "500" });
    return element("form", {
      class: "plan-reject",
      on: { submit: (event) => { event.preventDefault(); send(reason.value, comment.value); } },
    },
    element("label", { for: reason.id }, text("reject_reason")), reason,
    element("label", { for: comment.id }, text("comment")), comment,
    element("button", { type: "submit", class: "action action-reject", disabled: isBusy, id: "confirm-" + plan.id }, text("confirm_reject")),
    element("button", { type: "button", class: "quiet", on: { click: back } }, text("cancel")));
  }

  function deadline(plan) {
    const open = plan.state === "PROPOSED" || plan.state === "DRAFT";
    return open && plan.decide_by
      ? element("span", { class: "deadline", "data-decide-by": plan.decide_by }) : null;
  }

  function drawDeadline(node) {
    const left = (Date.parse(node.dataset.decideBy) - t.gridNow()) / 1000;
    const rate = t.rate();
    node.textContent = left <= 0 ? text("decide_over")
      : rate === 1 || rate === 0 ? text("decide_within_plain", { grid: t.span(left) })
        : text("decide_within", { grid: t.span(left), real: t.span(left / rate) });
    node.classList.toggle("urgent", left < 3600);
  }

  // ui: what the viewer has opened or sent for this plan (never part of the frame)
  function card(plan, ui, acts) {
    const title = "plan-" + plan.id + "-title";
    return element("article", { class: "plan plan-" + plan.state.toLowerCase(), "aria-labelledby": title, "data-plan": plan.id },
      element("div", { class: "plan-head" },
        element("h3", { id: title }, regionName(plan.source_region), element("span", { class: "arrow" }, " → "),
          regionName(plan.destination_region)),
        element("span", { class: "plan-size" }, element("b", {}, t.count(plan.units)), " " + text("unit_gpu") + " · " +
          t.counted("workloads_n", plan.workloads)),
        element("span", { class: "state state-" + plan.state.toLowerCase() }, text("state_" + plan.state)),
        element("span", { class: "muted plan-id" }, "#" + plan.id), deadline(plan)),
      element("p", { class: "plan-reason" }, t.words(plan, "reason"),
        plan.state_reason ? element("span", { class: "muted" }, " (" + inWords(plan.state_reason) + ")") : null),
      element("div", { class: "plan-money" },
        figure(text("saving"), t.usd(plan.saving_usd), "saving"), savingLine(plan),
        element("span", { class: "muted" }, [
          t.isKnown(plan.do_nothing_usd) ? text("do_nothing", { cost: t.usd(plan.do_nothing_usd) }) : "",
          t.isKnown(plan.objective_usd) ? text("objective", { cost: t.usd(plan.objective_usd) }) : "",
          t.isKnown(plan.gap) ? text("gap", { value: t.percent(plan.gap, 1) }) : "",
        ].filter(Boolean).join(" · "))),
      realised(plan), progress(plan),
      element("div", { class: "plan-foot" },
        element("ul", { class: "consents", "aria-label": text("consent") }, plan.approvals.map(consent)),
        ui.isRejecting ? null : buttons(plan, acts.act, ui.isBusy)),
      ui.isRejecting ? rejectForm(plan, acts.reject, acts.back, ui.isBusy) : null,
      ui.problem ? element("p", { class: "plan-problem", role: "alert" }, "✕ " + ui.problem) : null,
      plan.moves && plan.moves.length > 1 ? element("details", { open: ui.isOpen, on: { toggle: acts.toggle } },
        element("summary", {}, t.counted("moves_of_plan", plan.moves.length)),
        element("ul", { class: "moves" }, plan.moves.map(moveRow))) : null,
      realisedParts(plan, ui, acts));
  }

  t.planCard = { card, drawDeadline, allowedActions, regionName };
})();
