// Small line charts of the last hour, each with its text alternative and a table of the same figures.
//
// A chart is {title, unit, lines: [{name, of(sample, before)}], most?, target?}. `of` gives a number, or null where there is
// nothing to say: then the line has a hole. A sample is an object of the worker's columns.

const SVG = "http://www.w3.org/2000/svg";
const HOUR = 3600000, WIDTH = 360, HEIGHT = 100;
const CLASSES = ["first", "second", "third"];
const ROW = 300000; // a row of a chart's table: five minutes

function make(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function html(name, className, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

export function short(value, unit) {
  if (value === null || value === undefined) return "none";
  const digits = Math.abs(value) < 10 && !Number.isInteger(value) ? 1 : 0;
  return value.toLocaleString("en", {maximumFractionDigits: digits}) + (unit === "%" ? " %" : "");
}

// The next of 1, 2, 5, 10, 20, ... that is not below the value.
function niceMost(value) {
  for (let step = 1; ; step *= 10)
    for (const times of [1, 2, 5])
      if (times * step >= value) return times * step;
}

// Longer than this between two samples: nothing is known of the time between, and no line is drawn.
function holeOf(samples) {
  const steps = samples.slice(1).map((sample, i) => sample.time_ms - samples[i].time_ms).sort((a, b) => a - b);
  return Math.max(30000, 3 * (steps[Math.floor(steps.length / 2)] || 0));
}

export class Chart {
  constructor(about) {
    this.about = about;
    this.now = html("span", "");
    this.most = html("span", "");
    this.paths = about.lines.map((_, i) => make("path", {class: CLASSES[i]}));
    this.target = make("line", {class: "target", x1: 0, x2: WIDTH, y1: -5, y2: -5});
    this.svg = make("svg", {class: "chart", role: "img", viewBox: `0 -3 ${WIDTH} ${HEIGHT + 6}`, preserveAspectRatio: "none"},
      make("line", {x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT}), this.target, ...this.paths);
    this.rows = html("tbody", "");
    this.details = html("details", "", html("summary", "", "Table"),
      html("table", "", html("caption", "hidden", `${about.title}, five minutes a row`),
        html("thead", "", html("tr", "", this.head("Time"), ...about.lines.map((line) => this.head(line.name)))), this.rows));
    this.details.addEventListener("toggle", () => this.fillTable());
    this.element = html("figure", "", html("figcaption", "", html("strong", "", about.title), this.now),
      html("div", "axis", this.most), this.svg, html("div", "axis", html("span", "", "1 h ago"), html("span", "", "now")));
    if (about.lines.length > 1)
      this.element.append(html("ul", "legend", ...about.lines.map((line) => html("li", line.name, line.name))));
    this.element.append(this.details);
    this.series = about.lines.map(() => []);
  }

  head(text) {
    const cell = html("th", "", text);
    cell.scope = "col";
    return cell;
  }

  // samples: oldest first.
  draw(samples) {
    const hole = holeOf(samples);
    const near = (i) => i > 0 && samples[i].time_ms - samples[i - 1].time_ms <= hole;
    this.end = samples.length > 0 ? samples.at(-1).time_ms : 0;
    this.series = this.about.lines.map((line) => samples.map((sample, i) => ({
      time: sample.time_ms, joined: near(i), value: line.of(sample, near(i) ? samples[i - 1] : null)})));
    const values = this.series.flat().map((point) => point.value).filter((value) => value !== null);
    const most = this.about.most || niceMost(Math.max(1, ...values));
    this.most.textContent = short(most, this.about.unit);
    this.series.forEach((points, i) => this.paths[i].setAttribute("d", this.path(points, most)));
    if (this.about.target) {
      const y = HEIGHT * (1 - this.about.target / most);
      this.target.setAttribute("y1", y);
      this.target.setAttribute("y2", y);
    }
    this.tell();
    this.fillTable();
  }

  path(points, most) {
    let text = "", drawing = false;
    for (const {time, joined, value} of points) {
      if (value === null) {
        drawing = false;
        continue;
      }
      const x = (WIDTH * (1 - (this.end - time) / HOUR)).toFixed(1), y = (HEIGHT * (1 - Math.min(value, most) / most)).toFixed(1);
      text += drawing && joined ? `L${x} ${y}` : `M${x} ${y}h.1`;
      drawing = true;
    }
    return text;
  }

  tell() {
    const unit = this.about.unit;
    const each = this.series.map((points, i) => {
      const values = points.map((point) => point.value).filter((value) => value !== null);
      const name = this.about.lines.length > 1 ? `${this.about.lines[i].name} ` : "";
      if (values.length === 0) return `${name}no figures yet`;
      return `${name}now ${short(points.at(-1).value, unit)}, lowest ${short(Math.min(...values), unit)}, highest ${short(Math.max(...values), unit)}`;
    });
    this.svg.setAttribute("aria-label", `${this.about.title}, last hour: ${each.join("; ")}`);
    const last = this.series.map((points) => short(points.at(-1)?.value ?? null, unit));
    this.now.textContent = last.join(" / ");
  }

  fillTable() {
    if (!this.details.open) return;
    const rows = [];
    for (let end = this.end; end > this.end - HOUR; end -= ROW) {
      const cells = this.series.map((points) => {
        const values = points.filter((p) => p.time > end - ROW && p.time <= end && p.value !== null).map((p) => p.value);
        return html("td", "", values.length > 0 ? short(values.reduce((a, b) => a + b, 0) / values.length, this.about.unit) : "none");
      });
      const time = html("th", "", `to ${new Date(end).toLocaleTimeString("en-GB")}`);
      time.scope = "row";
      rows.push(html("tr", "", time, ...cells));
    }
    this.rows.replaceChildren(...rows);
  }
}

// How much a counter grew, per second; null when it began anew or there is no sample before.
export function growth(name, scale = (grown, seconds) => grown / seconds) {
  const read = typeof name === "string" ? (sample) => sample[name] : name;
  return (sample, before) => {
    if (!before || sample.time_ms <= before.time_ms || read(sample) < read(before)) return null;
    return scale(read(sample) - read(before), (sample.time_ms - before.time_ms) / 1000);
  };
}

// The share of the first counter's growth in that of both, percent; null when none grew.
export function share(part, rest) {
  return (sample, before) => {
    if (!before) return null;
    const grown = sample[part] - before[part], others = sample[rest] - before[rest];
    return grown < 0 || others < 0 || grown + others === 0 ? null : 100 * grown / (grown + others);
  };
}
