/* The map of all pages: a globe with cells, places, radii, a route, drawn by MapLibre GL, or on a canvas where there is
 * no WebGL. The page loads maplibre-gl.js, topojson-client.min.js, cells.js, layers.js, marks.js, canvas.js,
 * webgl.js, globe.js, answer.js and globe.css (in this order), and says where the outlines are:
 *
 *   OpenPlaNet.outlines = fetch("countries-50m.json").then((answer) => answer.json());   // or none: no land
 *   const map = OpenPlaNet.globe(element, description, {click: ([lng, lat]) => ...});
 *   map.update(description);   map.mark({lat, lng});   map.remove();
 *
 * ``element`` is filled with a <figure>; the engine starts when it comes into view, at most OpenPlaNet.mostAlive at a time.
 * Options: ``click`` is called with a position. ``wheel``: a plain wheel zooms (else with Ctrl, so that pages scroll).
 *
 * The description is JSON; every field but ``label`` may be missing:
 *   label     what a screen reader says
 *   turn      [w, x, y, z] of a partition of a turned sphere
 *   cells     {ids: base64 of little-endian uint64, values: base64 of float32, colour, what, unit, titles: [text],
 *             regions: [0.9, 0.5], held: base64 of uint8}
 *             colour: "mass" (values are probabilities: contours of the smallest area that holds 25 to 99 %),
 *             "density" (values per km², logarithmic), "log" or "value" (the values themselves)
 *             held: of each cell in how many of ``regions``, from the widest on, it lies: their borders are drawn
 *             also: [{values, colour, what, unit}]: other colourings, chosen below the map
 *   best      {lat, lng, title, radii: [{share, km}]}: a point with circles
 *   places    [{rank, name, probability, lat, lng}]: numbered marks
 *   truth     {lat, lng, title}
 *   route     [{lat, lng, title, time, given, truth: {lat, lng}, alone: {lat, lng}}] in order of capture: a line with a
 *             scrubber; ``given`` a ring; ``alone`` where the photo is placed by itself, shown on demand
 *   points    [{lat, lng, title, colour, radius, far}]: discs; ``far`` ones do not widen the first view
 *   keys      [{colour, text}]: what the colours of points mean
 *   lines     [{from: {lat, lng}, to: {lat, lng}, title, colour, width, opacity}]
 *   labels    [{name, lat, lng}]: names on the map
 *   view      {lat, lng, degrees}: the first view; else all that matters
 *   views     [{name, lat, lng, degrees, flat}]: buttons below the map
 *   flat      true: not a globe at first. Else it is flat where the likely places do not fit on one side of a globe.
 * All texts are hostile: they are set by textContent alone, and colours are only ever those of this project.
 */
(function (root) {
  "use strict";
  const OpenPlaNet = (root.OpenPlaNet = root.OpenPlaNet || {});
  OpenPlaNet.mostAlive = 6; // browsers give about 16 WebGL contexts to a page
  const INSET_UNTIL = 12; // degrees: a first view of less shows in a corner where on the Earth it is
  const dark = root.matchMedia ? root.matchMedia("(prefers-color-scheme: dark)") : { matches: false, addEventListener() {} };
  const shown = (OpenPlaNet.shown = []); // all maps of the page
  const alive = []; // maps with an engine, the one seen last at the end

  function make(tag, name, text) {
    const found = document.createElement(tag);
    if (name) found.className = name;
    if (text !== undefined) found.textContent = text;
    return found;
  }

  /** A map in ``element``; see the top of this file. */
  function globe(element, description, options) {
    const asked = options || {};
    const state = {
      description, view: OpenPlaNet.firstView(description), step: undefined, choice: 0, marks: [], pin: null,
      engine: null, inset: null, waiting: false,
    };
    const figure = make("figure", "op-map");
    figure.setAttribute("aria-label", description.label || "Map");
    const frame = make("div", "op-frame"), canvas = make("div", "op-canvas"), over = make("div", "op-marks");
    const tip = make("div", "op-tip");
    tip.setAttribute("role", "status");
    const legend = make("figcaption", "op-legend");
    const scrub = make("div", "op-scrub"), choices = make("div", "op-choices");
    const inset = make("div", "op-inset");
    frame.append(canvas, inset, over, buttons(), tip);
    figure.append(frame, choices, scrub, legend);
    element.replaceChildren(figure);

    function buttons() {
      const bar = make("div", "op-buttons");
      const add = (sign, name, act) => {
        const button = make("button", "", sign);
        button.type = "button";
        button.title = name;
        button.setAttribute("aria-label", name);
        button.addEventListener("click", () => state.engine && act(button));
        bar.append(button);
        return button;
      };
      add("+", "Zoom in", () => state.engine.zoom(1));
      add("−", "Zoom out", () => state.engine.zoom(-1));
      add("⌂", "First view", () => look(OpenPlaNet.firstView(state.description)));
      const kind = add("◯", "Globe or flat map", () => look({ ...state.view, flat: !state.view.flat }));
      kind.classList.add("op-kind");
      return bar;
    }

    function look(view) {
      state.view = view;
      figure.classList.toggle("op-flat", Boolean(view.flat));
      if (state.engine) state.engine.look(view);
    }

    function drawn() {
      return OpenPlaNet.layers(state.description, dark.matches, state.step, state.choice);
    }

    function redraw() {
      const now = drawn();
      OpenPlaNet.legend(legend, now.legend);
      state.marks = OpenPlaNet.marks(over, state.pin ? [...now.marks, { kind: "pin", at: [state.pin.lng, state.pin.lat], title: "your guess" }] : now.marks, say);
      if (state.engine) state.engine.draw(now);
      place();
    }

    function place() {
      if (state.engine) OpenPlaNet.placeMarks(state.marks, state.engine.project, frame.clientWidth, frame.clientHeight);
    }

    function say(text, at) {
      tip.textContent = text;
      tip.classList.toggle("op-shown", Boolean(text));
      if (text && at) {
        tip.style.left = `${Math.min(at.x + 12, Math.max(frame.clientWidth - 230, 4))}px`;
        tip.style.top = `${Math.min(at.y + 12, frame.clientHeight - 40)}px`;
      }
    }

    async function start() {
      if (state.engine || state.waiting || state.removed) return;
      state.waiting = true;
      const outline = await OpenPlaNet.outline();
      state.waiting = false;
      if (state.removed || state.engine) return;
      const calls = {
        drawn: drawn(), flat: Boolean(state.view.flat), label: state.description.label || "Map", wheel: asked.wheel,
        changed: place, settled: () => { figure.dataset.drawn = ""; },
        clicked: (at) => asked.click && asked.click([((((at[0] + 180) % 360) + 360) % 360) - 180, at[1]]), pointed: say,
      };
      const begin = OpenPlaNet.hasWebgl() ? OpenPlaNet.webglEngine : OpenPlaNet.canvasEngine;
      state.engine = begin(canvas, outline, calls);
      figure.dataset.engine = state.engine.kind;
      alive.push(handle);
      if (alive.length > OpenPlaNet.mostAlive) alive.shift().rest();
      redraw();
      look(state.view);
      overview(outline);
    }

    /** A small globe in the corner of a close view. */
    function overview(outline) {
      if (state.inset) state.inset.remove();
      state.inset = null;
      const { lng, lat, degrees } = OpenPlaNet.firstView(state.description);
      if (degrees > INSET_UNTIL || !outline) return;
      const nothing = { changed() {}, settled() {}, clicked() {}, label: "" };
      state.inset = OpenPlaNet.canvasEngine(inset, outline, nothing, false);
      const dot = { geometry: { coordinates: [lng, lat] }, properties: { colour: OpenPlaNet.colours.BEST, radius: 4, edge: "#fff", ring: 1.5 } };
      state.inset.look({ lng, lat: lat * 0.8, degrees: 90, flat: false });
      state.inset.draw({ theme: drawn().theme, cells: [], borders: [], circles: [], lines: [], points: [dot] });
    }

    const watch = new IntersectionObserver((seen) => {
      if (seen.some((each) => each.isIntersecting)) start();
    }, { rootMargin: "150px" });
    watch.observe(frame);
    const themed = () => {
      redraw();
      if (state.inset) OpenPlaNet.outline().then(overview);
    };
    dark.addEventListener("change", themed);

    const handle = {
      element: figure,
      get engine() { return state.engine; },
      get view() { return state.view; },
      /** Another description in the same place; looks where it asks to, unless ``stay``. */
      update(next, stay) {
        state.description = next;
        state.step = undefined;
        figure.setAttribute("aria-label", next.label || "Map");
        state.choice = 0;
        controls();
        redraw();
        if (!stay) look(OpenPlaNet.firstView(next));
        if (state.engine) OpenPlaNet.outline().then(overview);
      },
      /** A pin, such as a guess; null takes it away. */
      mark(at) { state.pin = at; redraw(); },
      look,
      /** What lies in the middle of the picture: {lat, lng}. */
      middle() {
        const { lat, lng } = state.engine ? state.engine.middle() : state.view;
        return { lat, lng: ((((lng + 180) % 360) + 360) % 360) - 180 };
      },
      /** Gives the WebGL context back; it starts again when it is seen again. */
      rest() {
        if (state.engine) state.engine.remove();
        if (state.inset) state.inset.remove();
        state.engine = state.inset = null;
        const at = alive.indexOf(handle);
        if (at >= 0) alive.splice(at, 1);
        watch.unobserve(frame);
        watch.observe(frame);
      },
      remove() {
        state.removed = true;
        watch.disconnect();
        dark.removeEventListener("change", themed);
        handle.rest();
        watch.disconnect();
        shown.splice(shown.indexOf(handle), 1);
        element.replaceChildren();
      },
    };

    function controls() {
      OpenPlaNet.scrubber(scrub, state.description, go);
      OpenPlaNet.choices(choices, state.description, look, (choice) => {
        state.choice = choice;
        redraw();
      });
    }

    function go(step, description) {
      state.step = step;
      if (description) state.description = description;
      redraw();
    }

    figure.classList.toggle("op-flat", Boolean(state.view.flat));
    controls();
    redraw();
    shown.push(handle);
    return handle;
  }

  /** Shows all maps of a page: elements of class op-globe that hold their description as JSON in a script. */
  function showAll(within) {
    for (const element of (within || document).querySelectorAll(".op-globe")) {
      const script = element.querySelector('script[type="application/json"]');
      if (script) globe(element, JSON.parse(script.textContent));
    }
  }

  Object.assign(OpenPlaNet, { globe, showAll });
})(window);
