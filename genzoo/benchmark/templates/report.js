"use strict";

/* Tables: the reference rows keep their places, cells without a value go last, kinds of likelihood stay apart. */
function compare(column, sign) {
  return (one, other) => {
    const [a, b] = [one.cells[column], other.cells[column]];
    if (column === 0) return sign * a.textContent.localeCompare(b.textContent);
    if (!a.dataset.value || !b.dataset.value) return !a.dataset.value - !b.dataset.value;
    return a.dataset.kind.localeCompare(b.dataset.kind) || sign * (a.dataset.value - b.dataset.value);
  };
}

function sort(table, header) {
  const sign = header.ariaSort === "ascending" ? -1 : 1;
  for (const other of table.tHead.rows[0].cells) other.ariaSort = "none";
  header.ariaSort = sign > 0 ? "ascending" : "descending";
  const body = table.querySelector("tbody.model");
  if (body) body.append(...[...body.rows].sort(compare(header.cellIndex, sign)));
}

for (const button of document.querySelectorAll("table.ranked th button"))
  button.addEventListener("click", () => sort(button.closest("table"), button.closest("th")));

/* Charts: plotly is loaded when the first one comes near the screen, each is drawn when it does. */
const drawn = new Set();
let plotly = null;

function load() {
  plotly ??= new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), { src: PLOTLY, onload: resolve, onerror: reject });
    document.head.append(script);
  });
  return plotly;
}

function resolved(value, style) {
  if (Array.isArray(value)) return value.map((part) => resolved(part, style));
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, resolved(part, style)]));
  const name = typeof value === "string" && /^var\((--[a-z0-9]+)\)$/.exec(value);
  return name ? style.getPropertyValue(name[1]).trim() : value;
}

function axis(settings) {
  const common = { gridcolor: "var(--line)", linecolor: "var(--line)", zeroline: false, fixedrange: true };
  return { ...common, automargin: true, exponentformat: "SI", ...settings };
}

function draw(chart) {
  const figure = JSON.parse(document.getElementById(chart.dataset.figure).textContent);
  const style = getComputedStyle(document.documentElement);
  const layout = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "var(--muted)" },
    margin: { l: 48, r: 8, t: 10, b: 40 },
    hoverlabel: { bgcolor: "var(--raised)", bordercolor: "var(--line)", font: { color: "var(--ink)" }, namelength: -1 },
    hovermode: "closest",
    dragmode: false,
    showlegend: false,
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom" },
    ...figure.layout,
    xaxis: axis(figure.layout.xaxis),
    yaxis: axis(figure.layout.yaxis),
  };
  const config = { displayModeBar: false, responsive: true };
  Plotly.react(chart, resolved(figure.data, style), resolved(layout, style), config);
  drawn.add(chart);
}

function show(chart) {
  load().then(
    () => draw(chart),
    () => (chart.textContent = `Charts need ${PLOTLY} beside this page.`),
  );
}

const watcher = new IntersectionObserver(
  (seen) => {
    for (const { target } of seen.filter((entry) => entry.isIntersecting)) {
      watcher.unobserve(target);
      show(target);
    }
  },
  { rootMargin: "400px" },
);
for (const chart of document.querySelectorAll(".chart")) watcher.observe(chart);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
