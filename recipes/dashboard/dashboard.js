import { listen } from './stream.js';

const CHANNEL = '/c/dashboard';
/** A sensor that was silent for longer is shown as such, and has a gap in the plot. */
const STALE_MS = 60000;
const SENSORS_MAX = 50;
/** The plot has a point for each 10 s of the last hour: the last value in them. */
const STEP_MS = 10000;
const STEPS = 360;
/** The line of a sensor is of the last ten minutes. */
const LINE_STEPS = 60;
/** NAME VALUE and, if there is one, UNIT: `temperature 21.5 °C`. */
const READING = /^(\S{1,40})[ \t]+([+-]?\d{0,12}(?:\.\d{1,15})?)(?:[ \t]+(\S{1,12}))?\s*$/;

const LINE_MAX = 100;

const element = (id) => document.getElementById(id);
const sensors = new Map(); // by name: { value, unit, at, values (by step), colour, tile, isNew }
let coloursUsed = 0;

const stepOf = (ms) => Math.floor(ms / STEP_MS);
const isStale = (sensor) => Date.now() - sensor.at > STALE_MS;

function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

function add(name) {
  if (sensors.size >= SENSORS_MAX) {
    const [oldest, sensor] = [...sensors].reduce((a, b) => (a[1].at <= b[1].at ? a : b));
    if (!isStale(sensor)) return null;
    remove(oldest);
  }
  const tile = document.createElement('li');
  tile.innerHTML = '<h2></h2><p class="value"><span></span><small></small></p><svg viewBox="-1 0 62 32" preserveAspectRatio="none" '
    + 'aria-hidden="true"><path vector-effect="non-scaling-stroke"/></svg><p class="age"></p>';
  tile.querySelector('h2').textContent = tile.title = name;
  // Turning by the golden angle keeps neighbours apart.
  const colour = `hsl(${Math.round(200 + coloursUsed++ * 137.5) % 360}, 65%, 55%)`;
  tile.style.setProperty('--colour', colour);
  const sensor = { values: new Map(), colour, tile };
  sensors.set(name, sensor);
  const after = [...element('sensors').children].find(({ title }) => title > name);
  element('sensors').insertBefore(tile, after || null);
  return sensor;
}

function remove(name) {
  sensors.get(name).tile.remove();
  sensors.delete(name);
}

function onMessage({ text, at }) {
  for (const line of text.split('\n')) {
    const [, name, number, unit = ''] = (line.length <= LINE_MAX && READING.exec(line)) || [];
    const value = number && parseFloat(number);
    if (!Number.isFinite(value)) continue;
    const sensor = sensors.get(name) || add(name);
    if (!sensor) continue;
    Object.assign(sensor, { value, unit, at, isNew: true });
    sensor.values.set(stepOf(at), value);
  }
  draw();
}

/** A thousand values a second are drawn as often as the screen can show them. */
let isDue = false;
function draw() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    for (const sensor of sensors.values()) if (sensor.isNew) drawTile(sensor);
    drawHint();
  });
}

function drawHint() {
  element('hint').hidden = sensors.size > 0 || document.body.dataset.state !== 'open';
}

function drawTile(sensor) {
  const { tile, value, unit, at } = sensor;
  sensor.isNew = false;
  tile.classList.toggle('stale', isStale(sensor));
  tile.querySelector('.value span').textContent = Number(value.toPrecision(5));
  tile.querySelector('small').textContent = unit;
  tile.querySelector('.age').textContent = isStale(sensor) ? `silent for ${ago(Date.now() - at)}` : `${ago(Date.now() - at)} ago`;
}

/** What a sensor has said in the last hour, a value for each step; it holds until it is stale. */
function column({ values }) {
  const first = stepOf(Date.now()) - STEPS + 1;
  let held = null;
  let heldFor = 0;
  values.forEach((value, step) => { if (step < first) values.delete(step); });
  return Array.from({ length: STEPS }, (_, i) => {
    heldFor += 1;
    if (values.has(first + i)) [held, heldFor] = [values.get(first + i), 0];
    return heldFor * STEP_MS > STALE_MS ? null : held;
  });
}

function drawLine({ tile }, points) {
  const recent = points.slice(-LINE_STEPS);
  const known = recent.filter((value) => value !== null);
  const low = Math.min(...known);
  const span = Math.max(...known) - low || 1;
  const path = recent.map((value, i) => value !== null
    && `${i > 0 && recent[i - 1] !== null ? 'L' : 'M'}${i} ${(30 - 28 * (value - low) / span).toFixed(1)}h0`);
  tile.querySelector('path').setAttribute('d', path.filter(Boolean).join(''));
}

const minutes = Array.from({ length: STEPS }, (_, i) => (i + 1 - STEPS) * STEP_MS / 60000);
let plot = null;
let plotted = '';

/** Each unit has a scale of its own, and the first two an axis. */
function makePlot(names) {
  if (plot) plot.destroy();
  const units = [...new Set([...sensors.values()].map(({ unit }) => unit))];
  const scaleOf = (unit) => `unit ${unit}`;
  const soft = () => getComputedStyle(element('plot')).color;
  const axis = (about) => ({ stroke: soft, grid: { stroke: '#8884', width: 1 }, ticks: { show: false }, ...about });
  plot = new uPlot({
    width: element('plot').clientWidth,
    height: 240,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: [minutes[0], 0] } },
    axes: [
      axis({ size: 30, values: (_, ticks) => ticks.map((tick) => (tick ? `${tick} min` : 'now')) }),
      ...units.slice(0, 2).map((unit, i) => axis({ scale: scaleOf(unit), side: i ? 1 : 3, size: 48, label: unit, labelSize: 18, ...(i && { grid: { show: false } }) })),
    ],
    series: [{}, ...names.map((name) => {
      const { unit, colour } = sensors.get(name);
      return { scale: scaleOf(unit), stroke: colour, width: 2, points: { show: false } };
    })],
  }, null, element('plot'));
}

/** Once a second: ages, lines, and the plot. */
function tick() {
  if (document.hidden) return;
  const hourAgo = Date.now() - STEPS * STEP_MS;
  sensors.forEach(({ at }, name) => { if (at < hourAgo) remove(name); });
  drawHint();
  const names = [...sensors.keys()];
  const columns = [...sensors.values()].map((sensor) => {
    const points = column(sensor);
    drawTile(sensor);
    drawLine(sensor, points);
    return points;
  });
  const wanted = JSON.stringify([element('plot').clientWidth, [...sensors].map(([name, { unit }]) => [name, unit])]);
  if (wanted !== plotted) makePlot(names);
  plotted = wanted;
  plot.setData([minutes, ...columns]);
}

element('command').textContent = `curl -d 'temperature 21.5 °C' ${location.origin}${CHANNEL}`;
listen({
  channel: CHANNEL,
  history: 20000,
  code: location.hash.replace(/^#(code=)?/, ''),
  onMessage,
  onStart: () => [...sensors.keys()].forEach(remove),
  onState(name, sentence) {
    document.body.dataset.state = name;
    element('status').textContent = sentence;
    draw();
  },
});
window.addEventListener('hashchange', () => location.reload());
setInterval(tick, 1000);
tick();
