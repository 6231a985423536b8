// The headline tiles of the Grid page.
(function () {
  "use strict";
  const t = window.tiaodu;
  const { text, element, svg, byId } = t;

  function drawTrend(tile, points, fallsBelowZero) {
    const box = tile.querySelector(".tile-trend");
    const known = points.filter(t.isKnown);
    const signature = known.length + ":" + points[points.length - 1] + ":" + points[0];
    t.fill(box, signature, () => {
      if (known.length < 2) return [];
      const low = Math.min(...known, fallsBelowZero ? 0 : Infinity);
      const high = Math.max(...known, fallsBelowZero ? 0 : -Infinity);
      const reach = high - low || 1;
      const x = (i) => (i / (points.length - 1)) * 100;
      const y = (value) => 27 - ((value - low) / reach) * 24;
      let line = "";
      let isDown = false;
      points.forEach((value, i) => {
        if (!t.isKnown(value)) { isDown = false; return; }
        line += (isDown ? "L" : "M") + x(i).toFixed(1) + " " + y(value).toFixed(1);
        isDown = true;
      });
      const picture = svg("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none" });
      if (fallsBelowZero && low < 0) {
        picture.append(svg("line", { x1: 0, x2: 100, y1: y(0), y2: y(0), class: "trend-zero" }));
      }
      picture.append(svg("path", { d: line, class: "trend-line" }));
      return [picture];
    });
  }

  function fillTile(key, value, note, detail, headline) {
    const tile = byId("tile-" + key);
    tile.querySelector(".tile-value").textContent = t.count(value);
    tile.querySelector(".tile-note").textContent = note;
    tile.querySelector(".tile-detail").textContent = detail;
    tile.dataset.quality = headline.quality;
    const age = Math.floor((headline.oldest_age_s || 0) / 30);
    t.fill(tile.querySelector(".tile-foot"), headline.quality + age,
      () => [t.quality(headline.quality, headline.oldest_age_s)]);
    return tile;
  }

  function drawTiles(frame) {
    const h = frame.headline;
    const trend = h.trend || [];
    const known = h.unknown_pools
      ? text("unknown_pools", { n: h.unknown_pools })
      : h.stale_pools ? text("stale_pools", { n: h.stale_pools }) : text("all_pools_known");
    const share = (key, part, all) => (t.isKnown(part) && all ? text(key, { value: t.percent(part / all, 1) }) : "");
    const minus = (a, b) => (t.isKnown(a) && t.isKnown(b) ? a - b : null);
    drawTrend(fillTile("supply", h.supply, text("supply_hint"), known, h), trend.map((row) => row[2]));
    drawTrend(fillTile("demand", h.demand, "",
      text("allocated") + " " + t.count(h.allocated) + " · " + text("queued") + " " + t.count(h.queued), h),
      trend.map((row) => row[1]));
    drawTrend(fillTile("headroom", h.headroom, "", share("share_supply", h.headroom, h.supply), h),
      trend.map((row) => minus(row[2], row[1])), true);
    const unmet = fillTile("unmet", h.unmet, text("unmet_hint"),
      share("share_demand", h.unmet, h.demand), h);
    drawTrend(unmet, trend.map((row) => (row.length > 3 ? row[3] : null)));
    unmet.dataset.alarm = h.unmet > 0 ? "yes" : "no";
  }

  t.onFrame(drawTiles);
  drawTiles(t.state.frame);
})();
