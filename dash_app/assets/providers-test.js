// The self-test: a pasted or chosen body goes to the check address; the verdict becomes a table.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, byId, config } = t;
  const ui = { code: "", pools: [] };
  const OTLP = "application/x-protobuf";

  const query = () => "?provider=" + encodeURIComponent(ui.code);

  async function post(address, body, headers) {
    try {
      const response = await fetch(address, {
        method: "POST", credentials: "same-origin", body,
        headers: Object.assign({ "X-CSRFToken": config.csrf, Accept: "application/json" }, headers),
      });
      const answer = await response.json().catch(() => ({}));
      return response.ok ? { answer } : { problem: answer.detail || text("pv_failed") };
    } catch (error) {
      return { problem: text("pv_failed") };
    }
  }

  function readRules() {
    const written = byId("pv-test-rules").value.trim();
    return written ? JSON.parse(written) : null;
  }

  // What was pasted tells its own format: JSON begins with a brace, an exporter's text does not.
  function sendText(pasted) {
    let rules = null;
    try {
      rules = readRules();
    } catch (error) {
      return Promise.resolve({ problem: text("pv_test_bad_rules") });
    }
    const isJson = pasted.trimStart().startsWith("{");
    if (isJson && !rules) return post("/api/v1/telemetry/check" + query(), pasted, { "Content-Type": "application/json" });
    const wanted = { rules: rules || [{ preset: "tiaodu", pool: "{tiaodu_pool}" }], exposition: pasted };
    return post("/api/v1/mapping/check" + query(), JSON.stringify(wanted), { "Content-Type": "application/json" });
  }

  function sendFile(file) {
    const name = file.name.toLowerCase();
    const kind = /\.(arrow|arrows)$/.test(name) ? "application/vnd.apache.arrow.stream"
      : /\.(pb|snappy|bin)$/.test(name) ? OTLP : "application/json";
    const headers = { "Content-Type": kind };
    if (/\.snappy$/.test(name)) headers["Content-Encoding"] = "snappy";
    if (/\.gz$/.test(name)) headers["Content-Encoding"] = "gzip";
    return post("/api/v1/telemetry/check" + query(), file, headers);
  }

  function landingRow(landing) {
    const outcome = landing.outcome;
    const mark = outcome === "refused" ? "bad" : landing.quality && landing.quality !== "good" ? "warn" : "good";
    const why = outcome === "refused" ? [landing.code, landing.field, landing.reason].filter(Boolean).join(" · ")
      : landing.rule ? (config.texts["pv_rule_" + landing.rule] || landing.rule) : "";
    return element("tr", {},
      element("td", {}, String(landing.index)),
      element("td", {}, landing.subject || t.UNKNOWN),
      element("td", {}, element("span", { class: "pv-chip pv-chip-" + mark }, text("pv_outcome_" + outcome))),
      element("td", {}, outcome === "refused" ? "" : [landing.pool, landing.field].filter(Boolean).join(" · ")),
      element("td", {}, landing.value === null ? "" : String(landing.value)),
      element("td", { class: "pv-why" }, why));
  }

  function drawVerdict(answer) {
    const shown = answer.landings.length;
    const sum = text("pv_test_sum", { n: answer.received, ok: answer.would_accept, bad: answer.would_reject, odd: answer.suspect });
    const lag = answer.clock_lag_s === null ? "" : " · " + text("pv_test_lag", { s: answer.clock_lag_s });
    return [
      element("p", { class: "pv-sum" + (answer.would_reject ? " pv-bad" : "") }, element("b", {}, sum), lag),
      t.providers.table(["#", text("pv_subject"), text("pv_outcome"), text("pv_lands"), text("pv_value"), text("pv_why")],
        answer.landings.map(landingRow)),
      shown < answer.landings_total ? element("p", { class: "muted" }, text("pv_test_more", { n: shown, all: answer.landings_total })) : "",
    ];
  }

  async function run(event) {
    event.preventDefault();
    const file = byId("pv-test-file").files[0];
    const pasted = byId("pv-test-text").value;
    if (!file && !pasted.trim()) return byId("pv-test-text").focus();
    byId("pv-test-run").disabled = true;
    byId("pv-verdict").replaceChildren(element("p", { class: "muted" }, text("pv_test_running")));
    const { answer, problem } = await (file ? sendFile(file) : sendText(pasted));
    byId("pv-test-run").disabled = false;
    byId("pv-verdict").replaceChildren(...(problem ? [element("p", { class: "pv-problem" }, problem)] : drawVerdict(answer)));
    return undefined;
  }

  function example() {
    const now = new Date(t.gridNow()).toISOString();
    const pool = ui.pools[0] || "beijing-gpu";
    const sample = { pool, measured_at: now, capacity: 128, allocated: 96, queued: 12, power_kw: 61.5 };
    byId("pv-test-file").value = "";
    byId("pv-test-text").value = JSON.stringify({ samples: [sample, Object.assign({}, sample, { pool: "not-mine" })] }, null, 2);
  }

  byId("pv-test-form").addEventListener("submit", run);
  byId("pv-test-example").addEventListener("click", example);

  function draw(status) {
    byId("pv-test-panel").hidden = false;
    if (status.provider !== ui.code) byId("pv-verdict").replaceChildren();
    ui.code = status.provider;
    ui.pools = status.pools.map((pool) => pool.pool);
  }

  t.providers.test = { draw };
})();
