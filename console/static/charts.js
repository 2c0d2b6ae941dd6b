// Draws what came about over time from the console's own history, again every minute.
"use strict";
(() => {
  const refreshMs = 60000;
  const charts = new Map(); // element -> its uPlot
  const chinese = document.documentElement.lang === "zh-CN";

  const colour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  const clock = new Intl.DateTimeFormat("en-GB", {
    timeZone: "Asia/Shanghai", hour: "2-digit", minute: "2-digit",
  });
  const day = new Intl.DateTimeFormat("en-CA", {
    timeZone: "Asia/Shanghai", month: "2-digit", day: "2-digit",
  });
  const shanghai = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Asia/Shanghai");

  function short(value) {
    if (value === null || value === undefined) return "";
    const units = chinese ? [[1e8, "亿"], [1e4, "万"]] : [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
    for (const [size, unit] of units) {
      if (Math.abs(value) >= size) return `${Math.round((value / size) * 10) / 10}${unit}`;
    }
    return String(Math.round(value * 100) / 100);
  }

  const kinds = {
    backlog: { value: (data) => data.count, paint: "accent" },
    amount: { value: (data) => data.amount, paint: "accent" },
    used: { value: (data) => data.used, paint: "accent", lines: [[70, "warn-fill"], [90, "restrict-fill"], [100, "stop-fill"]], unit: " %" },
    burn: { value: (data) => data.taken, paint: "accent", bars: true },
  };

  function edges(kind) {
    return (self, low, high) => {
      if (kind.lines) return [0, Math.max(105, high)];
      return [0, high > 0 ? high * 1.12 : 1];
    };
  }

  function reference(kind) {
    return {
      hooks: {
        draw: (self) => {
          for (const [value, name] of kind.lines || []) {
            const y = self.valToPos(value, "y", true);
            const { left, width } = self.bbox;
            self.ctx.save();
            self.ctx.strokeStyle = colour(name);
            self.ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
            self.ctx.lineWidth = devicePixelRatio;
            self.ctx.beginPath();
            self.ctx.moveTo(left, y);
            self.ctx.lineTo(left + width, y);
            self.ctx.stroke();
            self.ctx.restore();
          }
        },
      },
    };
  }

  function options(element, kind, small) {
    const axis = {
      stroke: colour("quiet"), font: "11px system-ui, sans-serif",
      grid: { stroke: colour("line"), width: 1 }, ticks: { show: false },
    };
    const shown = element.querySelector(".chart-value");
    return {
      width: element.clientWidth || 300,
      height: small ? 84 : 210,
      tzDate: shanghai,
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      legend: { show: false },
      scales: {
        // The whole span that was asked for, also where nothing was. A bar stands right of its hour.
        x: { range: () => element.span },
        y: { range: edges(kind) },
      },
      plugins: [reference(kind)],
      axes: [
        { ...axis, size: 22, space: 64, grid: { show: false },
          values: (self, ticks) => ticks.map((at) => {
            const text = clock.format(at * 1000);
            return text === "00:00" ? day.format(at * 1000) : text;
          }) },
        { ...axis, size: 44, space: small ? 26 : 34, values: (self, ticks) => ticks.map(short) },
      ],
      series: [
        {},
        kind.bars
          ? { stroke: colour(kind.paint), fill: colour("accent-soft"), width: 1,
              paths: uPlot.paths.bars({ size: [0.75, 40], align: 1 }), points: { show: false } }
          : { stroke: colour(kind.paint), fill: colour("accent-soft"), width: 1.75, points: { show: false },
              // One sample a minute while there is a backlog: no line over the times without.
              spanGaps: false },
      ],
      hooks: {
        setCursor: [(self) => {
          const place = self.cursor.idx;
          shown.textContent = place === null || place === undefined || self.data[1][place] === null ? ""
            : `${clock.format(self.data[0][place] * 1000)}  ${self.data[1][place].toLocaleString("en")}${kind.unit || ""}`;
        }],
      },
    };
  }

  function frame(element) {
    if (element.querySelector(".chart-title")) return;
    const title = document.createElement("p");
    title.className = "chart-title";
    title.append(element.dataset.label);
    const value = document.createElement("span");
    value.className = "chart-value";
    title.append(value);
    const empty = document.createElement("p");
    empty.className = "chart-empty";
    empty.textContent = element.dataset.empty;
    element.append(title, empty);
  }

  function draw(element, data) {
    const kind = kinds[element.dataset.chart];
    const small = element.classList.contains("small");
    const times = kind.bars ? data.hours : data.times;
    const series = [times, kind.value(data)];
    frame(element);
    // The bar of an hour needs the whole of it.
    element.span = [data.start, kind.bars ? Math.ceil(data.end / 3600) * 3600 : data.end];
    element.querySelector(".chart-empty").hidden = times.length > 0;
    const old = charts.get(element);
    if (old) {
      old.setData(series);
      return;
    }
    const made = new uPlot(options(element, kind, small), series, element);
    // The figures stand in a table beside it.
    made.root.setAttribute("aria-hidden", "true");
    charts.set(element, made);
  }

  async function refresh() {
    const wanted = new Map();
    for (const element of document.querySelectorAll("[data-chart]")) {
      const list = wanted.get(element.dataset.history) || [];
      list.push(element);
      wanted.set(element.dataset.history, list);
    }
    for (const [address, elements] of wanted) {
      let answer;
      try {
        answer = await fetch(address, { headers: { Accept: "application/json" } });
      } catch {
        continue; // the console is away: what was drawn stays
      }
      if (!answer.ok) continue;
      const data = await answer.json();
      for (const element of elements) draw(element, data);
    }
    for (const element of charts.keys()) {
      if (!element.isConnected) {
        charts.get(element).destroy();
        charts.delete(element);
      }
    }
    document.documentElement.dataset.charts = "drawn";
  }

  function anew() {
    for (const [element, chart] of charts) {
      chart.destroy();
      charts.delete(element);
    }
    refresh();
  }

  let known = document.querySelectorAll("[data-chart]").length;
  document.addEventListener("live", (event) => {
    if (event.detail !== "main") return;
    const count = document.querySelectorAll("[data-chart]").length;
    if (count !== known) refresh();
    known = count;
  });
  let resizing = 0;
  window.addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => {
      for (const [element, chart] of charts) {
        chart.setSize({ width: element.clientWidth, height: chart.height });
      }
    }, 150);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", anew);
  setInterval(() => {
    if (!document.hidden) refresh();
  }, refreshMs);
  refresh();
})();
