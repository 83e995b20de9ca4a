// A contract small enough to be written by hand: add(uint256) adds to slot 0, emits Count(uint256) and
// returns the sum; count() returns slot 0. No dispatch: calldata longer than a selector means add.

export const abi = [
  { type: 'function', name: 'add', stateMutability: 'nonpayable', inputs: [{ name: 'by', type: 'uint256' }], outputs: [{ type: 'uint256' }] },
  { type: 'function', name: 'count', stateMutability: 'view', inputs: [], outputs: [{ type: 'uint256' }] },
  { type: 'event', name: 'Count', inputs: [{ name: 'value', type: 'uint256', indexed: false }] },
]

export function bytecode(topic) {
  const runtime =
    '600436' + '11' + '600f57' + '5f545f5260205ff3' + // calldatasize > 4 ? add : return sload(0)
    '5b' + '600435' + '5f5401' + '805f55' + '5f52' + // sload(0) + calldataload(4), kept and in memory
    '7f' + topic.slice(2) + '60205fa1' + '60205ff3' // log1, return
  const length = (runtime.length / 2).toString(16).padStart(2, '0')
  return `0x60${length}600a5f3960${length}5ff3${runtime}`
}

export const mnemonic = 'test test test test test test test test test test test junk'

let last = 'nothing'
// What never comes must not keep the suite waiting: neither library gives up by itself.
setTimeout(() => {
  console.error(`nothing more happened; the last that was so: ${last}`)
  process.exit(1)
}, 120_000).unref()

export function check(condition, what) {
  if (!condition) throw new Error(`not so: ${what}`)
  last = what
  console.log(`ok: ${what}`)
}
