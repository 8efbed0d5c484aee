// The drawing of a lab: nodes, links, threads and queues; requests move along links. Python works out what is shown
// (player.py); this draws it, tells what was clicked or typed, and answers each frame, so that no more come than it can draw.
const SVG = "http://www.w3.org/2000/svg";
const LEG_MS = 650; // from one node to the next
const MOST_DOTS = 150;
const MOST_LINES = 200;
const MOST_DEPTHS = 300; // of the queue over time, one for each frame
const MOST_CELLS = 40;
const QUEUE_CELLS = 30;
const QUIET_MS = 1500; // links without told moves for so long show their rate as dots
const MARKS = { running: "●", exited: "○", killed: "✕", failed: "✕", paused: "‖" };
const COUNTERS = ["received", "forwarded", "queued", "dequeued", "dropped", "completions"];

export default {
  template: `
  <div class="nl-lab">
    <div class="nl-stage">
      <svg ref="svg" class="nl-svg" :viewBox="view" role="group" :aria-label="'the lab ' + lab.name"
           @wheel.prevent="wheel" @pointerdown="grab" @pointermove="drag" @pointerup="drop" @pointerleave="drop">
        <g>
          <g v-for="(link, at) in lab.links" :key="link.id" class="nl-link" :class="linkClass(link)" tabindex="0"
             role="button" :aria-label="linkLabel(link)" @click="pick('link', link.id)" @keydown.enter="pick('link', link.id)">
            <title>{{ linkLabel(link) }}</title>
            <path :d="curve(link)" class="nl-hit" /><path :d="curve(link)" class="nl-line" />
            <text v-if="!lab.compact || zoom > 1.2" class="nl-rate" :x="mid(link).x" :y="mid(link).y - 5">{{ rateText(link) }}</text>
          </g>
        </g>
        <g ref="dots" class="nl-dots" aria-hidden="true"></g>
        <g v-for="node in lab.nodes" :key="node.name" class="nl-node" :class="nodeClass(node)" tabindex="0" role="button"
           :data-node="node.name" :aria-label="nodeLabel(node)" :transform="'translate(' + node.x + ' ' + node.y + ')'"
           @click="pick('node', node.name)" @keydown.enter="pick('node', node.name)" @keydown="move($event, node)">
          <title>{{ nodeLabel(node) }}</title>
          <rect class="nl-box" :x="-lab.box.w / 2" :y="-lab.box.h / 2" :width="lab.box.w" :height="lab.box.h"
                :rx="node.kind === 'switch' ? lab.box.h / 2 : 7" />
          <text class="nl-name" :y="node.about && !lab.compact ? -3 : 5">{{ cut(node.name, lab.compact ? 11 : 17) }}</text>
          <text v-if="node.about && !lab.compact" class="nl-about" y="14">{{ cut(node.about, 24) }}</text>
          <text v-if="mark(node)" class="nl-mark" :class="'nl-' + worst(node)" :x="-lab.box.w / 2 + 9" :y="-lab.box.h / 2 + 12">{{ mark(node) }}</text>
          <g v-if="cells(node)" class="nl-cells" :data-used="cells(node).used" :data-capacity="cells(node).all">
            <rect v-for="cell in cells(node).shown" :x="cell.x" :y="cell.y" width="11" height="11" rx="2" :class="cell.used ? 'nl-used' : 'nl-free'" />
            <text v-if="cells(node).text" class="nl-small" :y="lab.box.h / 2 + 14">{{ cells(node).text }}</text>
          </g>
          <g v-if="queue(node)" class="nl-queue" :data-depth="queue(node).depth">
            <rect v-for="cell in queue(node).shown" :x="cell.x" :y="cell.y" width="9" height="9" rx="4.5" class="nl-waits" />
            <text class="nl-small" :y="lab.box.h / 2 + 14">{{ queue(node).depth }} waiting</text>
          </g>
        </g>
      </svg>
      <div class="nl-tools">
        <button @click="scale(1.25)" aria-label="larger" title="larger (+)">+</button>
        <button @click="scale(0.8)" aria-label="smaller" title="smaller (−)">−</button>
        <button @click="fit" aria-label="the whole lab" title="the whole lab (f)">⤢</button>
      </div>
      <div class="nl-legend" aria-hidden="true">
        <span><i class="nl-key nl-request"></i>request</span><span><i class="nl-key nl-queued"></i>into the queue</span>
        <span><i class="nl-key nl-dequeued"></i>out of the queue</span><span><i class="nl-key nl-completion"></i>completion</span>
        <span><i class="nl-key nl-dropped"></i>dropped</span><span><i class="nl-key nl-flow"></i>other packets, by rate</span>
      </div>
      <table v-for="(b, key) in state.balancers" class="nl-counts" :key="key" :data-balancer="key">
        <caption>{{ key }}</caption>
        <tr v-for="name in names(b)"><th>{{ name }}</th><td :data-counter="name">{{ number(b.counters[name] || 0) }}</td></tr>
        <tr><th>waiting</th><td data-counter="queue_depth">{{ number(b.depth) }}</td></tr>
        <tr v-if="depths[key]"><td colspan="2"><svg class="nl-depths" viewBox="0 0 300 40" preserveAspectRatio="none" role="img"
          :data-most="Math.max(...depths[key])" :aria-label="'waiting in the last half minute: at most ' + Math.max(...depths[key])">
          <polyline :points="depthPoints(depths[key])" /></svg></td></tr>
        <tr><th>free threads</th><td data-counter="free">{{ number(sum(b.free)) }} of {{ number(sum(b.capacity)) }}</td></tr>
      </table>
      <table v-for="(counts, key) in plain" class="nl-counts" :key="'r' + key" :data-program="key">
        <caption>{{ key }}</caption>
        <tr v-for="(n, name) in counts"><th>{{ name }}</th><td :data-counter="name">{{ number(n) }}</td></tr>
      </table>
    </div>
    <div class="nl-bar" role="toolbar" aria-label="time">
      <button @click="$emit('toggle')" class="nl-play" :aria-label="playing ? 'pause' : 'play'" :title="playing ? 'pause (space)' : 'play (space)'">{{ playing ? "❚❚" : "▶" }}</button>
      <input type="range" min="0" max="1000" step="1" :value="Math.round(share * 1000)" @input="seek" aria-label="time" class="nl-slider" :aria-valuetext="clock" />
      <span class="nl-clock">{{ clock }}</span>
      <select aria-label="speed" :value="speed" @change="$emit('speed', Number($event.target.value))">
        <option v-for="s in lab.speeds" :value="s">{{ s }}×</option>
      </select>
      <button v-if="lab.live" @click="$emit('live')" class="nl-live" :class="{ 'nl-on': live }" :aria-pressed="live" title="what happens now (l)">live</button>
    </div>
    <div class="nl-lines" role="log" aria-label="what has happened" tabindex="0">
      <div v-for="line in lines" :class="'nl-of-' + line.stream"><b>{{ line.time }}</b> <i>{{ line.who }}</i> {{ line.text }}</div>
    </div>
  </div>`,
  props: { lab: Object },
  emits: ["pick", "toggle", "seek", "speed", "live", "shown", "help", "close", "dark"],
  data() {
    return { state: { balancers: {}, reasons: {}, rates: {}, processes: {}, links: {} }, lines: [], depths: {}, share: 1, clock: "", live: false,
             playing: false, speed: 1, box: null, busy: {}, picked: "" };
  },
  created() {
    this.dots = []; this.told = {}; this.debt = {}; this.grabbed = null; this.ticking = false;
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  },
  mounted() {
    this.fit();
    window.addEventListener("keydown", this.typed);
  },
  unmounted() { window.removeEventListener("keydown", this.typed); },
  watch: { "lab.version"() { this.ways = null; this.fit(); } },
  computed: {
    view() { const b = this.box || this.whole(); return `${b.x} ${b.y} ${b.w} ${b.h}`; },
    zoom() { return this.box ? this.whole().w / this.box.w : 1; },
    byName() { return Object.fromEntries(this.lab.nodes.map((node) => [node.name, node])); },
    byEnd() { return Object.fromEntries(this.lab.links.flatMap((link) => [[link.a + ":" + link.ai, link], [link.b + ":" + link.bi, link]])); },
    balancerOf() { return Object.fromEntries(Object.entries(this.state.balancers).map(([key, b]) => [key.split("/")[0], b])); },
    plain() { return Object.fromEntries(Object.entries(this.state.reasons).filter(([key, c]) => !(key in this.state.balancers) && Object.keys(c).length)); },
    threads() {
      const found = {};
      for (const b of Object.values(this.state.balancers))
        for (const [name, all] of Object.entries(b.capacity)) found[name] = { all, used: Math.max(0, all - (b.free[name] ?? all)) };
      return found;
    },
  },
  methods: {
    // ---- what comes from Python
    frame(f) {
      for (const [key, value] of Object.entries(f.state)) this.state[key] = value;
      this.share = f.share; this.clock = f.clock; this.live = f.live; this.playing = f.playing; this.speed = f.speed;
      if (f.fresh) { this.lines = []; this.depths = {}; this.clear(); }
      if (f.playing) for (const [key, b] of Object.entries(this.state.balancers)) this.depths[key] = [...(this.depths[key] || []), b.depth].slice(-MOST_DEPTHS);
      if (f.lines.length) {
        if (f.more) f.lines.unshift({ time: "", who: "", stream: "sum", text: `… and ${f.more.toLocaleString("en")} lines more` });
        this.lines = [...f.lines.reverse(), ...this.lines].slice(0, MOST_LINES);
      }
      const now = performance.now();
      for (const each of f.moves) this.start(each, now);
      if (f.playing) this.flows(f.passed_ms, now);
      this.$emit("shown", f.number);
    },
    // ---- what moves
    start(each, now) {
      const stops = this.stops(each.way);
      for (let at = 1; at < stops.length; at++) this.told[this.pair(stops[at - 1], stops[at])] = now;
      if (this.calm.matches || document.hidden || this.dots.length >= MOST_DOTS || !stops.length) return;
      const points = stops.map((name) => ({ x: this.byName[name].x, y: this.byName[name].y }));
      const below = { dx: 0, dy: this.lab.box.h / 2 + 22 };
      if (each.kind === "queued") points.push({ x: points.at(-1).x + below.dx, y: points.at(-1).y + below.dy });
      if (each.kind === "dequeued") points.unshift({ x: points[0].x + below.dx, y: points[0].y + below.dy });
      const label = each.number > 1 ? "×" + each.number.toLocaleString("en") : each.label ? (/^\d+$/.test(each.label) ? "#" + each.label : each.label) : "";
      this.dot(points, each.kind, label, now + each.after_ms, each.number);
    },
    dot(points, kind, label, begins, count) {
      const group = document.createElementNS(SVG, "g");
      group.setAttribute("class", "nl-dot nl-" + kind);
      const r = kind === "flow" ? 3 : Math.min(16, 6 + 2.2 * Math.log2(count));
      const shape = document.createElementNS(SVG, kind === "dequeued" ? "rect" : kind === "dropped" ? "path" : "circle");
      if (kind === "dequeued") { for (const [k, v] of Object.entries({ x: -r, y: -r, width: 2 * r, height: 2 * r, transform: "rotate(45) scale(.8)" })) shape.setAttribute(k, v); }
      else if (kind === "dropped") shape.setAttribute("d", `M${-r} ${-r}L${r} ${r}M${-r} ${r}L${r} ${-r}`);
      else shape.setAttribute("r", kind === "completion" ? r * 0.7 : r);
      group.append(shape);
      if (label && !this.lab.compact) {
        const text = document.createElementNS(SVG, "text");
        text.setAttribute("y", -r - 3); text.textContent = this.cut(label, 10); group.append(text);
      }
      group.style.display = "none";
      this.$refs.dots.append(group);
      this.dots.push({ group, points, begins, ends: begins + LEG_MS * Math.max(1, points.length - 1), kind });
      if (!this.ticking) { this.ticking = true; requestAnimationFrame(this.tick); }
    },
    tick(now) {
      this.dots = this.dots.filter((dot) => {
        if (now >= dot.ends) { dot.group.remove(); return false; }
        if (now < dot.begins) return true;
        const legs = dot.points.length - 1;
        const along = ((now - dot.begins) / (dot.ends - dot.begins)) * Math.max(1, legs);
        const leg = Math.min(Math.floor(along), Math.max(0, legs - 1));
        const p = dot.points[leg], q = dot.points[Math.min(leg + 1, legs)], part = along - leg;
        dot.group.setAttribute("transform", `translate(${p.x + (q.x - p.x) * part} ${p.y + (q.y - p.y) * part})`);
        dot.group.style.display = "";
        if (dot.kind === "dropped") dot.group.style.opacity = Math.min(1, 2 * (1 - (now - dot.begins) / (dot.ends - dot.begins)) + 0.2);
        return true;
      });
      if (this.dots.length) requestAnimationFrame(this.tick); else this.ticking = false;
    },
    clear() { for (const dot of this.dots) dot.group.remove(); this.dots = []; },
    flows(passed, now) {
      if (this.calm.matches || document.hidden) return;
      for (const [end, rate] of Object.entries(this.state.rates)) {
        const link = this.byEnd[end];
        if (!link || rate[0] <= 0 || now - (this.told[this.pair(link.a, link.b)] || 0) < QUIET_MS) continue;
        const debt = (this.debt[end] || Math.random()) + (Math.min(6, 0.5 + 1.5 * Math.log10(1 + rate[0])) * passed) / 1000;
        this.debt[end] = debt % 1;
        if (debt < 1 || this.dots.length >= MOST_DOTS) continue;
        const out = end === link.a + ":" + link.ai, from = this.byName[out ? link.a : link.b], to = this.byName[out ? link.b : link.a];
        this.dot([from, to], "flow", "", now, 1);
      }
    },
    stops(way) {
      // A way may name nodes that are no neighbours: what lies between is the shortest way.
      const known = way.filter((name) => name in this.byName);
      const found = known.slice(0, 1);
      for (const name of known.slice(1)) found.push(...this.between(found.at(-1), name));
      return found;
    },
    between(from, to) {
      if (!this.ways || this.ways.version !== this.lab.version) {
        const next = {};
        for (const link of this.lab.links) { (next[link.a] ||= []).push(link.b); (next[link.b] ||= []).push(link.a); }
        this.ways = { version: this.lab.version, next, known: {} };
      }
      const key = from + " " + to;
      if (!(key in this.ways.known)) {
        const came = { [from]: null }, todo = [from];
        while (todo.length && !(to in came)) { const at = todo.shift(); for (const n of this.ways.next[at] || []) if (!(n in came)) { came[n] = at; todo.push(n); } }
        const path = [];
        for (let at = to; at in came && at !== from; at = came[at]) path.unshift(at);
        this.ways.known[key] = path.length ? path : [to];
      }
      return this.ways.known[key];
    },
    pair(a, b) { return a < b ? a + " " + b : b + " " + a; },
    // ---- texts and forms
    cut(text, most) { return text.length > most ? text.slice(0, most - 1) + "…" : text; },
    number(n) { return n.toLocaleString("en"); },
    sum(of) { return Object.values(of).reduce((a, b) => a + b, 0); },
    names(b) { return [...COUNTERS, ...Object.keys(b.counters).filter((name) => !COUNTERS.includes(name) && b.counters[name])]; },
    states(node) { return node.processes.map((key) => this.state.processes[key]).filter(Boolean); },
    worst(node) { const s = this.states(node); return ["failed", "killed", "paused", "exited", "running"].find((each) => s.includes(each)) || ""; },
    mark(node) { return MARKS[this.worst(node)] || ""; },
    nodeClass(node) { return ["nl-" + node.kind, { "nl-program": node.programs.length, "nl-picked": this.picked === "node " + node.name }]; },
    nodeLabel(node) {
      const c = this.threads[node.name], b = this.balancerOf[node.name];
      return [node.name, node.about, this.worst(node), c ? `${c.used} of ${c.all} threads work` : "", b ? `${b.depth} requests wait` : ""].filter(Boolean).join(", ");
    },
    cells(node) {
      const c = this.threads[node.name];
      if (!c) return null;
      if (c.all > MOST_CELLS) return { ...c, shown: [], text: `${c.used} of ${c.all} threads` };
      const row = Math.min(c.all, 10), left = -(row * 14 - 3) / 2, top = this.lab.box.h / 2 + 5;
      return { ...c, text: "", shown: Array.from({ length: c.all }, (_, at) => ({ x: left + (at % 10) * 14, y: top + Math.floor(at / 10) * 14, used: at < c.used })) };
    },
    queue(node) {
      const b = this.balancerOf[node.name];
      if (!b) return null;
      const n = Math.min(b.depth, QUEUE_CELLS), row = Math.min(n, 10), left = -(row * 12 - 3) / 2, top = this.lab.box.h / 2 + 19;
      return { depth: b.depth, shown: Array.from({ length: n }, (_, at) => ({ x: left + (at % 10) * 12, y: top + Math.floor(at / 10) * 12 })) };
    },
    depthPoints(depths) {
      const most = Math.max(1, ...depths);
      return depths.map((depth, at) => `${MOST_DEPTHS - depths.length + at},${39 - (38 * depth) / most}`).join(" ");
    },
    isDown(link) { return ["a", "b"].some((end) => ["down", "gone"].includes(this.state.links[link[end] + ":" + link[end + "i"]])); },
    linkClass(link) { return { "nl-down": this.isDown(link), "nl-impaired": link.impaired, "nl-picked": this.picked === "link " + link.id }; },
    rates(link) { return [this.state.rates[link.a + ":" + link.ai], this.state.rates[link.b + ":" + link.bi]]; },
    rateText(link) {
      if (this.isDown(link)) return "down";
      const total = this.rates(link).reduce((all, rate) => all + (rate ? rate[0] : 0), 0);
      return total >= 0.5 ? `${this.number(Math.round(total))}/s` : link.impaired ? link.impaired : "";
    },
    linkLabel(link) {
      const [a, b] = this.rates(link);
      const said = [`link ${link.a} – ${link.b}`, this.isDown(link) ? "down" : "", link.impaired];
      if (a) said.push(`${link.a} sends ${this.number(Math.round(a[0]))} packets/s`);
      if (b) said.push(`${link.b} sends ${this.number(Math.round(b[0]))} packets/s`);
      return said.filter(Boolean).join(", ");
    },
    curve(link) {
      const p = this.byName[link.a], q = this.byName[link.b];
      if (!link.bend) return `M${p.x} ${p.y}L${q.x} ${q.y}`;
      const m = this.mid(link, 2);
      return `M${p.x} ${p.y}Q${m.x} ${m.y} ${q.x} ${q.y}`;
    },
    mid(link, far = 1) {
      const p = this.byName[link.a], q = this.byName[link.b], d = Math.hypot(q.x - p.x, q.y - p.y) || 1;
      const by = (link.bend * 26 * far) / d;
      return { x: (p.x + q.x) / 2 - (q.y - p.y) * by, y: (p.y + q.y) / 2 + (q.x - p.x) * by };
    },
    // ---- where one looks
    whole() { return { x: -10, y: -10, w: this.lab.width + 20, h: this.lab.height + 20 }; },
    fit() { this.box = this.whole(); },
    scale(by, at) {
      const b = this.box, centre = at || { x: b.x + b.w / 2, y: b.y + b.h / 2 };
      const w = Math.min(this.whole().w * 2, Math.max(120, b.w / by)), f = w / b.w;
      this.box = { x: centre.x - (centre.x - b.x) * f, y: centre.y - (centre.y - b.y) * f, w, h: b.h * f };
    },
    point(event) {
      const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.$refs.svg.getScreenCTM().inverse());
      return { x: p.x, y: p.y };
    },
    wheel(event) { this.scale(event.deltaY < 0 ? 1.15 : 1 / 1.15, this.point(event)); },
    grab(event) { this.grabbed = this.point(event); },
    drag(event) {
      if (!this.grabbed || !event.buttons) return;
      const p = this.point(event);
      this.box = { ...this.box, x: this.box.x + this.grabbed.x - p.x, y: this.box.y + this.grabbed.y - p.y };
    },
    drop() { this.grabbed = null; },
    seek(event) { this.$emit("seek", Number(event.target.value) / 1000); },
    pick(kind, name) { this.picked = kind + " " + name; this.$emit("pick", { kind, name }); },
    unpick() { this.picked = ""; },
    move(event, node) {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!way) return;
      event.preventDefault();
      let best = null, least = Infinity;
      for (const other of this.lab.nodes) {
        const dx = other.x - node.x, dy = other.y - node.y, along = dx * way[0] + dy * way[1];
        if (other === node || along <= 0) continue;
        const far = along + 2 * Math.abs(dx * way[1] + dy * way[0]);
        if (far < least) { least = far; best = other; }
      }
      if (best) this.$refs.svg.querySelector(`[data-node="${CSS.escape(best.name)}"]`).focus();
    },
    typed(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT|BUTTON)$/.test(event.target.tagName) && event.key !== "Escape") return;
      const does = { " ": () => this.$emit("toggle"), l: () => this.lab.live && this.$emit("live"), f: () => this.fit(), "+": () => this.scale(1.25), "-": () => this.scale(0.8),
                     "?": () => this.$emit("help"), d: () => this.$emit("dark"), Escape: () => this.$emit("close"),
                     "[": () => this.$emit("seek", Math.max(0, this.share - 0.02)), "]": () => this.$emit("seek", Math.min(1, this.share + 0.02)) }[event.key];
      if (does) { event.preventDefault(); does(); }
    },
  },
};
