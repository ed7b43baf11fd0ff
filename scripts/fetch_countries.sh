#!/usr/bin/env bash
# Fetches the country borders that the maps draw: Natural Earth 1:50m, public domain, as TopoJSON
# (npm package world-atlas, ISC). The file is part of the repository; run this only to renew or to check it.
set -euo pipefail

root="$(cd "$(dirname "$0")/.." && pwd)"
target="$root/src/openplanet/maps/countries-50m.json"
expected=04342cdc1e3016bcd7db1630de95684d67b79fe3c8c460321e87aef469502394
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

cd "$folder"
tarball="$(npm pack --silent world-atlas@2.0.2)"
tar -xzf "$tarball" package/countries-50m.json
echo "$expected  package/countries-50m.json" | sha256sum --check --quiet
install -m 644 package/countries-50m.json "$target"
echo "$target is Natural Earth 1:50m of world-atlas 2.0.2"
