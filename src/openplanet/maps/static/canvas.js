/* The map where there is no WebGL: the same layers on a 2D canvas, a globe (orthographic) or flat.
 *
 * It answers to the same calls as the engine of globe.js: draw, look, zoom, project, remove.
 */
(function (root) {
  "use strict";
  const OpenPlaNet = (root.OpenPlaNet = root.OpenPlaNet || {});
  const RAD = Math.PI / 180;

  /** ``changed`` is called after every drawing, ``clicked`` with [lng, lat], ; not ``live``: a picture. */
  function canvasEngine(element, outlines, { changed, settled, clicked, label }, live = true) {
    const canvas = document.createElement("canvas");
    if (live) {
      canvas.tabIndex = 0;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", label);
    } else canvas.setAttribute("aria-hidden", "true");
    element.append(canvas);
    const state = { lng: 10, lat: 15, degrees: 180, flat: false, drawn: null, wide: 1, high: 1, waiting: 0 };

    /** Pixels of one radian at the middle. */
    function scale() {
      const half = 0.44 * Math.min(state.wide, state.high);
      if (state.flat) return Math.max(half / (state.degrees * RAD), state.wide / (2 * Math.PI) * (state.degrees >= 90 ? 1 : 0));
      return half / Math.sin(Math.min(state.degrees, 90) * RAD);
    }

    /** Pixels of a position, and whether it is on this side. */
    function project([lng, lat]) {
      const size = scale();
      if (state.flat) {
        const away = ((((lng - state.lng + 180) % 360) + 360) % 360) - 180;
        return { x: state.wide / 2 + away * RAD * size * Math.cos(state.lat * RAD), y: state.high / 2 - (lat - state.lat) * RAD * size, seen: true };
      }
      const [dx, a, b] = [(lng - state.lng) * RAD, lat * RAD, state.lat * RAD];
      const east = Math.cos(a) * Math.sin(dx);
      const north = Math.cos(b) * Math.sin(a) - Math.sin(b) * Math.cos(a) * Math.cos(dx);
      const toward = Math.sin(b) * Math.sin(a) + Math.cos(b) * Math.cos(a) * Math.cos(dx);
      return { x: state.wide / 2 + size * east, y: state.high / 2 - size * north, seen: toward > 0, east, north };
    }

    function unproject(x, y) {
      const size = scale();
      const [east, north] = [(x - state.wide / 2) / size, (state.high / 2 - y) / size];
      if (state.flat) return [state.lng + east / RAD / Math.cos(state.lat * RAD), Math.max(-90, Math.min(90, state.lat + north / RAD))];
      const far = Math.hypot(east, north);
      if (far > 1) return null;
      const [c, b] = [Math.asin(far), state.lat * RAD];
      const lat = Math.asin(Math.cos(c) * Math.sin(b) + (far ? (north * Math.sin(c) * Math.cos(b)) / far : 0));
      const lng = state.lng * RAD + Math.atan2(east * Math.sin(c), far * Math.cos(b) * Math.cos(c) - north * Math.sin(b) * Math.sin(c));
      return [lng / RAD, lat / RAD];
    }

    /** A line into the path; on the globe what lies behind is moved to the rim (polygons) or left out (lines). */
    function trace(context, line, closed) {
      const size = scale();
      if (state.flat) {
        const wide = RAD * size * Math.cos(state.lat * RAD);
        for (let turn = -1; turn <= 1; turn++) { // the map goes on to both sides
          const shift = project(line[0]).x + 360 * wide * turn;
          line.forEach(([lng, lat], k) => {
            context[k ? "lineTo" : "moveTo"](shift + (lng - line[0][0]) * wide, state.high / 2 - (lat - state.lat) * RAD * size);
          });
        }
        return;
      }
      const points = line.map(project);
      if (!points.some((point) => point.seen)) return;
      let going = false;
      for (const point of points) {
        if (!point.seen && closed) {
          const far = Math.hypot(point.east, point.north) || 1;
          point.x = state.wide / 2 + (size * point.east) / far;
          point.y = state.high / 2 - (size * point.north) / far;
        }
        if (!point.seen && !closed) going = false;
        else {
          context[going ? "lineTo" : "moveTo"](point.x, point.y);
          going = true;
        }
      }
    }

    function paint() {
      state.waiting = 0;
      const ratio = root.devicePixelRatio || 1;
      [state.wide, state.high] = [element.clientWidth || 1, element.clientHeight || 1];
      [canvas.width, canvas.height] = [state.wide * ratio, state.high * ratio];
      const context = canvas.getContext("2d");
      if (!context || !state.drawn) return;
      context.scale(ratio, ratio);
      context.lineJoin = "round";
      const { theme } = state.drawn;
      context.fillStyle = theme.water;
      context.beginPath();
      if (state.flat) context.rect(0, 0, state.wide, state.high);
      else context.arc(state.wide / 2, state.high / 2, scale(), 0, 2 * Math.PI);
      context.fill();
      if (outlines) fill(context, outlines.land.features, () => theme.land, 1);
      fill(context, state.drawn.cells, (each) => each.properties.colour, theme.opacity);
      if (outlines) stroke(context, [outlines.borders], { colour: theme.border, width: 0.6 });
      if (outlines) stroke(context, [outlines.coast], { colour: theme.coast, width: 0.7 });
      for (const group of ["borders", "circles", "lines"]) state.drawn[group].forEach((each) => stroke(context, [each], each.properties));
      state.drawn.points.forEach((point) => disc(context, point));
      changed();
      settled();
    }

    function fill(context, features, colour, opacity) {
      context.globalAlpha = opacity;
      for (const each of features) {
        const polygons = each.geometry.type === "Polygon" ? [each.geometry.coordinates] : each.geometry.coordinates;
        context.fillStyle = colour(each);
        context.beginPath();
        for (const rings of polygons) for (const line of rings) trace(context, line, true);
        context.fill("evenodd");
      }
      context.globalAlpha = 1;
    }

    function stroke(context, features, { colour, width, opacity, dash }) {
      context.globalAlpha = opacity === undefined ? 1 : opacity;
      [context.strokeStyle, context.lineWidth] = [colour, width];
      context.setLineDash(dash ? [5, 4] : []);
      context.beginPath();
      for (const each of features) {
        const lines = each.geometry.type === "LineString" ? [each.geometry.coordinates] : each.geometry.coordinates;
        for (const line of lines) trace(context, line, false);
      }
      context.stroke();
      context.setLineDash([]);
      context.globalAlpha = 1;
    }

    function disc(context, point) {
      const { x, y, seen } = project(point.geometry.coordinates);
      if (!seen) return;
      const { radius, colour, edge, ring, opacity } = point.properties;
      context.globalAlpha = opacity === undefined ? 1 : opacity;
      [context.fillStyle, context.strokeStyle, context.lineWidth] = [colour, edge, ring];
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
      context.globalAlpha = 1;
    }

    function again() {
      if (!state.waiting) state.waiting = requestAnimationFrame(paint);
    }

    function zoom(steps) {
      state.degrees = Math.min(180, Math.max(0.005, Math.min(state.degrees, 90) / 2 ** steps));
      again();
    }

    function move(dx, dy) {
      const by = 1 / scale() / RAD;
      state.lng -= (dx * by) / Math.max(0.2, Math.cos(state.lat * RAD));
      state.lat = Math.max(-85, Math.min(85, state.lat + dy * by));
      again();
    }

    let held = null;
    canvas.addEventListener("pointerdown", (event) => {
      held = { x: event.clientX, y: event.clientY, far: 0 };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) return;
      const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
      held = { x: event.clientX, y: event.clientY, far: held.far + Math.hypot(dx, dy) };
      move(dx, dy);
    });
    canvas.addEventListener("pointerup", (event) => {
      const box = canvas.getBoundingClientRect();
      if (held && held.far < 5) {
        const at = unproject(event.clientX - box.left, event.clientY - box.top);
        if (at) clicked(at);
      }
      held = null;
    });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // a plain wheel scrolls the page
      event.preventDefault();
      zoom(-event.deltaY / 200);
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
      if (by) move(...by);
      else if (event.key === "+" || event.key === "=") zoom(1);
      else if (event.key === "-") zoom(-1);
      else return;
      event.preventDefault();
    });
    const watch = new ResizeObserver(again);
    watch.observe(element);

    return {
      kind: "canvas",
      draw: (drawn) => { state.drawn = drawn; again(); },
      look: (view) => { Object.assign(state, view); again(); },
      zoom,
      middle: () => ({ lng: state.lng, lat: state.lat }),
      project: (at) => { const { x, y, seen } = project(at); return seen ? [x, y] : null; },
      remove: () => { watch.disconnect(); canvas.remove(); },
    };
  }

  OpenPlaNet.canvasEngine = canvasEngine;
})(window);
