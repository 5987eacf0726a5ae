"""How many bytes of weights a GGUF file makes a program read for one token."""

import struct

# Elements and bytes of a block, by GGML's numbers.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 30: (1, 2),
}
_FIXED = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9


class _Reader:
    def __init__(self, file):
        self.file = file

    def take(self, count):
        data = self.file.read(count)
        if len(data) != count:
            raise ValueError("the file ends within its header")
        return data

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def string(self):
        return self.take(self.number("Q"))

    def skip(self, kind):
        if kind == _STRING:
            self.string()
        elif kind == _ARRAY:
            element, count = self.number("I"), self.number("Q")
            if element in _FIXED:
                self.file.seek(_FIXED[element] * count, 1)
            else:
                for _ in range(count):
                    self.skip(element)
        elif kind in _FIXED:
            self.file.seek(_FIXED[kind], 1)
        else:
            raise ValueError(f"unknown kind of value {kind}")


def bytes_per_token(path):
    """Bytes of all tensors; without the embedding when the output head is another tensor, since
    only a row of it is read. Raises ValueError: no GGUF file, or a type that is not known here."""
    with open(path, "rb") as file:
        reader = _Reader(file)
        if reader.take(4) != b"GGUF":
            raise ValueError(f"{path}: not a GGUF file")
        reader.number("I")  # version
        tensors, pairs = reader.number("Q"), reader.number("Q")
        for _ in range(pairs):
            reader.string()
            reader.skip(reader.number("I"))
        sizes = {}
        for _ in range(tensors):
            name = reader.string().decode()
            elements = 1
            for _ in range(reader.number("I")):
                elements *= reader.number("Q")
            kind = reader.number("I")
            reader.number("Q")  # offset
            if kind not in _BLOCKS:
                raise ValueError(f"{path}: tensor {name} is of type {kind}, whose size is unknown")
            block, size = _BLOCKS[kind]
            sizes[name] = elements // block * size
    if "output.weight" in sizes:
        sizes.pop("token_embd.weight", None)
    return sum(sizes.values())
