/* The map where there is WebGL: the layers drawn by MapLibre GL; and the outlines of land for all engines.
 *
 * It answers to the same calls as the engine of canvas.js: draw, look, zoom, project, remove.
 */
(function (root) {
  "use strict";
  const OpenPlaNet = (root.OpenPlaNet = root.OpenPlaNet || {});
  const COARSE = [7.5, 9.5]; // zooms between which the outlines, of 1:50m, fade: they would be kilometres off
  const HORIZON = 80; // degrees from the middle of a globe, beyond which marks are hidden

  let land = null;
  /** Land, coasts and borders as GeoJSON, once for all maps; null where the page has none. */
  function outline() {
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

  function style(drawn, world) {
    const { theme } = drawn;
    const line = (id, source, paint) => ({ id, type: "line", source, layout: { "line-join": "round" }, paint });
    const own = { "line-color": ["get", "colour"], "line-width": ["get", "width"], "line-opacity": ["coalesce", ["get", "opacity"], 1] };
    const data = (value) => ({ type: "geojson", data: value, tolerance: 0.2 });
    return {
      version: 8,
      projection: { type: "globe" },
      sources: {
        land: data(world ? world.land : empty), frontiers: data(world ? world.borders : empty), coast: data(world ? world.coast : empty),
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
          "circle-stroke-width": ["get", "ring"], "circle-opacity": ["coalesce", ["get", "opacity"], 1],
          "circle-stroke-opacity": ["coalesce", ["get", "opacity"], 1],
        } },
      ],
    };
  }

  /** MapLibre behind the calls that canvas.js answers to as well. */
  function webglEngine(element, world, { drawn, flat, changed, settled, clicked, pointed, label, wheel }) {
    const map = new root.maplibregl.Map({
      container: element, style: style(drawn, world), attributionControl: false, fadeDuration: 0, minZoom: -2, maxZoom: 17,
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

  Object.assign(OpenPlaNet, { outline, hasWebgl, webglEngine });
})(window);
