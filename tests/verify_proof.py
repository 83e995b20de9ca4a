#!/usr/bin/env python3
"""A second verifier of Weft's data-availability proofs, written from PROTOCOL.md alone.

It shares no code with the node: keccak-256, RLP, GF(2^8) and the Merkle trees are here, on Python's
standard library. What it is given is believed only as far as it leads to a block hash that you trust.

  verify_proof.py cell    --hash 0x… --column J --chunk C        < result of da_cellProof
  verify_proof.py range   --hash 0x… --column J --first C --anchor ANCHOR.json   < result of da_cells
  verify_proof.py column  --hash 0x… --column J --root 0x…       < column proof
  verify_proof.py blob    --hash 0x…                             < blob proof, or the result of da_receipt
  verify_proof.py encode  [--k 4 --m 7 --chunk-bytes 131072]     < raw bytes; prints the cell hashes
  verify_proof.py vectors DIR                                    checks tests/vectors

ANCHOR.json is any object with header, version, dataShards, parityShards, chunkBytes, blobCount,
chunkCount and blobsRoot: the result of da_cellProof has them, and so has da_commitment with the header
RLP added. Input and numbers may be JSON-RPC hex or decimal; a whole JSON-RPC response is accepted too.
Exit status 0: verified; 1: refused, with the reason on stderr.
"""

import argparse
import hashlib
import json
import os
import sys


class Refused(Exception):
    """The proof does not lead to what is trusted; the text says where it fails."""


def need(condition, reason):
    if not condition:
        raise Refused(reason)


# ---- keccak-256 (the original padding, as Ethereum uses it) ------------------------------------------------

MASK = (1 << 64) - 1


def _round_constants():
    lfsr, constants = 1, []
    for _ in range(24):
        constant = 0
        for j in range(7):
            if lfsr & 1:
                constant |= 1 << ((1 << j) - 1)
            lfsr = (lfsr << 1) ^ (0x171 if lfsr & 0x80 else 0)
        constants.append(constant)
    return constants


ROUNDS = _round_constants()


def _rol(word, by):
    by %= 64
    return ((word << by) | (word >> (64 - by))) & MASK if by else word


def _permute(a):
    for constant in ROUNDS:
        c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
        d = [c[(x + 4) % 5] ^ _rol(c[(x + 1) % 5], 1) for x in range(5)]
        a = [a[i] ^ d[i % 5] for i in range(25)]
        # rho and pi together, walking the cycle of the 24 moved words
        x, y, current = 1, 0, a[1]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            here = x + 5 * y
            current, a[here] = a[here], _rol(current, (t + 1) * (t + 2) // 2)
        for row in range(0, 25, 5):
            r = a[row:row + 5]
            for x in range(5):
                a[row + x] = r[x] ^ (~r[(x + 1) % 5] & MASK & r[(x + 2) % 5])
        a[0] ^= constant
    return a


def keccak256(data):
    rate = 136
    padded = bytearray(data) + b"\x01" + bytes(-(len(data) + 1) % rate)
    padded[-1] |= 0x80
    state = [0] * 25
    for start in range(0, len(padded), rate):
        for i in range(rate // 8):
            state[i] ^= int.from_bytes(padded[start + 8 * i:start + 8 * i + 8], "little")
        state = _permute(state)
    return b"".join(word.to_bytes(8, "little") for word in state[:4])


# ---- RLP ---------------------------------------------------------------------------------------------------

def _rlp_item(data, at):
    """Returns (item, position after it); lists are Python lists. Only the canonical form is accepted."""
    need(at < len(data), "rlp: ends too early")
    first = data[at]
    if first < 0x80:
        return data[at:at + 1], at + 1
    is_list = first >= 0xC0
    short = first - (0xC0 if is_list else 0x80)
    at += 1
    if short <= 55:
        length = short
    else:
        size = short - 55
        need(at + size <= len(data) and data[at] != 0, "rlp: bad length")
        length = int.from_bytes(data[at:at + size], "big")
        need(length > 55, "rlp: length is not canonical")
        at += size
    end = at + length
    need(end <= len(data), "rlp: ends too early")
    if not is_list:
        need(not (length == 1 and data[at] < 0x80), "rlp: byte is not canonical")
        return data[at:end], end
    items = []
    while at < end:
        item, at = _rlp_item(data, at)
        items.append(item)
    need(at == end, "rlp: list is longer than its header says")
    return items, end


def rlp_decode(data):
    item, end = _rlp_item(data, 0)
    need(end == len(data), "rlp: trailing bytes")
    return item


# ---- SHA-256 trees (RFC 6962) ------------------------------------------------------------------------------

def H(data):
    return hashlib.sha256(data).digest()


def leaf(item):
    return H(b"\x00" + item)


def node(left, right):
    return H(b"\x01" + left + right)


def split(size):
    """The largest power of two smaller than size."""
    return 1 << (size - 1).bit_length() - 1


def tree_root(leaves):
    if not leaves:
        return H(b"")
    if len(leaves) == 1:
        return leaves[0]
    middle = split(len(leaves))
    return node(tree_root(leaves[:middle]), tree_root(leaves[middle:]))


def root_from_path(hash_, index, size, path, what):
    """Follows an audit path, given from the leaf to the root."""
    need(0 <= index < size, f"{what}: leaf {index} is not in a tree of {size}")
    if size == 1:
        need(not path, f"{what}: too long")
        return hash_
    need(path, f"{what}: too short")
    middle = split(size)
    if index < middle:
        return node(root_from_path(hash_, index, middle, path[:-1], what), path[-1])
    return node(path[-1], root_from_path(hash_, index - middle, size - middle, path[:-1], what))


def root_from_range(covered, first, size, proof, what):
    """Rebuilds a root from consecutive leaves and the subtree hashes outside them, left to right."""
    end = first + len(covered)
    need(covered and 0 <= first and end <= size, f"{what}: leaves {first}..{end} are not in a tree of {size}")
    given = iter(proof)

    def rebuild(low, high):
        if high <= first or end <= low:
            hash_ = next(given, None)
            need(hash_ is not None, f"{what}: too short")
            return hash_
        if first <= low and high <= end:
            return tree_root(covered[low - first:high - first])
        middle = low + split(high - low)
        left = rebuild(low, middle)
        return node(left, rebuild(middle, high))

    root = rebuild(0, size)
    need(next(given, None) is None, f"{what}: too long")
    return root


# ---- Reed–Solomon over GF(2^8), polynomial 0x11D -----------------------------------------------------------

EXP, LOG = [0] * 512, [0] * 256
_x = 1
for _i in range(255):
    EXP[_i], LOG[_x] = _x, _i
    _x = _x << 1 ^ (0x11D if _x & 0x80 else 0)
for _i in range(255, 512):
    EXP[_i] = EXP[_i - 255]


def mul(a, b):
    return EXP[LOG[a] + LOG[b]] if a and b else 0


def power(a, n):
    if n == 0:
        return 1
    return EXP[LOG[a] * n % 255] if a else 0


def invert(matrix):
    size = len(matrix)
    rows = [row[:] + [int(i == j) for j in range(size)] for i, row in enumerate(matrix)]
    for c in range(size):
        pivot = next(r for r in range(c, size) if rows[r][c])
        rows[c], rows[pivot] = rows[pivot], rows[c]
        scale = EXP[255 - LOG[rows[c][c]]]
        rows[c] = [mul(scale, value) for value in rows[c]]
        for r in range(size):
            if r != c and rows[r][c]:
                factor = rows[r][c]
                rows[r] = [value ^ mul(factor, own) for value, own in zip(rows[r], rows[c])]
    return [row[size:] for row in rows]


def coding_matrix(k, m):
    """V · (top k rows of V)⁻¹, V[r][c] = r^c; the last m rows make parity."""
    v = [[power(r, c) for c in range(k)] for r in range(k + m)]
    top = invert(v[:k])
    rows = []
    for r in range(k + m):
        row = [0] * k
        for i in range(k):
            for c in range(k):
                row[c] ^= mul(v[r][i], top[i][c])
        rows.append(row)
    assert all(rows[i] == [int(i == j) for j in range(k)] for i in range(k)), "the code is systematic"
    return rows


_TABLES = {}


def scale_cell(factor, cell):
    """factor · cell, byte by byte, through a translation table."""
    if factor not in _TABLES:
        _TABLES[factor] = bytes(mul(factor, value) for value in range(256))
    return cell.translate(_TABLES[factor])


_MATRICES = {}


def cells_of_chunk(chunk, k, m):
    size = 64 * -(-len(chunk) // (64 * k))
    padded = chunk + bytes(k * size - len(chunk))
    data = [padded[i * size:(i + 1) * size] for i in range(k)]
    if (k, m) not in _MATRICES:
        _MATRICES[k, m] = coding_matrix(k, m)
    parity = []
    for row in _MATRICES[k, m][k:]:
        total = 0
        for factor, cell in zip(row, data):
            total ^= int.from_bytes(scale_cell(factor, cell), "big")
        parity.append(total.to_bytes(size, "big"))
    return data + parity


def cells_of_blob(blob, k, m, chunk_bytes):
    """One list of n cells per chunk."""
    return [cells_of_chunk(blob[at:at + chunk_bytes], k, m) for at in range(0, len(blob), chunk_bytes)]


# ---- JSON values -------------------------------------------------------------------------------------------

def number(value):
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise Refused(f"{value!r} is no number")
    try:
        return value if isinstance(value, int) else int(value, 0)
    except ValueError as error:
        raise Refused(f"{value!r} is no number") from error


def raw(value):
    need(isinstance(value, str) and value.startswith("0x"), f"{value!r} is no hex string")
    try:
        return bytes.fromhex(value[2:])
    except ValueError as error:
        raise Refused("bad hex") from error


def hash32(value):
    data = raw(value)
    need(len(data) == 32, f"{value} is not 32 bytes")
    return data


def hashes(value):
    need(isinstance(value, list), "a path is a list")
    return [hash32(item) for item in value]


def field(obj, *names):
    for name in names:
        if name in obj:
            return obj[name]
    raise Refused(f"no field {names[0]}")


# ---- commitments and proofs --------------------------------------------------------------------------------

class Anchor:
    """A header that hashes to the trusted hash, and the preimage that somebody claims for its daRoot."""

    def __init__(self, obj, block_hash):
        header = raw(field(obj, "header"))
        need(keccak256(header) == block_hash, "the header is not the one of the trusted block hash")
        fields = rlp_decode(header)
        need(isinstance(fields, list) and len(fields) >= 15, "that is no header")
        self.fields = fields
        self.transactions_root = fields[4]
        self.da_root = fields[12]
        need(len(self.da_root) == 32, "extraData is not 32 bytes")
        self.version = number(field(obj, "version"))
        self.k = number(field(obj, "dataShards"))
        self.m = number(field(obj, "parityShards"))
        self.chunk_bytes = number(field(obj, "chunkBytes"))
        self.blob_count = number(field(obj, "blobCount"))
        self.chunk_count = number(field(obj, "chunkCount"))
        self.blobs_root = hash32(field(obj, "blobsRoot"))
        need(self.version == 1, f"version {self.version} is not known")
        need(self.k >= 1 and self.m >= 1 and self.k + self.m <= 256, "no such geometry")
        need(self.chunk_bytes > 0 and self.chunk_bytes % (64 * self.k) == 0, "chunkBytes is not a multiple of 64·k")

    def close(self, columns_root):
        found = da_root(self.version, self.k, self.m, self.chunk_bytes, self.blob_count, self.chunk_count,
                        self.blobs_root, columns_root)
        need(found == self.da_root, "the proof does not lead to the header's daRoot")

    def close_column(self, column, column_root, path):
        self.close(root_from_path(leaf(column_root), column, self.k + self.m, path, "columnPath"))


def da_root(version, k, m, chunk_bytes, blob_count, chunk_count, blobs_root, columns_root):
    try:
        numbers = (version.to_bytes(2, "big") + k.to_bytes(2, "big") + m.to_bytes(2, "big")
                   + chunk_bytes.to_bytes(4, "big") + blob_count.to_bytes(4, "big") + chunk_count.to_bytes(4, "big"))
    except OverflowError as error:
        raise Refused("a number is too large for the preimage") from error
    return H(b"\x02weft-da" + numbers + blobs_root + columns_root)


def blob_leaf(tx_hash, tx_index, length, first_chunk):
    try:
        return leaf(tx_hash + tx_index.to_bytes(4, "big") + length.to_bytes(8, "big") + first_chunk.to_bytes(4, "big"))
    except OverflowError as error:
        raise Refused("a number is too large for a blob's leaf") from error


def verify_cell(proof, block_hash, column, chunk):
    anchor = Anchor(proof, block_hash)
    cell = raw(field(proof, "cell"))
    column_root = root_from_path(leaf(cell), chunk, anchor.chunk_count, hashes(field(proof, "cellPath")), "cellPath")
    anchor.close_column(column, column_root, hashes(field(proof, "columnPath")))
    return cell


def verify_range(proof, block_hash, column, first, anchor):
    anchor = Anchor(anchor, block_hash)
    need(number(field(proof, "column")) == column, "the proof is of another column")
    need(number(field(proof, "firstChunk")) == first, "the proof begins at another chunk")
    cells = [raw(cell) for cell in field(proof, "cells")]
    column_root = root_from_range([leaf(cell) for cell in cells], first, anchor.chunk_count,
                                  hashes(field(proof, "rangeProof")), "rangeProof")
    anchor.close_column(column, column_root, hashes(field(proof, "columnPath")))
    return cells


def verify_column(proof, block_hash, column, column_root):
    Anchor(proof, block_hash).close_column(column, column_root, hashes(field(proof, "columnPath")))


def verify_blob(proof, block_hash):
    """A blob proof; in a da_receipt it may be nested under `blob` with header fields beside it."""
    proof = flatten(proof)
    anchor = Anchor(proof, block_hash)
    tx_hash = hash32(field(proof, "transactionHash"))
    tx_index = number(field(proof, "transactionIndex"))
    length = number(field(proof, "length"))
    first = number(field(proof, "firstChunk"))
    index = number(field(proof, "blobIndex"))
    root = root_from_path(blob_leaf(tx_hash, tx_index, length, first), index, anchor.blob_count,
                          hashes(field(proof, "blobPath")), "blobPath")
    need(root == anchor.blobs_root, "the blob is not under blobsRoot")
    anchor.close(hash32(field(proof, "columnsRoot")))
    chunks = -(-length // anchor.chunk_bytes)
    need(length > 0 and first + chunks <= anchor.chunk_count, "the blob's chunks are outside the block")
    path = next((proof[name] for name in ("transactionProof", "transactionPath", "inclusionPath") if proof.get(name)), None)
    if path is not None:
        verify_inclusion(anchor.transactions_root, tx_index, tx_hash, [raw(item) for item in path])
    return {"transactionHash": "0x" + tx_hash.hex(), "length": length, "firstChunk": first, "chunkCount": chunks}


def flatten(obj):
    flat = {}
    for key, value in obj.items():
        if isinstance(value, dict):
            flat.update(flatten(value))
    flat.update({key: value for key, value in obj.items() if not isinstance(value, dict)})
    return flat


def verify_inclusion(root, index, tx_hash, nodes):
    """A Merkle Patricia proof: nodes from transactionsRoot down to the transaction, key rlp(index)."""
    if index == 0:
        key = b"\x80"
    else:
        key = index.to_bytes((index.bit_length() + 7) // 8, "big")
        key = key if len(key) == 1 and key[0] < 0x80 else bytes([0x80 + len(key)]) + key
    nibbles = [digit for byte in key for digit in (byte >> 4, byte & 15)]
    expected = root
    for position, encoded in enumerate(nodes):
        item = rlp_decode(encoded)
        need(keccak256(encoded) == expected, f"inclusion: node {position} is not what its parent names")
        if len(item) == 17:
            need(nibbles, "inclusion: the key ends in a branch")
            expected = item[nibbles.pop(0)]
            need(isinstance(expected, bytes) and len(expected) == 32, "inclusion: the branch has no such child")
            continue
        need(len(item) == 2, "inclusion: neither branch nor leaf nor extension")
        prefix = item[0]
        path = ([prefix[0] & 15] if prefix[0] & 16 else []) + [d for b in prefix[1:] for d in (b >> 4, b & 15)]
        need(nibbles[:len(path)] == path, "inclusion: the path does not follow the key")
        nibbles = nibbles[len(path):]
        if prefix[0] & 32:
            need(not nibbles and position == len(nodes) - 1, "inclusion: nodes after the leaf")
            need(keccak256(item[1]) == tx_hash, "inclusion: the leaf holds another transaction")
            return
        expected = item[1]
    raise Refused("inclusion: no leaf")


# ---- vectors -----------------------------------------------------------------------------------------------

def test_bytes(name, length):
    """The blobs of the vectors: H(name ‖ u64(counter)), one after the other."""
    parts = [H(name.encode() + i.to_bytes(8, "big")) for i in range(-(-length // 32))]
    return b"".join(parts)[:length]


def check_blob_vector(vector):
    g = vector["geometry"]
    blob = test_bytes(vector["name"], vector["length"])
    need(H(blob) == hash32(vector["blobSha256"]), "the vector's blob")
    chunks = cells_of_blob(blob, g["dataShards"], g["parityShards"], g["chunkBytes"])
    # Parity column by column.
    parity = b"".join(cell for column in list(zip(*chunks))[g["dataShards"]:] for cell in column)
    need(H(parity) == hash32(vector["paritySha256"]), "parity differs")
    found = [leaf(cell) for cells in chunks for cell in cells]
    need(H(b"".join(found)) == hash32(vector["cellHashesSha256"]), "cell hashes differ")
    need("parity" not in vector or raw(vector["parity"]) == parity, "parity differs")
    need("cellHashes" not in vector or hashes(vector["cellHashes"]) == found, "cell hashes differ")


def check_block_vector(vector):
    g = vector["geometry"]
    k, m = g["dataShards"], g["parityShards"]
    columns, leaves = [[] for _ in range(k + m)], []
    for blob in vector["blobs"]:
        need(blob["firstChunk"] == len(columns[0]), "first chunk")
        leaves.append(blob_leaf(hash32(blob["transactionHash"]), blob["transactionIndex"], blob["length"], blob["firstChunk"]))
        for cells in cells_of_blob(test_bytes(blob["name"], blob["length"]), k, m, g["chunkBytes"]):
            for column, cell in zip(columns, cells):
                column.append(leaf(cell))
    roots = [tree_root(column) for column in columns]
    need(roots == hashes(vector["columnRoots"]), "column roots")
    columns_root, blobs_root = tree_root([leaf(root) for root in roots]), tree_root(leaves)
    need(columns_root == hash32(vector["columnsRoot"]) and blobs_root == hash32(vector["blobsRoot"]), "roots")
    found = da_root(g["version"], k, m, g["chunkBytes"], len(leaves), len(columns[0]), blobs_root, columns_root)
    need(found == hash32(vector["daRoot"]), "daRoot")
    header = raw(vector["header"])
    need(keccak256(header) == hash32(vector["blockHash"]), "block hash")
    need(rlp_decode(header)[12] == found, "extraData")


def check_proof_vector(vector):
    block_hash, asked, proof = hash32(vector["blockHash"]), vector["asked"], vector["proof"]
    try:
        if vector["kind"] == "cell":
            verify_cell(proof, block_hash, asked["column"], asked["chunk"])
        elif vector["kind"] == "range":
            verify_range(proof, block_hash, asked["column"], asked["firstChunk"], asked["anchor"])
        elif vector["kind"] == "column":
            verify_column(proof, block_hash, asked["column"], hash32(asked["columnRoot"]))
        else:
            verify_blob(proof, block_hash)
    except Refused as reason:
        need(not vector["valid"], f"a valid {vector['kind']} proof was refused: {reason}")
        return
    need(vector["valid"], f"an invalid {vector['kind']} proof was accepted")


def check_vectors(folder):
    need(keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470", "keccak of nothing")
    count = 0
    for name, check in (("blobs", check_blob_vector), ("blocks", check_block_vector), ("proofs", check_proof_vector)):
        with open(os.path.join(folder, name + ".json"), encoding="utf-8") as file:
            vectors = json.load(file)
        for i, vector in enumerate(vectors):
            try:
                check(vector)
            except Refused as reason:
                raise Refused(f"{name}.json, entry {i}: {reason}") from reason
        count += len(vectors)
    print(f"{count} vectors agree")


# ---- command line ------------------------------------------------------------------------------------------

def read_json(stream):
    obj = json.load(stream)
    return obj["result"] if isinstance(obj, dict) and "result" in obj else obj


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["cell", "range", "column", "blob", "encode", "vectors"])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--hash")
    parser.add_argument("--column", type=lambda text: int(text, 0))
    parser.add_argument("--chunk", type=lambda text: int(text, 0))
    parser.add_argument("--first", type=lambda text: int(text, 0))
    parser.add_argument("--root")
    parser.add_argument("--anchor")
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--m", type=int, default=7)
    parser.add_argument("--chunk-bytes", type=int, default=131072)
    args = parser.parse_args()
    if args.kind == "vectors":
        check_vectors(args.folder)
    elif args.kind == "encode":
        for cells in cells_of_blob(sys.stdin.buffer.read(), args.k, args.m, args.chunk_bytes):
            print("\n".join("0x" + leaf(cell).hex() for cell in cells))
    else:
        proof, block_hash = read_json(sys.stdin), hash32(args.hash)
        if args.kind == "cell":
            cell = verify_cell(proof, block_hash, args.column, args.chunk)
            print(f"verified: column {args.column}, chunk {args.chunk}, {len(cell)} bytes")
        elif args.kind == "range":
            with open(args.anchor, encoding="utf-8") as file:
                cells = verify_range(proof, block_hash, args.column, args.first, read_json(file))
            print(f"verified: column {args.column}, {len(cells)} cells from chunk {args.first}")
        elif args.kind == "column":
            verify_column(proof, block_hash, args.column, hash32(args.root))
            print(f"verified: root of column {args.column}")
        else:
            print("verified: " + json.dumps(verify_blob(proof, block_hash)))


if __name__ == "__main__":
    try:
        main()
    except Refused as reason:
        print(f"refused: {reason}", file=sys.stderr)
        sys.exit(1)
