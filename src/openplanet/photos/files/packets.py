"""The XMP packets of one file, which can have several: segments of a JPEG and the extensions that they name, chunks."""

import re

MAX_PACKETS = 64
MAX_BYTES = 1 << 24  # of all packets together
XMP_SEGMENT = re.compile(rb"http://ns\.adobe\.com/xap/1\.0/\x00?")
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_XMP_GUID = re.compile(rb"HasExtendedXMP\s*(?:=\s*[\"']|>)\s*([0-9A-Fa-f]{32})")


class Packets:
    """The XMP packets of a file as they come, none beyond MAX_PACKETS and MAX_BYTES."""

    def __init__(self) -> None:
        self._packets: list[bytes] = []
        self._extensions: dict[bytes, list[tuple[int, bytes]]] = {}
        self._room, self._left = MAX_BYTES, MAX_PACKETS

    def add(self, packet: bytes) -> None:
        """A packet by itself."""
        if self._fits(packet):
            self._packets.append(packet)

    def segment(self, content: bytes) -> None:
        """An APP1 segment of a JPEG: a packet, or a piece of the extension of one (XMP part 3, 1.1.3.1)."""
        if prefix := XMP_SEGMENT.match(content):
            self.add(content[prefix.end() :])
        elif content.startswith(_XMP_EXTENSION) and self._fits(content, of_many=True):
            # the GUID in 32 digits, the length of the whole, where in it this piece belongs
            guid, place, piece = content[35:67].upper(), int.from_bytes(content[71:75], "big"), content[75:]
            self._extensions.setdefault(guid, []).append((place, piece))

    def all(self) -> tuple[bytes, ...]:
        """The packets, then the extensions that one of them names, each joined."""
        named = [guid.upper() for packet in self._packets for guid in _XMP_GUID.findall(packet)]
        wanted = [sorted(self._extensions[guid]) for guid in dict.fromkeys(named) if guid in self._extensions]
        return (*self._packets, *(b"".join(piece for _, piece in pieces) for pieces in wanted))

    def _fits(self, content: bytes, of_many: bool = False) -> bool:
        if len(content) > self._room or self._left <= 0:
            return False
        self._room, self._left = self._room - len(content), self._left - (not of_many)
        return True
