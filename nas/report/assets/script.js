"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const chart = document.getElementById("chart");
  const columns = new Map(data.columns.map((column) => [column.name, column]));
  const {points} = data;
  const place = new Map(points.id.map((id, k) => [id, k]).reverse());  // of a candidate, where it is a baseline too
  const control = (id) => document.getElementById(id);
  const tone = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const buttons = [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]];
  const options = {responsive: true, displaylogo: false, modeBarButtons: buttons};
  let chosen = "";
  document.documentElement.classList.add("scripted");

  const scaled = (name, value) => (value === null || value === undefined ? null : columns.get(name).share ? 100 * value : value);
  const shown = (name, k) => {
    const value = scaled(name, points[name][k]);
    if (value === null) return "none";
    if (columns.get(name).share) return value.toFixed(2) + " %";
    return Number.isInteger(value) ? value.toLocaleString("en") : value.toPrecision(4);
  };
  const layout = (x, y) => {
    const axis = {gridcolor: tone("--line"), zeroline: false, linecolor: tone("--line"), automargin: true};
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {color: tone("--ink"), family: "system-ui, sans-serif"},
      margin: {l: 60, r: 10, t: 34, b: 50}, hovermode: "closest", showlegend: true,
      legend: {orientation: "h", y: 1.02, yanchor: "bottom", x: 0},
      modebar: {bgcolor: "rgba(0,0,0,0)", color: tone("--soft"), activecolor: tone("--accent")},
      hoverlabel: {bgcolor: tone("--panel"), bordercolor: tone("--line"), font: {color: tone("--ink")}, align: "left"},
      xaxis: {...axis, title: {text: plain(x)}}, yaxis: {...axis, title: {text: plain(y)}},
    };
  };

  const hover = (k) => [
    `<b>${plain(points.name[k] || points.id[k])}</b>${points.front[k] ? " (front)" : points.measured[k] ? "" : points.lower[k] ? " (fewer epochs)" : `, ${plain(points.outcome[k])}`}`,
    ...[...new Set([...data.objectives, control("axis-x").value, control("axis-y").value])]
      .map((name) => `${plain(name)}: ${plain(shown(name, k))}`),
  ].join("<br>");

  // Those that no other network beats on the two axes, in order of x; none where an axis has no better end.
  const best = (x, y) => {
    const [across, up] = [columns.get(x).direction, columns.get(y).direction];
    if (!across || !up || x === y) return [];
    const turn = (name, k) => (columns.get(name).direction === "maximize" ? -1 : 1) * points[name][k];
    const order = points.id.map((_, k) => k).filter((k) => points.measured[k] && !points.name[k] && points[x][k] !== null && points[y][k] !== null)
      .sort((a, b) => turn(x, a) - turn(x, b) || turn(y, a) - turn(y, b));
    let least = Infinity;
    return order.filter((k) => turn(y, k) < least && ((least = turn(y, k)), true));
  };

  const bars = (name, group, color) => {
    const known = data.intervals[name];
    if (!known) return undefined;
    const ends = group.map((k) => known[points.name[k] ? `baseline ${points.name[k]}` : points.id[k]]);
    const away = (side) => ends.map((end, i) => (end ? Math.abs(scaled(name, end[side]) - scaled(name, points[name][group[i]])) : 0));
    return {type: "data", symmetric: false, array: away(1), arrayminus: away(0), thickness: 1, width: 3, color: color || tone("--accent")};
  };

  const trace = (name, group, x, y, more) => ({
    type: "scatter", mode: "markers", name, ids: group.map((k) => points.id[k]), customdata: group.map((k) => points.id[k]),
    x: group.map((k) => scaled(x, points[x][k])), y: group.map((k) => scaled(y, points[y][k])),
    text: group.map(hover), hovertemplate: "%{text}<extra></extra>", ...more,
  });

  // Where the name of a point has room: away from the nearer edge.
  const beside = (x, k) => {
    const turn = (value) => (control("log-x").checked ? Math.log(value) : value);
    const known = points[x].filter((value, i) => value !== null && points.measured[i] && Number.isFinite(turn(value))).map(turn);
    const [low, high] = [known.reduce((a, b) => Math.min(a, b), Infinity), known.reduce((a, b) => Math.max(a, b), -Infinity)];
    const share = high > low ? (turn(points[x][k]) - low) / (high - low) : 0.5;
    return share > 0.7 ? "top left" : share < 0.3 ? "top right" : "top center";
  };

  const draw = () => {
    const [x, y] = [control("axis-x").value, control("axis-y").value];
    const all = points.id.map((_, k) => k).filter((k) => !points.name[k]);
    const baselines = points.id.map((_, k) => k).filter((k) => points.name[k] && points.measured[k]);
    const measured = all.filter((k) => points.measured[k]);
    const front = measured.filter((k) => points.front[k]);
    const traces = [];
    if (control("dim").checked) {
      const dim = {color: tone("--soft"), opacity: 0.4, size: 6};
      traces.push(trace("dominated", measured.filter((k) => !points.front[k]), x, y, {marker: dim}));
      const lower = all.filter((k) => points.lower[k]);
      if (lower.length) traces.push(trace("fewer epochs", lower, x, y, {marker: {...dim, symbol: "circle-open"}}));
      const failed = all.filter((k) => !points.measured[k] && !points.lower[k]);
      const heights = measured.map((k) => scaled(y, points[y][k])).filter((value) => value !== null);
      const [low, high] = [heights.reduce((a, b) => Math.min(a, b), Infinity), heights.reduce((a, b) => Math.max(a, b), -Infinity)];
      const floor = heights.length ? low - 0.06 * (high - low || 1) : 0;
      const below = trace("failed", failed, x, y, {marker: {...dim, symbol: "x-thin-open", size: 8}});
      below.y = below.y.map((value) => (value === null ? floor : value));
      if (failed.length) traces.push(below);
    }
    const line = best(x, y);
    if (line.length > 1) {
      const up = columns.get(x).direction === "minimize";
      traces.push({
        type: "scatter", mode: "lines", name: "best on these axes", hoverinfo: "skip",
        x: line.map((k) => scaled(x, points[x][k])), y: line.map((k) => scaled(y, points[y][k])),
        line: {shape: up ? "hv" : "vh", color: tone("--accent"), width: 1.5, dash: "dot"},
      });
    }
    traces.push(trace("front", front, x, y, {
      marker: {color: tone("--accent"), size: 9, line: {color: tone("--paper"), width: 1}}, error_x: bars(x, front), error_y: bars(y, front),
    }));
    if (baselines.length) {
      traces.push(trace("baselines", baselines, x, y, {
        mode: "markers+text", texttemplate: baselines.map((k) => plain(points.name[k])), textposition: baselines.map((k) => beside(x, k)),
        error_x: bars(x, baselines, "#009e73"), error_y: bars(y, baselines, "#009e73"),
        marker: {symbol: "diamond", color: "#009e73", size: 10, line: {color: tone("--paper"), width: 1}},
      }));
    }
    if (place.has(chosen)) {
      traces.push(trace("chosen", [place.get(chosen)], x, y, {
        hoverinfo: "skip", hovertemplate: undefined, showlegend: false,
        marker: {symbol: "circle-open", size: 18, color: "#d55e00", line: {width: 3, color: "#d55e00"}},
      }));
    }
    const look = layout(columns.get(x).label, columns.get(y).label);
    if (control("log-x").checked) look.xaxis = {...look.xaxis, type: "log", dtick: undefined, exponentformat: "SI"};
    Plotly.react(chart, traces, look, options);
  };

  const curve = (section) => {
    const target = section.querySelector("[data-curve]");
    if (!target) return;
    const found = data.curves[target.dataset.curve] || {};
    const shares = Object.keys(found).filter((name) => name.endsWith("accuracy"));
    const names = shares.length ? shares : Object.keys(found).filter((name) => !["epoch", "lr", "seconds"].includes(name));
    const epochs = found.epoch || (found[names[0]] || []).map((_, k) => k + 1);
    const dashes = ["solid", "dash", "dot", "dashdot"];
    const colours = [tone("--accent"), "#d55e00", "#009e73", "#cc79a7"];
    const traces = names.map((name, k) => ({
      type: "scatter", mode: "lines+markers", name: plain(name), x: epochs,
      y: found[name].map((value) => (value === null ? null : shares.length ? 100 * value : value)),
      line: {dash: dashes[k % 4], color: colours[k % 4]}, marker: {symbol: k % 4, size: 7},
    }));
    const look = layout("epoch", shares.length ? "accuracy (%)" : "");
    look.xaxis.dtick = epochs.length < 15 ? 1 : undefined;
    look.xaxis.range = epochs.length === 1 ? [epochs[0] - 1, epochs[0] + 1] : undefined;
    Plotly.react(target, traces, look, {...options, displayModeBar: false});
  };

  const unfolded = async (id) => {
    const open = document.getElementById(`net-${id}`);
    const packed = document.getElementById(`packed-${id}`);
    if (open || !packed) return open;
    const bytes = Uint8Array.from(atob(packed.textContent.trim()), (c) => c.charCodeAt(0));
    const text = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
    packed.insertAdjacentHTML("afterend", text); // escaped when it was written; the page's policy allows nothing from outside
    packed.remove();
    return document.getElementById(`net-${id}`);
  };

  const show = async (id, jump) => {
    const section = await unfolded(id);
    if (!section) return;
    chosen = id;
    for (const other of document.querySelectorAll(".network.shown")) other.classList.remove("shown");
    section.classList.add("shown");
    for (const row of document.querySelectorAll("#front tbody tr")) row.classList.toggle("chosen", row.dataset.id === id);
    curve(section);
    draw();
    if (jump) {
      history.replaceState(null, "", `#net-${id}`);
      section.focus({preventScroll: true});
      section.scrollIntoView();
    }
  };

  const sort = (table, head, k) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => Number(row.cells[k].dataset.value);
    const rows = [...table.tBodies[0].rows].sort((a, b) => (down ? value(b) - value(a) : value(a) - value(b)));
    table.tBodies[0].append(...rows);
  };

  const copied = async (button) => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, k, all) => {
      if (k === all.length - 1) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, head, k));
    });
  }
  document.addEventListener("click", (event) => {
    const row = event.target.closest("#front tbody tr");
    if (row) {
      event.preventDefault();
      show(row.dataset.id, true);
    } else if (event.target.matches("button.copy")) copied(event.target);
  });
  const measuredFirst = data.objectives.find((name) => name.startsWith("val_")) || data.objectives[0];
  control("axis-y").value = measuredFirst;
  control("axis-x").value = data.objectives.find((name) => name !== measuredFirst)
    || ["params", "evaluation"].find((name) => columns.has(name) && name !== measuredFirst);
  const widths = points[control("axis-x").value].filter((value) => value > 0);
  control("log-x").checked = widths.length > 0 && Math.max(...widths) > 30 * Math.min(...widths);
  for (const id of ["axis-x", "axis-y", "log-x", "dim"]) control(id).addEventListener("change", draw);
  const again = () => {
    draw();
    const section = document.querySelector(".network.shown");
    if (section) curve(section);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  matchMedia("print").addEventListener("change", again);
  draw();
  chart.on("plotly_click", (event) => show(event.points[0].customdata, true));
  const asked = decodeURIComponent(location.hash).replace(/^#net-/, "");
  addEventListener("hashchange", () => show(decodeURIComponent(location.hash).replace(/^#net-/, ""), true));
  show(place.has(asked) && asked ? asked : data.first, place.has(asked));
})();
