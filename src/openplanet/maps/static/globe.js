/* The map of all pages: a globe with cells, places, radii, a route, drawn by MapLibre GL, or on a canvas where there is
 * no WebGL. The page loads maplibre-gl.js, topojson-client.min.js, cells.js, layers.js, canvas.js, globe.js and
 * globe.css (in this order), and says where the outlines are:
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
  const COARSE = [7.5, 9.5]; // zooms between which the outlines, of 1:50m, fade: they would be kilometres off
  const HORIZON = 80; // degrees from the middle of a globe, beyond which marks are hidden
  const dark = root.matchMedia ? root.matchMedia("(prefers-color-scheme: dark)") : { matches: false, addEventListener() {} };
  const shown = (OpenPlaNet.shown = []); // all maps of the page
  const alive = []; // maps with an engine, the one seen last at the end

  function make(tag, name, text) {
    const found = document.createElement(tag);
    if (name) found.className = name;
    if (text !== undefined) found.textContent = text;
    return found;
  }

  let land = null;
  /** Land, coasts and borders as GeoJSON, once for all maps; null where the page has none. */
  function outlines() {
    if (!land) {
      land = Promise.resolve(OpenPlaNet.outlines).then((topology) => {
        const { countries } = topology.objects;
        const line = (filter) => {
          const { coordinates } = root.topojson.mesh(topology, countries, filter);
          return { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: coordinates.flatMap(withoutSeams) } };
        };
        const land = root.topojson.feature(topology, countries);
        for (const { geometry } of land.features) {
          const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
          for (const rings of polygons) rings.forEach((ring, k) => { rings[k] = OpenPlaNet.cells.closed(ring.slice(0, -1)); });
        }
        return { land, borders: line((a, b) => a !== b), coast: line((a, b) => a === b) };
      }).catch(() => null);
    }
    return land;
  }

  /** A coast without the edges along which Natural Earth cuts the world: the antimeridian and the South Pole. */
  function withoutSeams(line) {
    const atSeam = ([lng, lat]) => Math.abs(lng) > 179.98 || lat < -89.9;
    const parts = [[]];
    OpenPlaNet.cells.unwrapped(line).forEach((point, k) => {
      if (k && atSeam(line[k]) && atSeam(line[k - 1])) parts.push([]);
      parts[parts.length - 1].push(point);
    });
    return parts.filter((part) => part.length > 1);
  }

  let webgl;
  function hasWebgl() {
    if (webgl === undefined) {
      try {
        const context = document.createElement("canvas").getContext("webgl2");
        webgl = Boolean(root.maplibregl && context);
        if (context) context.getExtension("WEBGL_lose_context")?.loseContext();
      } catch {
        webgl = false;
      }
    }
    return webgl;
  }

  const empty = { type: "FeatureCollection", features: [] };
  const collection = (features) => ({ type: "FeatureCollection", features });

  function fading(from, to) {
    return ["interpolate", ["linear"], ["zoom"], COARSE[0], from, COARSE[1], to];
  }

  function style(drawn, outline) {
    const { theme } = drawn;
    const line = (id, source, paint) => ({ id, type: "line", source, layout: { "line-join": "round" }, paint });
    const own = { "line-color": ["get", "colour"], "line-width": ["get", "width"], "line-opacity": ["coalesce", ["get", "opacity"], 1] };
    const data = (value) => ({ type: "geojson", data: value, tolerance: 0.2 });
    return {
      version: 8,
      projection: { type: "globe" },
      sources: {
        land: data(outline ? outline.land : empty), frontiers: data(outline ? outline.borders : empty), coast: data(outline ? outline.coast : empty),
        cells: data(collection(drawn.cells)), borders: data(collection(drawn.borders)),
        circles: data(collection(drawn.circles)), lines: data(collection(drawn.lines)), points: data(collection(drawn.points)),
      },
      layers: [
        { id: "water", type: "background", paint: { "background-color": fading(theme.water, theme.land) } },
        { id: "land", type: "fill", source: "land", paint: { "fill-color": theme.land, "fill-antialias": false } },
        { id: "cells", type: "fill", source: "cells", paint: { "fill-color": ["get", "colour"], "fill-opacity": theme.opacity } },
        line("frontiers", "frontiers", { "line-color": theme.border, "line-width": 0.7 }),
        line("coast", "coast", { "line-color": theme.coast, "line-width": 0.8, "line-opacity": fading(1, 0.35) }),
        line("borders", "borders", own),
        { ...line("circles", "circles", own), filter: ["!", ["get", "dash"]] },
        { ...line("dashed", "circles", { ...own, "line-dasharray": [4, 3] }), filter: ["get", "dash"] },
        line("lines", "lines", own),
        { id: "points", type: "circle", source: "points", paint: {
          "circle-radius": ["get", "radius"], "circle-color": ["get", "colour"], "circle-stroke-color": ["get", "edge"],
          "circle-stroke-width": ["get", "ring"], "circle-opacity": ["coalesce", ["get", "opacity"], 1], "circle-stroke-opacity": ["coalesce", ["get", "opacity"], 1],
        } },
      ],
    };
  }

  /** MapLibre behind the calls that canvas.js answers to as well. */
  function glEngine(element, outline, { drawn, flat, changed, settled, clicked, pointed, label, wheel }) {
    const map = new root.maplibregl.Map({
      container: element, style: style(drawn, outline), attributionControl: false, fadeDuration: 0, minZoom: -2, maxZoom: 17,
      cooperativeGestures: !wheel, locale: { "Map.Title": label }, dragRotate: false, pitchWithRotate: false, touchPitch: false,
      
    });
    map.addControl(new root.maplibregl.ScaleControl({ maxWidth: 90 }), "bottom-left");
    let ready = false, next = null, view = null, isFlat = flat;
    map.once("style.load", () => {
      ready = true;
      if (next) show(next);
      if (view) look(view);
    });
    map.on("render", () => ready && changed());
    map.on("idle", () => ready && settled());
    map.on("click", (event) => clicked([event.lngLat.lng, event.lngLat.lat], event.point));
    map.on("mousemove", (event) => pointed(titleAt(event.point), event.point));
    map.on("mouseout", () => pointed("", null));

    function titleAt(point) {
      const near = [[point.x - 4, point.y - 4], [point.x + 4, point.y + 4]];
      for (const layer of ["points", "lines", "cells"]) {
        const found = map.getLayer(layer) && map.queryRenderedFeatures(layer === "cells" ? point : near, { layers: [layer] }).find((each) => each.properties.title);
        if (found) return found.properties.title;
      }
      return "";
    }

    function show(what) {
      next = what;
      if (!ready) return;
      for (const name of ["cells", "borders", "circles", "lines", "points"]) map.getSource(name).setData(collection(what[name]));
      const { theme } = what;
      map.setPaintProperty("water", "background-color", fading(theme.water, theme.land));
      map.setPaintProperty("land", "fill-color", theme.land);
      map.setPaintProperty("cells", "fill-opacity", theme.opacity);
      map.setPaintProperty("coast", "line-color", theme.coast);
      map.setPaintProperty("frontiers", "line-color", theme.border);
    }

    /** So that a cap of so many degrees about the middle is in the picture. */
    function zoomFor(degrees, lat) {
      const [wide, high] = [element.clientWidth || 300, element.clientHeight || 300];
      const half = 0.42 * Math.min(wide, high);
      const upright = Math.cos((Math.min(Math.abs(lat), 85) * Math.PI) / 180);
      if (isFlat) {
        const whole = Math.log2(wide / 512);
        return Math.min(14, degrees >= 90 ? whole : Math.max(whole, Math.log2((half * 360 * upright) / (degrees * 512))));
      }
      const radius = half / Math.sin((Math.min(degrees, 90) * Math.PI) / 180);
      return Math.min(14, Math.log2((2 * Math.PI * radius * upright) / 512));
    }

    /** Before the style is there the map is flat, and would not go where a globe can. */
    function look(wanted) {
      view = wanted;
      if (!ready) return;
      isFlat = Boolean(wanted.flat);
      map.setProjection({ type: isFlat ? "mercator" : "globe" });
      const wide = isFlat && wanted.degrees >= 90;
      map.jumpTo({ center: [wanted.lng, wide ? 25 : wanted.lat], zoom: zoomFor(wanted.degrees, wide ? 0 : wanted.lat) });
    }

    return {
      kind: "webgl",
      map,
      draw: show,
      look,
      zoom: (steps) => map.zoomTo(map.getZoom() + steps),
      middle: () => map.getCenter().wrap(),
      project: (at) => {
        if (!ready) return null;
        const { lng, lat } = map.getCenter();
        if (!isFlat && OpenPlaNet.apart([lng, lat], at) > HORIZON) return null;
        const { x, y } = map.project(isFlat ? [lng + (((((at[0] - lng + 180) % 360) + 360) % 360) - 180), at[1]] : at);
        return [x, y];
      },
      remove: () => map.remove(),
    };
  }

  /** A map in ``element``; see the top of this file. */
  function globe(element, description, options) {
    const asked = options || {};
    const state = { description, view: OpenPlaNet.firstView(description), engine: null, step: undefined, choice: 0, marks: [], pin: null, waiting: false, inset: null };
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
      const outline = await outlines();
      state.waiting = false;
      if (state.removed || state.engine) return;
      const calls = {
        drawn: drawn(), flat: Boolean(state.view.flat), changed: place, settled: () => { figure.dataset.drawn = ""; }, label: state.description.label || "Map", wheel: asked.wheel,
        clicked: (at) => asked.click && asked.click([((((at[0] + 180) % 360) + 360) % 360) - 180, at[1]]), pointed: say,
      };
      const begin = hasWebgl() ? glEngine : OpenPlaNet.canvasEngine;
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
      if (state.inset) outlines().then(overview);
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
        if (state.engine) outlines().then(overview);
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
