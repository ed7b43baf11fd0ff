/* S2 cells in the page: from 8-byte ids to outlines on the sphere, areas, and the border of a set of cells.
 *
 * Positions are [lng, lat] in degrees, as GeoJSON has them. A cell is {face, level, i, j}, with i and j counted in
 * cells of its level. The layout of ids is that of src/openplanet/earth/s2.py, against which the tests hold it.
 */
(function (root) {
  "use strict";
  const OpenPlaNet = (root.OpenPlaNet = root.OpenPlaNet || {});
  const POS_TO_IJ = [[0, 1, 3, 2], [0, 2, 3, 1], [3, 2, 0, 1], [3, 1, 0, 2]];
  const POS_TO_ORIENTATION = [1, 0, 0, 3];
  const EARTH_KM2 = 6371.0088 ** 2;
  const DEGREES = 180 / Math.PI;
  const OUTSIDE = 1e-4; // in widths of a cell: how far beyond an edge its neighbour is looked for

  /** Bytes of a base64 text. */
  function bytes(text) {
    const raw = atob(text);
    const found = new Uint8Array(raw.length);
    for (let k = 0; k < raw.length; k++) found[k] = raw.charCodeAt(k);
    return found.buffer;
  }

  /** Little-endian uint64 ids, as base64, to cells. */
  function decode(text) {
    const words = new DataView(bytes(text));
    const cells = [];
    for (let at = 0; at + 8 <= words.byteLength; at += 8) {
      cells.push(cellOf(words.getUint32(at + 4, true), words.getUint32(at, true)));
    }
    return cells;
  }

  function cellOf(high, low) {
    const face = high >>> 29;
    const end = low ? 31 - Math.clz32(low & -low) : 63 - Math.clz32(high & -high);
    const level = (60 - end) / 2;
    let orientation = face & 1, i = 0, j = 0;
    for (let k = 1; k <= level; k++) {
      const shift = 61 - 2 * k; // of the two bits that choose the quadrant
      const digit = shift >= 32 ? (high >>> (shift - 32)) & 3 : shift === 31 ? ((high & 1) << 1) | (low >>> 31) : (low >>> shift) & 3;
      const quadrant = POS_TO_IJ[orientation][digit];
      i = 2 * i + (quadrant >> 1);
      j = 2 * j + (quadrant & 1);
      orientation ^= POS_TO_ORIENTATION[digit];
    }
    return { face, level, i, j };
  }

  function toUv(s) {
    return s >= 0.5 ? (4 * s * s - 1) / 3 : (1 - 4 * (1 - s) * (1 - s)) / 3;
  }

  function toSt(u) {
    return u >= 0 ? 0.5 * Math.sqrt(1 + 3 * u) : 1 - 0.5 * Math.sqrt(1 - 3 * u);
  }

  function toXyz(face, u, v) {
    return [[1, u, v], [-u, 1, v], [-u, -v, 1], [-1, -v, -u], [v, -1, -u], [v, u, -1]][face];
  }

  /** The face that a vector meets, and where: [face, u, v]. */
  function toFace([x, y, z]) {
    const size = [Math.abs(x), Math.abs(y), Math.abs(z)];
    const axis = size[0] > size[1] ? (size[0] > size[2] ? 0 : 2) : size[1] > size[2] ? 1 : 2;
    const face = [x, y, z][axis] < 0 ? axis + 3 : axis;
    return [[0, y / x, z / x], [1, -x / y, z / y], [2, -x / z, -y / z], [3, z / x, y / x], [4, z / y, -x / y], [5, -y / z, -x / z]][face];
  }

  /** A vector turned by the inverse of a unit quaternion [w, x, y, z], as a partition of a turned sphere asks for. */
  function turnedBack([x, y, z], turn) {
    if (!turn || turn[0] === 1) return [x, y, z];
    const [w, a, b, c] = [turn[0], -turn[1], -turn[2], -turn[3]];
    const t = [2 * (b * z - c * y), 2 * (c * x - a * z), 2 * (a * y - b * x)];
    return [x + w * t[0] + b * t[2] - c * t[1], y + w * t[1] + c * t[0] - a * t[2], z + w * t[2] + a * t[1] - b * t[0]];
  }

  function lngLat([x, y, z]) {
    return [Math.atan2(y, x) * DEGREES, Math.atan2(z, Math.hypot(x, y)) * DEGREES];
  }

  /** Longitudes without jumps, each within 180 of the one before. */
  function unwrapped(line) {
    let before = line.length ? line[0][0] : 0;
    return line.map(([lng, lat]) => {
      before += ((((lng - before + 180) % 360) + 360) % 360) - 180;
      return [before, lat];
    });
  }

  /** Points of one edge (0 low j, 1 high i, 2 high j, 3 low i), counter-clockwise, its end left out. */
  function edge(cell, side, steps, turn) {
    const width = 1 / 2 ** cell.level;
    const corners = [[0, 0], [1, 0], [1, 1], [0, 1]];
    const points = [];
    const [a, b] = [corners[side], corners[(side + 1) % 4]];
    const uv = ([p, q]) => [toUv((cell.i + p) * width), toUv((cell.j + q) * width)];
    const [[u, v], [toU, toV]] = [uv(a), uv(b)];
    for (let k = 0; k < steps; k++) {
      const share = k / steps;
      points.push(lngLat(turnedBack(toXyz(cell.face, u + (toU - u) * share, v + (toV - v) * share), turn)));
    }
    return points;
  }

  function stepsOf(cell) {
    return cell.level < 2 ? 24 : cell.level < 4 ? 12 : cell.level < 7 ? 6 : 3;
  }

  /** The outline as one ring; see closed. */
  function ring(cell, turn) {
    const steps = stepsOf(cell);
    let points = [];
    for (let side = 0; side < 4; side++) points.push(...edge(cell, side, steps, turn));
    return closed(openPole(points));
  }

  /** A closed ring through points. Longitudes may pass 180; about a pole it is led along the pole. */
  function closed(points) {
    const line = unwrapped([...points, points[0]]);
    const last = line.pop();
    const around = last[0] - line[0][0];
    if (Math.abs(around) > 180) {
      const pole = line.reduce((sum, [, lat]) => sum + lat, 0) > 0 ? 90 : -90;
      line.push(last, [last[0], pole], [line[0][0], pole]);
    }
    line.push(line[0]);
    return line;
  }

  /** A corner at a pole has no longitude: it becomes the ends of the two meridians that meet there. */
  function openPole(points) {
    const at = points.findIndex(([, lat]) => Math.abs(lat) > 90 - 1e-9);
    if (at < 0) return points;
    const before = points[(at + points.length - 1) % points.length], after = points[(at + 1) % points.length];
    return [...points.slice(0, at), [before[0], points[at][1]], [after[0], points[at][1]], ...points.slice(at + 1)];
  }

  /** Exact area in km² (two triangles, van Oosterom and Strackee 1983), as earth/s2.py has it. */
  function area(cell) {
    const width = 1 / 2 ** cell.level;
    const [u0, u1, v0, v1] = [toUv(cell.i * width), toUv((cell.i + 1) * width), toUv(cell.j * width), toUv((cell.j + 1) * width)];
    const rectangle = (u1 - u0) * (v1 - v0);
    return (triangle(rectangle, [u0, v0], [u1, v0], [u1, v1]) + triangle(rectangle, [u0, v0], [u1, v1], [u0, v1])) * EARTH_KM2;
  }

  function triangle(product, ...corners) {
    const [a, b, c] = corners.map(([u, v]) => [1, u, v]);
    const dot = (p, q) => p[0] * q[0] + p[1] * q[1] + p[2] * q[2];
    const [la, lb, lc] = [a, b, c].map((p) => Math.sqrt(dot(p, p)));
    return 2 * Math.atan2(product, la * lb * lc + dot(a, b) * lc + dot(b, c) * la + dot(c, a) * lb);
  }

  /** Lines along which a set of cells ends: the parts of edges beyond which no cell of the set lies. */
  function border(cells, turn) {
    const levels = [...new Set(cells.map((cell) => cell.level))];
    const name = (face, level, i, j) => `${face}/${level}/${i}/${j}`;
    const held = new Set(cells.map((cell) => name(cell.face, cell.level, cell.i, cell.j)));
    const finest = Math.max(...levels);
    const isHeld = (xyz) => {
      const [face, u, v] = toFace(xyz);
      const [s, t] = [toSt(u), toSt(v)];
      return levels.some((level) => held.has(name(face, level, Math.floor(s * 2 ** level), Math.floor(t * 2 ** level))));
    };
    const lines = [];
    for (const cell of cells) {
      const width = 1 / 2 ** cell.level;
      const parts = Math.max(stepsOf(cell), Math.min(2 ** (finest - cell.level), 16));
      for (let side = 0; side < 4; side++) {
        const points = edge(cell, side, parts, turn);
        points.push(edge(cell, (side + 1) % 4, 1, turn)[0]);
        let line = [];
        for (let k = 0; k < parts; k++) {
          if (isHeld(beyond(cell, side, (k + 0.5) / parts, width))) {
            if (line.length) lines.push(unwrapped(line));
            line = [];
          } else {
            if (!line.length) line.push(points[k]);
            line.push(points[k + 1]);
          }
        }
        if (line.length) lines.push(unwrapped(line));
      }
    }
    return lines;
  }

  /** A point just outside a cell, at a share of one of its edges. */
  function beyond(cell, side, share, width) {
    const out = 1 + OUTSIDE;
    const [p, q] = [[share, -OUTSIDE], [out, share], [1 - share, out], [-OUTSIDE, 1 - share]][side];
    const far = (s) => (s < 0 ? -1 + 8 / 3 * s : s > 1 ? 1 + 8 / 3 * (s - 1) : toUv(s)); // over the edge of a face
    return toXyz(cell.face, far((cell.i + p) * width), far((cell.j + q) * width));
  }

  OpenPlaNet.cells = { bytes, decode, ring, closed, area, border, unwrapped };
})(window);
